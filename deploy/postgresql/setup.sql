-- Once, as a superuser: psql -v ON_ERROR_STOP=1 -f setup.sql, then set the password with \password allim.
-- The tables are made by `allim migrate` or the first start.
CREATE ROLE allim LOGIN;
CREATE DATABASE allim OWNER allim TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
REVOKE ALL ON DATABASE allim FROM PUBLIC;
-- What is confirmed is on the disk: never `off` for this database.
ALTER DATABASE allim SET synchronous_commit = 'on';
ALTER ROLE allim IN DATABASE allim SET idle_in_transaction_session_timeout = '60s';

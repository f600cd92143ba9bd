-- Migrations that only add: programs that don't know them may go on beside those that do, and start again.
CREATE TABLE expansions (
    version BIGINT NOT NULL PRIMARY KEY
);

-- How many messages a relay was granted on a day, while it is being warmed up.
ALTER TABLE destinations ADD COLUMN day BIGINT NOT NULL DEFAULT 0;
ALTER TABLE destinations ADD COLUMN day_count BIGINT NOT NULL DEFAULT 0;

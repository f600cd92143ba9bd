-- Whether this database is what it was: a restored, cloned or abandoned one doesn't send (design rule 19).

-- Raised at each start and each minute of sending; `state_dir/high-water` follows it and must never be ahead.
INSERT INTO counters (name, value) VALUES ('high_water', 0);

-- Why nothing may be sent until an operator has said what this database missed.
CREATE TABLE doubts (
    cause TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    since_at BIGINT NOT NULL
);

-- What is known of this database as a whole: `system`, `timeline` and `database` of the server it lies on,
-- `instance NAME` for each that worked on it, `sent_until` after a restore.
CREATE TABLE facts (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- How much of what happened in which minute (kept for two days) and hour (kept for thirteen months): for plots, and nothing depends on it.
CREATE TABLE tallies (
    kind TEXT NOT NULL,
    step_ms BIGINT NOT NULL,
    at BIGINT NOT NULL,
    name TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (kind, step_ms, at, name)
) {without rowid};

-- Feeds of a selection of topics for one institution, whose address is a secret. `topics` is a JSON list; empty: everything.
CREATE TABLE private_feeds (
    name TEXT NOT NULL PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    topics TEXT NOT NULL,
    language TEXT,
    created_at BIGINT NOT NULL,
    read_at BIGINT,
    revoked_at BIGINT
);

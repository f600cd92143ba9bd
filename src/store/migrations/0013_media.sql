-- Copies of pictures and files of posts, kept so that old links survive. Nothing else depends on them.
CREATE TABLE media (
    url TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    due_at BIGINT,
    failures BIGINT NOT NULL,
    hash TEXT,
    media_type TEXT,
    bytes BIGINT,
    width BIGINT,
    height BIGINT,
    small_hash TEXT,
    small_type TEXT,
    small_bytes BIGINT,
    small_width BIGINT,
    small_height BIGINT,
    fetched_at BIGINT,
    why TEXT
) {without rowid};
CREATE INDEX media_due ON media (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX media_hash ON media (hash) WHERE hash IS NOT NULL;
CREATE INDEX media_small ON media (small_hash) WHERE small_hash IS NOT NULL;

-- Which posts show what: a copy is kept as long as one of them does, and shown as long as one of them is.
CREATE TABLE media_uses (
    url TEXT NOT NULL,
    post_id TEXT NOT NULL,
    PRIMARY KEY (url, post_id)
) {without rowid};

CREATE INDEX media_uses_post ON media_uses (post_id);

-- Up to which number changes were looked through for them.
INSERT INTO counters (name, value) VALUES ('mirrored', 0);

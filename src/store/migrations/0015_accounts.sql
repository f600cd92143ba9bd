-- Own accounts at social networks. What they are is configured; here stands what became of them.

-- `login` is sealed; it is of the configured login whose hash is `login_of`, and of no use with another one. `login_failed_at`: a
-- person must log in again. Slots up to `slot_at` were used.
CREATE TABLE accounts (
    endpoint_id BIGINT NOT NULL PRIMARY KEY,
    login TEXT,
    login_of TEXT,
    login_failed_at BIGINT,
    login_failed_why TEXT,
    slot_at BIGINT
) {without rowid};

-- What an account said of a post, and where it stands. `remote` is the network's name of it, as JSON.
CREATE TABLE said (
    endpoint_id BIGINT NOT NULL,
    post_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    remote TEXT NOT NULL,
    said_at BIGINT NOT NULL,
    gone_at BIGINT,
    PRIMARY KEY (endpoint_id, post_id)
) {without rowid};
CREATE INDEX said_post ON said (post_id);

-- Posts that aren't public yet, for partners who may know of them.
CREATE INDEX posts_hidden ON posts (public_due_at) WHERE public_at IS NULL;

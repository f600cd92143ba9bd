-- Partner institutions: who is told of posts, in which format, and of which.

-- `endpoint_id` is where deliveries go; none for those who ask for themselves. `topics` and `languages` are JSON lists, empty for
-- all. `token_hash` is the SHA-256 of the token that a partner asks with. `failing_since_at` is when the first of an unbroken row of
-- failures was; `told_at`, when the contact was told of the pause.
CREATE TABLE partners (
    name TEXT NOT NULL PRIMARY KEY,
    endpoint_id BIGINT,
    carrier TEXT NOT NULL,
    format TEXT NOT NULL,
    topics TEXT NOT NULL,
    languages TEXT NOT NULL,
    ordering TEXT NOT NULL,
    embargoed_at BIGINT,
    contact TEXT,
    contact_language TEXT,
    token_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    paused_at BIGINT,
    paused_why TEXT,
    failing_since_at BIGINT,
    told_at BIGINT,
    ended_at BIGINT
) {without rowid};
CREATE UNIQUE INDEX partners_endpoint ON partners (endpoint_id) WHERE endpoint_id IS NOT NULL;

-- What a partner was told, the newest first.
CREATE INDEX deliveries_partner ON deliveries (recipient_id, planned_at) WHERE carrier IN ('webhook', 'amqp');

-- Feeds of partners that are pulled: where each stands. `moved_to` is where it moved for good; after `ended_at` it is asked no more.
CREATE TABLE pulled_feeds (
    url TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    moved_to TEXT,
    etag TEXT,
    last_modified TEXT,
    checked_at BIGINT,
    taken_at BIGINT,
    next_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    why TEXT,
    ended_at BIGINT
) {without rowid};
CREATE INDEX pulled_feeds_next ON pulled_feeds (next_at) WHERE ended_at IS NULL;

-- What of them was taken in: as which post of the source, and with which content; empty until that is durable. An id that means the
-- same everywhere has no scope, and belongs to the feed that had it first; any other means something within its feed alone.
CREATE TABLE pulled_entries (
    source TEXT NOT NULL,
    scope TEXT NOT NULL,
    entry_key TEXT NOT NULL,
    feed TEXT NOT NULL,
    source_id TEXT NOT NULL,
    link TEXT,
    content_hash TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (source, entry_key, scope)
) {without rowid};
CREATE INDEX pulled_entries_link ON pulled_entries (source, link) WHERE link IS NOT NULL;

-- What sources are told of what they sent: each once, under an id that follows from what it says.
CREATE TABLE receipts (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    due_at BIGINT,
    failures BIGINT NOT NULL,
    sent_at BIGINT,
    why TEXT
);
CREATE INDEX receipts_due ON receipts (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX receipts_made ON receipts (made_at);

-- Posts whose sources wait to be told that all is done.
CREATE TABLE receipts_awaited (
    post_id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    revision BIGINT NOT NULL,
    since_at BIGINT NOT NULL,
    look_at BIGINT NOT NULL
) {without rowid};
CREATE INDEX receipts_awaited_look ON receipts_awaited (look_at);

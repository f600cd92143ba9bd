-- Most deliveries of an edition go the straight road: due, claimed, sending, sent. They are kept by the batch, at a few
-- octets each; a delivery that leaves the road gets a row of its own in `deliveries` (docs/adr/0006-batches.md).

-- The header of a batch: what changes while it is sent. `number` is the position of its first member in the plan.
-- `own` holds the indexes of members that have a row of their own or went to another batch.
CREATE TABLE batches (
    plan_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    carrier TEXT NOT NULL,
    edition_id BIGINT NOT NULL,
    destination TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    due_at BIGINT NOT NULL,
    planned_at BIGINT NOT NULL,
    finished_at BIGINT,
    first_id BIGINT NOT NULL,
    last_id BIGINT NOT NULL,
    size BIGINT NOT NULL,
    open BIGINT NOT NULL,
    claims BIGINT NOT NULL,
    claimed_term BIGINT,
    entries BIGINT NOT NULL,
    own TEXT NOT NULL,
    own_count BIGINT NOT NULL,
    PRIMARY KEY (plan_id, number)
) {without rowid};
CREATE INDEX batches_due ON batches (destination, lane, due_at, plan_id, number) WHERE state = 'due';
CREATE INDEX batches_taken ON batches (claimed_term) WHERE state = 'claimed';
CREATE INDEX batches_edition ON batches (edition_id, first_id, last_id);
CREATE INDEX batches_open ON batches (edition_id) WHERE state IN ('due', 'claimed');

-- Who is in a batch: a JSON array of subscribers' ids, ascending. Written once.
CREATE TABLE batch_recipients (
    plan_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    ids TEXT NOT NULL,
    PRIMARY KEY (plan_id, number)
) {without rowid};

-- What happened to its members, commit by commit: `began` is a JSON array of indexes that were about to pass the point of
-- no return, `taken` a JSON object from the far side's words to the indexes that it took.
CREATE TABLE batch_log (
    plan_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    entry BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    began TEXT NOT NULL,
    taken TEXT NOT NULL,
    PRIMARY KEY (plan_id, number, entry)
) {without rowid};

-- A number that grows whenever somebody leaves: while it stands still, nobody who was claimed has left since.
INSERT INTO counters (name, value) VALUES ('departure', 0);

-- The search of a subscription that was planned once follows its slot's, and needs no write of its own any more.
ALTER TABLE slots ADD COLUMN searched BIGINT NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN followed_at BIGINT;
DROP INDEX subscriptions_slot;
CREATE INDEX subscriptions_fresh ON subscriptions (slot, subscriber_id) WHERE followed_at IS NULL;

-- Subscribers lie in the order of their ids, in which they are planned and written to.
ALTER TABLE subscribers RENAME TO subscribers_before;
CREATE TABLE subscribers (
    id BIGINT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    address_key TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    name TEXT,
    language TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    unsubscribed_at BIGINT,
    suppressed_at BIGINT
) {without rowid};
INSERT INTO subscribers (id, address, address_key, domain, name, language, created_at, unsubscribed_at, suppressed_at)
    SELECT id, address, address_key, substr(ltrim(address_key, replace(address_key, '@', '')), 2), name, language,
        created_at, unsubscribed_at, suppressed_at FROM subscribers_before;
DROP TABLE subscribers_before;

-- A row of a revision is large: in a tree of rowids it shares a page with others, without it spills into one of its own.
ALTER TABLE revisions RENAME TO revisions_before;
CREATE TABLE revisions (
    post_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    content TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    repairs TEXT NOT NULL,
    event_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (post_id, revision)
);
INSERT INTO revisions (post_id, revision, content, content_hash, repairs, event_id, received_at)
    SELECT post_id, revision, content, content_hash, repairs, event_id, received_at FROM revisions_before;
DROP TABLE revisions_before;

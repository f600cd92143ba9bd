-- Columns are TEXT or BIGINT only. Instants are milliseconds since the Unix epoch in columns named …_at,
-- a nullable instant stands where others would put a boolean.

-- One row a counter. Its lock is held to the commit, so numbers come in commit order (design rule 2).
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('change', 0), ('term', 0);

-- Processes and their leases.
CREATE TABLE processes (
    term BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,
    lease_until_at BIGINT NOT NULL,
    ended_at BIGINT
);

-- What stops sending: scope `all`, `schedule:NAME` or `destination:NAME`.
CREATE TABLE holds (
    scope TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    since_at BIGINT NOT NULL
);

-- Keys of the tokens in mailed links, the newest signs, all verify.
CREATE TABLE token_keys (
    id TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE stories (
    id TEXT NOT NULL PRIMARY KEY,
    first_public_at BIGINT,
    check_at BIGINT
);
CREATE INDEX stories_check ON stories (check_at) WHERE check_at IS NOT NULL;

CREATE TABLE posts (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    revision BIGINT NOT NULL,
    lane TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    public_due_at BIGINT NOT NULL,
    expires_at BIGINT,
    received_at BIGINT NOT NULL,
    revised_at BIGINT,
    public_at BIGINT,
    expired_at BIGINT,
    withdrawn_at BIGINT,
    backfill_at BIGINT,
    UNIQUE (source, source_id)
);
CREATE INDEX posts_story ON posts (story_id);
CREATE INDEX posts_published ON posts (published_at, id);

CREATE TABLE revisions (
    post_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    content TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    repairs TEXT NOT NULL,
    event_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (post_id, revision)
) {without rowid};

-- The topics of the newest revision, for pages and feeds.
CREATE TABLE post_topics (
    topic TEXT NOT NULL,
    post_id TEXT NOT NULL,
    PRIMARY KEY (topic, post_id)
) {without rowid};
CREATE INDEX post_topics_post ON post_topics (post_id);

-- Every event taken in, so that a second delivery of it changes nothing.
CREATE TABLE events (
    source TEXT NOT NULL,
    event_source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    post_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (source, event_source, event_id)
) {without rowid};

CREATE TABLE quarantine (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    kind TEXT,
    source_id TEXT,
    event_id TEXT,
    reason TEXT NOT NULL,
    path TEXT NOT NULL,
    detail TEXT NOT NULL,
    message TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    replayed_at BIGINT
);
CREATE INDEX quarantine_received ON quarantine (received_at, id);
CREATE INDEX quarantine_source_id ON quarantine (source, source_id) WHERE replayed_at IS NULL;

-- Every public, released, revised, withdrawn, expired event, numbered in commit order.
CREATE TABLE changes (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    post_id TEXT NOT NULL,
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX changes_post ON changes (post_id);

-- A story becomes owed to the readers of one language, once.
CREATE TABLE releases (
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    post_id TEXT NOT NULL,
    seq BIGINT NOT NULL UNIQUE,
    released_at BIGINT NOT NULL,
    PRIMARY KEY (story_id, language)
) {without rowid};

-- The search path of planning: releases under the topics they had when they were made.
CREATE TABLE release_topics (
    topic TEXT NOT NULL,
    language TEXT NOT NULL,
    seq BIGINT NOT NULL,
    story_id TEXT NOT NULL,
    post_id TEXT NOT NULL,
    PRIMARY KEY (topic, language, seq)
) {without rowid};
CREATE INDEX release_topics_seq ON release_topics (seq, topic);

CREATE TABLE subscribers (
    id BIGINT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    address_key TEXT NOT NULL UNIQUE,
    name TEXT,
    language TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    unsubscribed_at BIGINT,
    suppressed_at BIGINT
);

-- `since` is the head when it began: nothing older is owed. `mark` bounds the search and never lies below it.
CREATE TABLE subscriptions (
    subscriber_id BIGINT NOT NULL,
    topic TEXT NOT NULL,
    schedule TEXT NOT NULL,
    slot TEXT NOT NULL,
    since BIGINT NOT NULL,
    mark BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (subscriber_id, topic)
) {without rowid};
CREATE INDEX subscriptions_slot ON subscriptions (slot, subscriber_id);
CREATE INDEX subscriptions_topic ON subscriptions (slot, topic, subscriber_id);

-- Every slot that somebody chose, and up to when its firings have been considered.
CREATE TABLE slots (
    slot TEXT NOT NULL PRIMARY KEY,
    line TEXT NOT NULL,
    considered_at BIGINT NOT NULL,
    bound BIGINT NOT NULL
);

-- One firing of a slot. Its id is the plan of the deliveries it makes.
CREATE TABLE occurrences (
    id BIGINT NOT NULL PRIMARY KEY,
    slot TEXT NOT NULL,
    schedule TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    recipient_id BIGINT,
    floor BIGINT NOT NULL,
    bound BIGINT NOT NULL,
    fired_at BIGINT NOT NULL,
    done_to BIGINT NOT NULL,
    planned BIGINT NOT NULL,
    planned_at BIGINT,
    skipped TEXT
);
CREATE INDEX occurrences_open ON occurrences (fired_at) WHERE planned_at IS NULL;
CREATE INDEX occurrences_slot ON occurrences (slot, due_at);

CREATE TABLE editions (
    id BIGINT NOT NULL PRIMARY KEY,
    plan_id BIGINT NOT NULL,
    content_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    schedule TEXT NOT NULL,
    language TEXT NOT NULL,
    sender TEXT NOT NULL,
    template TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    pieces TEXT,
    replaced_at BIGINT,
    withdrawn_at BIGINT,
    moved_at BIGINT,
    closed_at BIGINT,
    UNIQUE (plan_id, content_key)
);
CREATE INDEX editions_replaced ON editions (replaced_at) WHERE replaced_at IS NOT NULL AND moved_at IS NULL;
CREATE INDEX editions_open ON editions (schedule) WHERE closed_at IS NULL;

CREATE TABLE edition_items (
    edition_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    story_id TEXT NOT NULL,
    post_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    topic TEXT NOT NULL,
    PRIMARY KEY (edition_id, position)
) {without rowid};
CREATE INDEX edition_items_story ON edition_items (story_id, edition_id);
CREATE INDEX edition_items_post ON edition_items (post_id, edition_id);

CREATE TABLE deliveries (
    plan_id BIGINT NOT NULL,
    recipient_id BIGINT NOT NULL,
    carrier TEXT NOT NULL,
    edition_id BIGINT NOT NULL,
    destination TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    due_at BIGINT NOT NULL,
    planned_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    claimed_term BIGINT,
    sending_at BIGINT,
    uncertain_at BIGINT,
    finished_at BIGINT,
    PRIMARY KEY (plan_id, recipient_id, carrier)
) {without rowid};
CREATE INDEX deliveries_due ON deliveries (destination, lane, due_at) WHERE state = 'due';
CREATE INDEX deliveries_taken ON deliveries (claimed_term) WHERE state IN ('claimed', 'sending');
CREATE INDEX deliveries_uncertain ON deliveries (due_at) WHERE state = 'uncertain';
CREATE INDEX deliveries_open ON deliveries (edition_id) WHERE state IN ('due', 'claimed', 'sending');

CREATE TABLE attempts (
    plan_id BIGINT NOT NULL,
    recipient_id BIGINT NOT NULL,
    carrier TEXT NOT NULL,
    number BIGINT NOT NULL,
    term BIGINT NOT NULL,
    edition_id BIGINT NOT NULL,
    sending_at BIGINT,
    ended_at BIGINT,
    outcome TEXT,
    reason TEXT,
    reply TEXT,
    PRIMARY KEY (plan_id, recipient_id, carrier, number)
) {without rowid};

CREATE TABLE destinations (
    name TEXT NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    not_before_at BIGINT,
    allowance_at BIGINT NOT NULL
);

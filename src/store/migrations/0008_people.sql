-- People: who agreed to what, who may not be written to, what came back.

-- `confirmed_at`: the address was confirmed by its holder, or came by an operator's list. Nobody else is written to but for
-- confirmations. `paused_until_at`: nothing is planned until then; `pause_then` is `skip` or `catch_up`.
ALTER TABLE subscribers ADD COLUMN confirmed_at BIGINT;
UPDATE subscribers SET confirmed_at = created_at;
-- Whoever has no subscription any more has left: no list may bring them back.
UPDATE subscribers SET unsubscribed_at = created_at WHERE unsubscribed_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.subscriber_id = subscribers.id);
-- When they moved to their present address: links and reports from before speak of another one.
ALTER TABLE subscribers ADD COLUMN moved_at BIGINT;
ALTER TABLE subscribers ADD COLUMN text_only_at BIGINT;
ALTER TABLE subscribers ADD COLUMN paused_until_at BIGINT;
ALTER TABLE subscribers ADD COLUMN pause_then TEXT;
CREATE INDEX subscribers_paused ON subscribers (paused_until_at) WHERE paused_until_at IS NOT NULL;

-- Topics that somebody asked for and hasn't confirmed yet; `takes_over` is the subscriber whose new address this is.
CREATE TABLE wishes (
    subscriber_id BIGINT NOT NULL,
    topic TEXT NOT NULL,
    slot TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    PRIMARY KEY (subscriber_id, topic)
) {without rowid};
CREATE INDEX wishes_asked ON wishes (asked_at);
CREATE TABLE moves (
    subscriber_id BIGINT NOT NULL PRIMARY KEY,
    takes_over BIGINT NOT NULL,
    asked_at BIGINT NOT NULL
);

-- Every grant, change and withdrawal of consent. Never changed; retention takes the oldest away.
CREATE TABLE consents (
    seq BIGINT NOT NULL PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    address_hash TEXT NOT NULL,
    at BIGINT NOT NULL,
    act TEXT NOT NULL,
    wording TEXT NOT NULL,
    language TEXT NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    detail TEXT NOT NULL
) {without rowid};
CREATE INDEX consents_subscriber ON consents (subscriber_id, seq);
CREATE INDEX consents_address ON consents (address_hash);
INSERT INTO counters (name, value) VALUES ('consent', 0);

-- The further topics by which a reader was owed an item, as a JSON list: `topic` is the one that it stands under.
ALTER TABLE edition_items ADD COLUMN also TEXT NOT NULL DEFAULT '[]';

-- Addresses that may not be written to, by a keyed hash, so that it outlives the subscriber, whose id stands there for the
-- day that it ends. The key is the fact `address_key`.
CREATE TABLE suppressions (
    address_hash TEXT NOT NULL PRIMARY KEY,
    subscriber_id BIGINT,
    reason TEXT NOT NULL,
    evidence TEXT NOT NULL,
    since_at BIGINT NOT NULL,
    until_at BIGINT,
    lifted_at BIGINT,
    lifted_by TEXT
);
CREATE INDEX suppressions_until ON suppressions (until_at) WHERE until_at IS NOT NULL AND lifted_at IS NULL;

-- What counts against an address: bounces by kind, from the far side's replies and from mails that came back. One delivery
-- counts once for each kind, however often it is told.
CREATE TABLE bounces (
    subscriber_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    reply TEXT NOT NULL,
    delivery TEXT NOT NULL,
    PRIMARY KEY (subscriber_id, delivery, kind)
) {without rowid};
CREATE INDEX bounces_at ON bounces (at);

-- Mails that came in, kept before they are acknowledged and until they are understood; `message` is base64.
CREATE TABLE inbound (
    id TEXT NOT NULL PRIMARY KEY,
    via TEXT NOT NULL,
    envelope_to TEXT NOT NULL,
    message TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    settled_at BIGINT,
    verdict TEXT,
    detail TEXT
);
CREATE INDEX inbound_open ON inbound (received_at) WHERE settled_at IS NULL;
CREATE INDEX inbound_settled ON inbound (settled_at) WHERE settled_at IS NOT NULL;

-- Endpoints: where deliveries of other carriers than mail go. A subscriber of our hub is one, and a hub that we tell of changes.

-- `subject` is what it is told of, such as `/feeds/events.atom?lang=ko`; empty for everything. What was numbered up to `since`
-- isn't its business. After `until_at` it gets nothing more, unless it is renewed.
CREATE TABLE endpoints (
    id BIGINT NOT NULL PRIMARY KEY,
    carrier TEXT NOT NULL,
    subject TEXT NOT NULL,
    url TEXT NOT NULL,
    host TEXT NOT NULL,
    secret TEXT,
    since BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,
    until_at BIGINT,
    ended_at BIGINT,
    ended_why TEXT
) {without rowid};
CREATE INDEX endpoints_live ON endpoints (carrier, subject) WHERE ended_at IS NULL;
CREATE INDEX endpoints_host ON endpoints (carrier, host) WHERE ended_at IS NULL;
CREATE INDEX endpoints_until ON endpoints (until_at) WHERE ended_at IS NULL AND until_at IS NOT NULL;

-- What somebody asked our hub for in the name of a callback, until that has confirmed it. The newest request counts.
CREATE TABLE hub_requests (
    id BIGINT NOT NULL PRIMARY KEY,
    mode TEXT NOT NULL,
    subject TEXT NOT NULL,
    topic TEXT NOT NULL,
    callback TEXT NOT NULL,
    host TEXT NOT NULL,
    secret TEXT,
    lease_s BIGINT NOT NULL,
    asked_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    failures BIGINT NOT NULL
) {without rowid};
CREATE INDEX hub_requests_due ON hub_requests (due_at);

-- Up to which number changes were pushed to endpoints.
INSERT INTO counters (name, value) SELECT 'pushed', value FROM counters WHERE name = 'change';

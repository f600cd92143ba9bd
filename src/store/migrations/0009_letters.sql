-- Letters: hours at which none goes out, corrections, notices that others than the planner know of.

-- The night of an edition whose digest has quiet hours: the one that it is, or the next.
ALTER TABLE editions ADD COLUMN quiet_from_at BIGINT;
ALTER TABLE editions ADD COLUMN quiet_until_at BIGINT;
CREATE INDEX editions_quiet ON editions (quiet_until_at) WHERE quiet_until_at IS NOT NULL AND closed_at IS NULL;

-- `revised`: a line about a post that the reader got before and that was revised since.
ALTER TABLE edition_items ADD COLUMN form TEXT NOT NULL DEFAULT 'post';

CREATE INDEX posts_revised ON posts (revised_at) WHERE revised_at IS NOT NULL;

-- Posts of which everybody who got an earlier revision is to get the present one; planned once nothing earlier is on its way.
CREATE TABLE corrections (
    post_id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    asked_at BIGINT NOT NULL
);

-- Notices about consent that are owed and not planned yet: whoever settles what came back can't plan.
CREATE TABLE notices (
    subscriber_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    schedule TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (subscriber_id, kind, schedule)
) {without rowid};

CREATE INDEX consents_at ON consents (at);

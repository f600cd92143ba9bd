-- Finding people by the beginning of what is known of them, and what lies with one of them. Indexes and tables alone: a program
-- that doesn't know of them keeps the indexes up all the same, and never hears of the tables.

-- Compared by their bytes, so that a beginning is a range. SQLite does so anyhow, by the index of the unique key.
{postgres only} CREATE INDEX subscribers_address ON subscribers (address_key {bytewise});
CREATE INDEX subscribers_name ON subscribers (lower(name) {bytewise}, id) WHERE name IS NOT NULL;
CREATE INDEX subscribers_domain ON subscribers (domain {bytewise}, id);

-- What one recipient was sent, the newest first: deliveries with a row of their own, and the batches among whose members they may be.
CREATE INDEX deliveries_recipient ON deliveries (recipient_id, planned_at);
CREATE INDEX batches_planned ON batches (planned_at, first_id, last_id);

-- Lists of subscribers that somebody handed in: first looked through, then perhaps taken in. The rows wait in parts, as JSON, and
-- are forgotten after an hour. `told` is what became of the rows of a part, as JSON, without addresses.
CREATE TABLE rosters (
    id TEXT NOT NULL PRIMARY KEY,
    staff_id BIGINT NOT NULL,
    basis TEXT NOT NULL,
    stage TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    done BIGINT NOT NULL,
    counts TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    moved_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL
);
CREATE INDEX rosters_until ON rosters (until_at);
CREATE TABLE roster_parts (
    roster_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    rows_json TEXT NOT NULL,
    told TEXT,
    PRIMARY KEY (roster_id, number)
) {without rowid};

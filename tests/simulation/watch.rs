//! Watchmen in the database: triggers that write down what must never be committed, at the moment when it is. What they hold
//! against each other is rows, not the statements that are under test.

use allim::store::{StoreError, Tx};

const POSTS: [&str; 8] = [
    "CREATE TABLE IF NOT EXISTS watched (what TEXT NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS watch_members AFTER INSERT ON batch_log WHEN NEW.began <> '[]' BEGIN
        INSERT INTO watched SELECT 'members of a replaced edition began' FROM batches b, editions e
            WHERE b.plan_id = NEW.plan_id AND b.number = NEW.number AND e.id = b.edition_id AND e.replaced_at IS NOT NULL;
        INSERT INTO watched SELECT 'members began under a hold' FROM holds;
        INSERT INTO watched SELECT 'members began that nobody had claimed' FROM batches b
            WHERE b.plan_id = NEW.plan_id AND b.number = NEW.number AND (b.state <> 'claimed' OR b.claims <> NEW.attempt
                OR b.claimed_term NOT IN (SELECT term FROM processes WHERE ended_at IS NULL));
        INSERT INTO watched SELECT 'a member began that has a row of its own'
            FROM batches b, json_each(b.own) o, json_each(NEW.began) n
            WHERE b.plan_id = NEW.plan_id AND b.number = NEW.number AND o.value = n.value;
        INSERT INTO watched SELECT 'a member began that was taken'
            FROM batch_log l, json_each(l.taken) t, json_each(t.value) x, json_each(NEW.began) n
            WHERE l.plan_id = NEW.plan_id AND l.number = NEW.number AND x.value = n.value;
     END",
    "CREATE TRIGGER IF NOT EXISTS watch_rows AFTER UPDATE OF state ON deliveries WHEN NEW.state = 'sending' BEGIN
        INSERT INTO watched SELECT 'a delivery began that was ' || OLD.state WHERE OLD.state <> 'claimed';
        INSERT INTO watched SELECT 'a delivery began under a hold' FROM holds;
        INSERT INTO watched SELECT 'a delivery began after its process had ended' FROM processes
            WHERE term = NEW.claimed_term AND ended_at IS NOT NULL;
        INSERT INTO watched SELECT 'a delivery of a replaced edition began' FROM editions e WHERE e.id = NEW.edition_id
            AND (e.withdrawn_at IS NOT NULL OR (e.replaced_at IS NOT NULL AND NEW.uncertain_at IS NULL));
     END",
    "CREATE TRIGGER IF NOT EXISTS watch_ends AFTER UPDATE OF state ON deliveries
        WHEN OLD.state IN ('sent', 'refused', 'abandoned', 'cancelled') AND NEW.state <> OLD.state BEGIN
        INSERT INTO watched VALUES ('a delivery that was ' || OLD.state || ' became ' || NEW.state);
     END",
    "CREATE TABLE IF NOT EXISTS watched_losses (plan_id BIGINT, recipient_id BIGINT, term BIGINT)",
    "CREATE TRIGGER IF NOT EXISTS watch_losses AFTER UPDATE OF reason ON attempts WHEN NEW.reason = 'process_lost' BEGIN
        INSERT INTO watched_losses VALUES (NEW.plan_id, NEW.recipient_id, NEW.term);
     END",
    "DELETE FROM watched",
    "DELETE FROM watched_losses",
];

/// Puts the watchmen up, if they don't stand yet, and lets them forget.
pub(super) fn stand(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    POSTS.iter().try_for_each(|sql| tx.execute(sql, &[]).map(drop))
}

/// What they saw.
pub(super) fn seen(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    tx.query("SELECT DISTINCT what FROM watched ORDER BY what", &[])?.iter().map(|row| row.text(0)).collect()
}

-- What pages look for. Indexes alone: a program that doesn't know of them keeps them up all the same.

-- Posts that announce an event, without reading every text. `_` stands for the brace of the object; within a text the quotes would be
-- escaped. Whoever asks must write the same words, or the index is of no use.
CREATE INDEX revisions_event ON revisions (post_id, revision) WHERE content LIKE '%"event":_"starts_at":%';

-- The firings of a digest that planned something, among those at which there was nothing new.
CREATE INDEX occurrences_issued ON occurrences (slot, due_at)
    WHERE planned > 0 AND recipient_id IS NULL AND schedule <> 'immediate';

-- The views that a source told last, where it did so without revising its post.
ALTER TABLE post_views ADD COLUMN told BIGINT;

-- What comes in costs a page of the log for each tree that it is written to, and those of random keys cost one for each
-- post. So stories have one tree instead of two; a post's id is derived from its source and its id there, and says what the pair
-- says; and which topics a post is under stands with the post, for whoever comes from there.
ALTER TABLE stories RENAME TO stories_before;
CREATE TABLE stories (
    id TEXT NOT NULL PRIMARY KEY,
    first_public_at BIGINT,
    check_at BIGINT
) {without rowid};
INSERT INTO stories (id, first_public_at, check_at) SELECT id, first_public_at, check_at FROM stories_before;
DROP TABLE stories_before;
CREATE INDEX stories_check ON stories (check_at) WHERE check_at IS NOT NULL;

ALTER TABLE posts RENAME TO posts_before;
CREATE TABLE posts (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    revision BIGINT NOT NULL,
    lane TEXT NOT NULL,
    topics TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    public_due_at BIGINT NOT NULL,
    expires_at BIGINT,
    received_at BIGINT NOT NULL,
    revised_at BIGINT,
    public_at BIGINT,
    expired_at BIGINT,
    withdrawn_at BIGINT,
    backfill_at BIGINT
);
INSERT INTO posts (id, source, source_id, story_id, language, revision, lane, topics, published_at, public_due_at,
        expires_at, received_at, revised_at, public_at, expired_at, withdrawn_at, backfill_at)
    SELECT id, source, source_id, story_id, language, revision, lane,
        COALESCE((SELECT {array t.topic} FROM post_topics t WHERE t.post_id = b.id), '[]'), published_at, public_due_at,
        expires_at, received_at, revised_at, public_at, expired_at, withdrawn_at, backfill_at FROM posts_before b;
DROP TABLE posts_before;
CREATE INDEX posts_story ON posts (story_id);
CREATE INDEX posts_published ON posts (published_at, id);
DROP INDEX post_topics_post;

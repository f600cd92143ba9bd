-- Each tree that a post or its release is written to costs a page of the log, and a copy of it later. These are gone: an
-- index of changes that nothing asked, the second tree of a table whose key is a number, the uniqueness of numbers that the
-- counter makes unique, and the entry of a post under a story that is its own. And a post is put under its topics when it
-- becomes public, with whatever else does, instead of when it comes in.
DROP INDEX changes_post;
ALTER TABLE changes RENAME TO changes_before;
CREATE TABLE changes (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    post_id TEXT NOT NULL,
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    at BIGINT NOT NULL
) {without rowid};
INSERT INTO changes (seq, kind, post_id, story_id, language, at)
    SELECT seq, kind, post_id, story_id, language, at FROM changes_before;
DROP TABLE changes_before;

ALTER TABLE releases RENAME TO releases_before;
CREATE TABLE releases (
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    post_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    released_at BIGINT NOT NULL,
    PRIMARY KEY (story_id, language)
) {without rowid};
INSERT INTO releases (story_id, language, post_id, seq, released_at)
    SELECT story_id, language, post_id, seq, released_at FROM releases_before;
DROP TABLE releases_before;

DROP INDEX posts_story;
CREATE INDEX posts_variants ON posts (story_id) WHERE story_id <> id;

-- The tombstones of feeds are looked for by it.
CREATE INDEX posts_withdrawn ON posts (withdrawn_at) WHERE withdrawn_at IS NOT NULL;

DELETE FROM post_topics WHERE post_id IN (SELECT id FROM posts WHERE public_at IS NULL);

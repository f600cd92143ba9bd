-- Posts that are being written in the control room. `content` is a JSON object of the form's fields; `version` grows with each save, so
-- that nobody overwrites what a colleague saved meanwhile. `post_id` is the post that it became, or whose revision it is to be.
CREATE TABLE drafts (
    id BIGINT NOT NULL PRIMARY KEY,
    story TEXT NOT NULL,
    language TEXT NOT NULL,
    title TEXT NOT NULL,
    content TEXT NOT NULL,
    version BIGINT NOT NULL,
    made_by BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    saved_by BIGINT NOT NULL,
    saved_at BIGINT NOT NULL,
    asked_by BIGINT,
    asked_at BIGINT,
    post_id TEXT,
    ended_at BIGINT
);
CREATE INDEX drafts_open ON drafts (saved_at, id) WHERE ended_at IS NULL;
CREATE INDEX drafts_story ON drafts (story, language);

-- What a person chose that readers hear of a revision, where that isn't what its source says.
CREATE TABLE revised_as (
    post_id TEXT NOT NULL PRIMARY KEY,
    how TEXT NOT NULL
);

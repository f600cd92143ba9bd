-- How often posts were looked at. A program that doesn't know of it counts nothing, and nothing else misses it.
CREATE TABLE post_views (
    post_id TEXT NOT NULL PRIMARY KEY,
    views BIGINT NOT NULL
) {without rowid};

-- When a source posted last, without looking through all posts.
CREATE INDEX posts_heard ON posts (source, received_at);

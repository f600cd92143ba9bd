-- Those who work in the control room. A password is a PHC string (Argon2id), never the word itself.
CREATE TABLE staff (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    password TEXT,
    failures BIGINT NOT NULL,
    locked_until_at BIGINT,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE UNIQUE INDEX staff_by_name ON staff (name);
-- Links and sessions are kept by the SHA-256 of what the browser holds: a copy of the database opens nothing.
CREATE TABLE staff_links (
    hash TEXT NOT NULL PRIMARY KEY,
    staff_id BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE TABLE staff_sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    staff_id BIGINT NOT NULL,
    began_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE INDEX staff_sessions_by_staff ON staff_sessions (staff_id);
-- Every act of person and machine. Rows are added and never changed; people stand here as ids and keyed hashes.
CREATE TABLE audit (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_by_at ON audit (at, id);
CREATE INDEX audit_by_subject ON audit (subject_kind, subject, at, id);
CREATE INDEX audit_by_actor ON audit (actor, at, id);

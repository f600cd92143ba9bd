-- Days on which digests rest: holidays, and issues that an operator skips. Days are civil days (2026-12-25) in `zone`; `digests` is
-- a JSON list of names, empty for all; `way` says what becomes of an issue: `skip` or `after`.
CREATE TABLE freezes (
    name TEXT NOT NULL PRIMARY KEY,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    zone TEXT NOT NULL,
    digests TEXT NOT NULL,
    way TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX freezes_by_day ON freezes (last_day);
-- What came to no good end, for whoever looks after it.
CREATE INDEX deliveries_dead ON deliveries (state, finished_at, plan_id) WHERE state IN ('refused', 'abandoned');

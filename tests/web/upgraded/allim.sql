BEGIN TRANSACTION;
CREATE TABLE attempts (
    plan_id BIGINT NOT NULL,
    recipient_id BIGINT NOT NULL,
    carrier TEXT NOT NULL,
    number BIGINT NOT NULL,
    term BIGINT NOT NULL,
    edition_id BIGINT NOT NULL,
    sending_at BIGINT,
    ended_at BIGINT,
    outcome TEXT,
    reason TEXT,
    reply TEXT,
    PRIMARY KEY (plan_id, recipient_id, carrier, number)
) WITHOUT ROWID;
CREATE TABLE changes (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    post_id TEXT NOT NULL,
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    at BIGINT NOT NULL
);
INSERT INTO "changes" VALUES(1,'public','eaqja3ld6jaakgw5bl2exzlk63','2vzordxw2c6wb2vnah4fwwqozq','ko',1795453377626);
INSERT INTO "changes" VALUES(2,'released','eaqja3ld6jaakgw5bl2exzlk63','2vzordxw2c6wb2vnah4fwwqozq','ko',1795453377626);
INSERT INTO "changes" VALUES(3,'released','eaqja3ld6jaakgw5bl2exzlk63','2vzordxw2c6wb2vnah4fwwqozq','en',1795453377626);
INSERT INTO "changes" VALUES(4,'released','eaqja3ld6jaakgw5bl2exzlk63','2vzordxw2c6wb2vnah4fwwqozq','zh',1795453377626);
INSERT INTO "changes" VALUES(5,'public','bdwaf66q6k3b6vckf2wr5vvc63','2vzordxw2c6wb2vnah4fwwqozq','en',1795453377629);
INSERT INTO "changes" VALUES(6,'public','3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre','zh',1795453377629);
INSERT INTO "changes" VALUES(7,'released','3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre','ko',1795453377629);
INSERT INTO "changes" VALUES(8,'released','3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre','en',1795453377629);
INSERT INTO "changes" VALUES(9,'released','3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre','zh',1795453377629);
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO "counters" VALUES('change',9);
INSERT INTO "counters" VALUES('term',1);
CREATE TABLE deliveries (
    plan_id BIGINT NOT NULL,
    recipient_id BIGINT NOT NULL,
    carrier TEXT NOT NULL,
    edition_id BIGINT NOT NULL,
    destination TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    due_at BIGINT NOT NULL,
    planned_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    claimed_term BIGINT,
    sending_at BIGINT,
    uncertain_at BIGINT,
    finished_at BIGINT,
    PRIMARY KEY (plan_id, recipient_id, carrier)
) WITHOUT ROWID;
CREATE TABLE destinations (
    name TEXT NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    not_before_at BIGINT,
    allowance_at BIGINT NOT NULL
);
INSERT INTO "destinations" VALUES('email:folder',0,NULL,0);
CREATE TABLE edition_items (
    edition_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    story_id TEXT NOT NULL,
    post_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    topic TEXT NOT NULL,
    PRIMARY KEY (edition_id, position)
) WITHOUT ROWID;
CREATE TABLE editions (
    id BIGINT NOT NULL PRIMARY KEY,
    plan_id BIGINT NOT NULL,
    content_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    schedule TEXT NOT NULL,
    language TEXT NOT NULL,
    sender TEXT NOT NULL,
    template TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    pieces TEXT,
    replaced_at BIGINT,
    withdrawn_at BIGINT,
    moved_at BIGINT,
    closed_at BIGINT,
    UNIQUE (plan_id, content_key)
);
CREATE TABLE events (
    source TEXT NOT NULL,
    event_source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    post_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (source, event_source, event_id)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('cms','cms','sha256:0cf3d72218f69193df119e1bd1bc9a28957675baa369c34fc30b2957175d8125','aab8322aede21049687304212b64354bd32e72a91eab76027aacdcb8c5ae1434','bdwaf66q6k3b6vckf2wr5vvc63',1795453377626);
INSERT INTO "events" VALUES('cms','cms','sha256:1e723d656b09344bbc60b972a36c2b0c819ee3424ad8ed64d289a1c71e28456c','8046530983d2110f13281af495e0bcdb0ff94fdc8175da74f74970d7e8263476','eaqja3ld6jaakgw5bl2exzlk63',1795453377624);
INSERT INTO "events" VALUES('cms','cms','sha256:4e3f3acebabb5fcb1e34f6400e4f72c6b6daef2eaa010d34512ef6c5bf289d56','372929bc359ad1252f8a9ae9a5c3e9bfbd134d833fd22f01c3d9b6834cf9803b','3d5pwity5fhnfev4wdfhuockre',1795453377628);
CREATE TABLE holds (
    scope TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    since_at BIGINT NOT NULL
);
CREATE TABLE migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO "migrations" VALUES(1,'first');
CREATE TABLE occurrences (
    id BIGINT NOT NULL PRIMARY KEY,
    slot TEXT NOT NULL,
    schedule TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    recipient_id BIGINT,
    floor BIGINT NOT NULL,
    bound BIGINT NOT NULL,
    fired_at BIGINT NOT NULL,
    done_to BIGINT NOT NULL,
    planned BIGINT NOT NULL,
    planned_at BIGINT,
    skipped TEXT
);
CREATE TABLE post_topics (
    topic TEXT NOT NULL,
    post_id TEXT NOT NULL,
    PRIMARY KEY (topic, post_id)
) WITHOUT ROWID;
INSERT INTO "post_topics" VALUES('events','3d5pwity5fhnfev4wdfhuockre');
INSERT INTO "post_topics" VALUES('tag:水','3d5pwity5fhnfev4wdfhuockre');
INSERT INTO "post_topics" VALUES('events','bdwaf66q6k3b6vckf2wr5vvc63');
INSERT INTO "post_topics" VALUES('events','eaqja3ld6jaakgw5bl2exzlk63');
INSERT INTO "post_topics" VALUES('tag:물','eaqja3ld6jaakgw5bl2exzlk63');
CREATE TABLE posts (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    revision BIGINT NOT NULL,
    lane TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    public_due_at BIGINT NOT NULL,
    expires_at BIGINT,
    received_at BIGINT NOT NULL,
    revised_at BIGINT,
    public_at BIGINT,
    expired_at BIGINT,
    withdrawn_at BIGINT,
    backfill_at BIGINT,
    UNIQUE (source, source_id)
);
INSERT INTO "posts" VALUES('eaqja3ld6jaakgw5bl2exzlk63','cms','walk','2vzordxw2c6wb2vnah4fwwqozq','ko',1,'normal',1795453377000,1795453377000,NULL,1795453377624,NULL,1795453377626,NULL,NULL,NULL);
INSERT INTO "posts" VALUES('bdwaf66q6k3b6vckf2wr5vvc63','cms','walk-en','2vzordxw2c6wb2vnah4fwwqozq','en',1,'normal',1795453377000,1795453377000,NULL,1795453377626,NULL,1795453377629,NULL,NULL,NULL);
INSERT INTO "posts" VALUES('3d5pwity5fhnfev4wdfhuockre','cms','bridge','3d5pwity5fhnfev4wdfhuockre','zh',1,'normal',1795453377000,1795453377000,NULL,1795453377628,NULL,1795453377629,NULL,NULL,NULL);
CREATE TABLE processes (
    term BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,
    lease_until_at BIGINT NOT NULL,
    ended_at BIGINT
);
INSERT INTO "processes" VALUES(1,'t',1795453374519,1795453379521,1795453399521,1795453380152);
CREATE TABLE quarantine (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    kind TEXT,
    source_id TEXT,
    event_id TEXT,
    reason TEXT NOT NULL,
    path TEXT NOT NULL,
    detail TEXT NOT NULL,
    message TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    replayed_at BIGINT
);
CREATE TABLE release_topics (
    topic TEXT NOT NULL,
    language TEXT NOT NULL,
    seq BIGINT NOT NULL,
    story_id TEXT NOT NULL,
    post_id TEXT NOT NULL,
    PRIMARY KEY (topic, language, seq)
) WITHOUT ROWID;
INSERT INTO "release_topics" VALUES('events','en',3,'2vzordxw2c6wb2vnah4fwwqozq','eaqja3ld6jaakgw5bl2exzlk63');
INSERT INTO "release_topics" VALUES('events','en',8,'3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre');
INSERT INTO "release_topics" VALUES('events','ko',2,'2vzordxw2c6wb2vnah4fwwqozq','eaqja3ld6jaakgw5bl2exzlk63');
INSERT INTO "release_topics" VALUES('events','ko',7,'3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre');
INSERT INTO "release_topics" VALUES('events','zh',4,'2vzordxw2c6wb2vnah4fwwqozq','eaqja3ld6jaakgw5bl2exzlk63');
INSERT INTO "release_topics" VALUES('events','zh',9,'3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre');
INSERT INTO "release_topics" VALUES('tag:水','en',8,'3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre');
INSERT INTO "release_topics" VALUES('tag:水','ko',7,'3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre');
INSERT INTO "release_topics" VALUES('tag:水','zh',9,'3d5pwity5fhnfev4wdfhuockre','3d5pwity5fhnfev4wdfhuockre');
INSERT INTO "release_topics" VALUES('tag:물','en',3,'2vzordxw2c6wb2vnah4fwwqozq','eaqja3ld6jaakgw5bl2exzlk63');
INSERT INTO "release_topics" VALUES('tag:물','ko',2,'2vzordxw2c6wb2vnah4fwwqozq','eaqja3ld6jaakgw5bl2exzlk63');
INSERT INTO "release_topics" VALUES('tag:물','zh',4,'2vzordxw2c6wb2vnah4fwwqozq','eaqja3ld6jaakgw5bl2exzlk63');
CREATE TABLE releases (
    story_id TEXT NOT NULL,
    language TEXT NOT NULL,
    post_id TEXT NOT NULL,
    seq BIGINT NOT NULL UNIQUE,
    released_at BIGINT NOT NULL,
    PRIMARY KEY (story_id, language)
) WITHOUT ROWID;
INSERT INTO "releases" VALUES('2vzordxw2c6wb2vnah4fwwqozq','en','eaqja3ld6jaakgw5bl2exzlk63',3,1795453377626);
INSERT INTO "releases" VALUES('2vzordxw2c6wb2vnah4fwwqozq','ko','eaqja3ld6jaakgw5bl2exzlk63',2,1795453377626);
INSERT INTO "releases" VALUES('2vzordxw2c6wb2vnah4fwwqozq','zh','eaqja3ld6jaakgw5bl2exzlk63',4,1795453377626);
INSERT INTO "releases" VALUES('3d5pwity5fhnfev4wdfhuockre','en','3d5pwity5fhnfev4wdfhuockre',8,1795453377629);
INSERT INTO "releases" VALUES('3d5pwity5fhnfev4wdfhuockre','ko','3d5pwity5fhnfev4wdfhuockre',7,1795453377629);
INSERT INTO "releases" VALUES('3d5pwity5fhnfev4wdfhuockre','zh','3d5pwity5fhnfev4wdfhuockre',9,1795453377629);
CREATE TABLE revisions (
    post_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    content TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    repairs TEXT NOT NULL,
    event_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (post_id, revision)
) WITHOUT ROWID;
INSERT INTO "revisions" VALUES('3d5pwity5fhnfev4wdfhuockre',1,'{"source_id":"bridge","story":null,"language":"zh","languages_expected":[],"topics":["events"],"tags":["水"],"breadcrumb":[],"title":"关于夜间桥梁灯光的通知","summary":null,"author":null,"published_at":1795453377000,"updated_at":null,"embargo_until":null,"expires_at":null,"url":null,"body":{"format":"html","content":"<p>关于夜间桥梁灯光的通知</p>"},"images":[],"attachments":[],"contact":null,"event":null,"urgent":false,"views":null,"license":null}','372929bc359ad1252f8a9ae9a5c3e9bfbd134d833fd22f01c3d9b6834cf9803b','[]','sha256:4e3f3acebabb5fcb1e34f6400e4f72c6b6daef2eaa010d34512ef6c5bf289d56',1795453377628);
INSERT INTO "revisions" VALUES('bdwaf66q6k3b6vckf2wr5vvc63',1,'{"source_id":"walk-en","story":"walk","language":"en","languages_expected":[],"topics":["events"],"tags":[],"breadcrumb":[],"title":"An evening walk along the river","summary":null,"author":null,"published_at":1795453377000,"updated_at":null,"embargo_until":null,"expires_at":null,"url":null,"body":{"format":"html","content":"<p>An evening walk along the river</p>"},"images":[],"attachments":[],"contact":null,"event":null,"urgent":false,"views":null,"license":null}','aab8322aede21049687304212b64354bd32e72a91eab76027aacdcb8c5ae1434','[]','sha256:0cf3d72218f69193df119e1bd1bc9a28957675baa369c34fc30b2957175d8125',1795453377626);
INSERT INTO "revisions" VALUES('eaqja3ld6jaakgw5bl2exzlk63',1,'{"source_id":"walk","story":"walk","language":"ko","languages_expected":[],"topics":["events"],"tags":["물"],"breadcrumb":[],"title":"강을 따라 걷는 저녁 <신청> ]]> 🎓","summary":"물가에서 만납니다.","author":"물길 모임","published_at":1795453377000,"updated_at":null,"embargo_until":null,"expires_at":null,"url":null,"body":{"format":"html","content":"<p>강을 따라 걷는 저녁 <신청> ]]> 🎓</p>"},"images":[],"attachments":[{"url":"https://files.example.org/map.pdf","name":"지도.pdf","media_type":"application/pdf","bytes":84000}],"contact":null,"event":{"starts_at":"2026-12-06T16:30:00","ends_at":null,"time_zone":"Asia/Seoul","location":"남쪽 다리","url":null},"urgent":false,"views":null,"license":null}','8046530983d2110f13281af495e0bcdb0ff94fdc8175da74f74970d7e8263476','[]','sha256:1e723d656b09344bbc60b972a36c2b0c819ee3424ad8ed64d289a1c71e28456c',1795453377624);
CREATE TABLE slots (
    slot TEXT NOT NULL PRIMARY KEY,
    line TEXT NOT NULL,
    considered_at BIGINT NOT NULL,
    bound BIGINT NOT NULL
);
CREATE TABLE stories (
    id TEXT NOT NULL PRIMARY KEY,
    first_public_at BIGINT,
    check_at BIGINT
);
INSERT INTO "stories" VALUES('2vzordxw2c6wb2vnah4fwwqozq',1795453377626,NULL);
INSERT INTO "stories" VALUES('3d5pwity5fhnfev4wdfhuockre',1795453377629,NULL);
CREATE TABLE subscribers (
    id BIGINT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    address_key TEXT NOT NULL UNIQUE,
    name TEXT,
    language TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    unsubscribed_at BIGINT,
    suppressed_at BIGINT
);
CREATE TABLE subscriptions (
    subscriber_id BIGINT NOT NULL,
    topic TEXT NOT NULL,
    schedule TEXT NOT NULL,
    slot TEXT NOT NULL,
    since BIGINT NOT NULL,
    mark BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (subscriber_id, topic)
) WITHOUT ROWID;
CREATE TABLE token_keys (
    id TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO "token_keys" VALUES('1d608e','0000000000000000000000000000000000000000000000000000000000000000',1795453374517);
CREATE INDEX stories_check ON stories (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX posts_story ON posts (story_id);
CREATE INDEX posts_published ON posts (published_at, id);
CREATE INDEX post_topics_post ON post_topics (post_id);
CREATE INDEX quarantine_received ON quarantine (received_at, id);
CREATE INDEX quarantine_source_id ON quarantine (source, source_id) WHERE replayed_at IS NULL;
CREATE INDEX changes_post ON changes (post_id);
CREATE INDEX release_topics_seq ON release_topics (seq, topic);
CREATE INDEX subscriptions_slot ON subscriptions (slot, subscriber_id);
CREATE INDEX subscriptions_topic ON subscriptions (slot, topic, subscriber_id);
CREATE INDEX occurrences_open ON occurrences (fired_at) WHERE planned_at IS NULL;
CREATE INDEX occurrences_slot ON occurrences (slot, due_at);
CREATE INDEX editions_replaced ON editions (replaced_at) WHERE replaced_at IS NOT NULL AND moved_at IS NULL;
CREATE INDEX editions_open ON editions (schedule) WHERE closed_at IS NULL;
CREATE INDEX edition_items_story ON edition_items (story_id, edition_id);
CREATE INDEX edition_items_post ON edition_items (post_id, edition_id);
CREATE INDEX deliveries_due ON deliveries (destination, lane, due_at) WHERE state = 'due';
CREATE INDEX deliveries_taken ON deliveries (claimed_term) WHERE state IN ('claimed', 'sending');
CREATE INDEX deliveries_uncertain ON deliveries (due_at) WHERE state = 'uncertain';
CREATE INDEX deliveries_open ON deliveries (edition_id) WHERE state IN ('due', 'claimed', 'sending');
COMMIT;

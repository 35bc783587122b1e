CREATE TABLE token (
    name TEXT NOT NULL, sha256 TEXT NOT NULL, scopes TEXT NOT NULL, connections TEXT,
    created_at BIGINT NOT NULL, revoked_at BIGINT,
    PRIMARY KEY (name), UNIQUE (sha256)
);

CREATE TABLE audit (
    id {serial} NOT NULL, connection TEXT NOT NULL, at BIGINT NOT NULL, token TEXT NOT NULL,
    surface TEXT NOT NULL, operation TEXT NOT NULL, effect TEXT NOT NULL, touched TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX audit_connection ON audit (connection, id);

CREATE TABLE audit_outcome (
    audit_id {bigint} NOT NULL, at BIGINT NOT NULL, outcome TEXT NOT NULL, touched TEXT NOT NULL,
    PRIMARY KEY (audit_id)
);

CREATE TABLE idempotency (
    scope TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, token TEXT, until BIGINT NOT NULL,
    status INTEGER, body TEXT, created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE TABLE secret (
    name TEXT NOT NULL, sealed TEXT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE event (
    number {serial} NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, connection TEXT NOT NULL,
    at BIGINT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL,
    PRIMARY KEY (number), UNIQUE (id)
);
CREATE INDEX event_listed ON event (connection, type, number);
CREATE INDEX event_subject ON event (subject);

CREATE TABLE hook (
    id TEXT NOT NULL, connection TEXT NOT NULL, event TEXT NOT NULL, target_url TEXT NOT NULL,
    created_at BIGINT NOT NULL, secret TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX hook_same ON hook (connection, event, target_url);

CREATE TABLE hook_delivery (
    number {serial} NOT NULL, hook_id TEXT NOT NULL, event_number BIGINT NOT NULL,
    state TEXT NOT NULL, tries INTEGER NOT NULL, outcome TEXT, due BIGINT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (number)
);
CREATE INDEX hook_delivery_due ON hook_delivery (hook_id, due) WHERE due IS NOT NULL;
CREATE INDEX hook_delivery_event ON hook_delivery (event_number);
CREATE INDEX hook_delivery_listed ON hook_delivery (hook_id, number);

CREATE TABLE callback (
    id TEXT NOT NULL, connection TEXT NOT NULL, operation TEXT NOT NULL, answer TEXT NOT NULL,
    target_url TEXT NOT NULL, created_at BIGINT NOT NULL, due BIGINT NOT NULL, ready_at BIGINT,
    tries BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX callback_due ON callback (due);

CREATE TABLE launch (
    id TEXT NOT NULL, connection TEXT NOT NULL, status TEXT NOT NULL, created_at BIGINT NOT NULL,
    options TEXT NOT NULL, goes_on BOOLEAN NOT NULL, phase TEXT, phase_due BIGINT,
    single BOOLEAN NOT NULL, planned_at BIGINT, expires_at BIGINT, started_at BIGINT,
    finished_at BIGINT, pause_reason TEXT, error TEXT, message TEXT, cohort_id TEXT,
    cohort_name TEXT, request_id TEXT, members_total BIGINT NOT NULL, with_email BIGINT NOT NULL,
    bad_emails BIGINT NOT NULL, carried TEXT, skipped TEXT NOT NULL, examples TEXT,
    planned BIGINT NOT NULL, waiting BIGINT NOT NULL, sending BIGINT NOT NULL,
    started BIGINT NOT NULL, completed BIGINT NOT NULL, expired BIGINT NOT NULL,
    failed BIGINT NOT NULL, in_doubt BIGINT NOT NULL, cancelled BIGINT NOT NULL,
    standing BOOLEAN NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX launch_listed ON launch (connection, created_at, id);
CREATE INDEX launch_open ON launch (connection) WHERE status IN ('running', 'paused');
CREATE INDEX launch_phase ON launch (phase) WHERE phase IS NOT NULL;
CREATE INDEX launch_standing ON launch (connection, cohort_id, created_at) WHERE standing;

CREATE TABLE launch_source (
    launch_id TEXT NOT NULL, position INTEGER NOT NULL, members TEXT NOT NULL,
    PRIMARY KEY (launch_id, position)
);

CREATE TABLE invitation (
    id TEXT NOT NULL, connection TEXT NOT NULL, launch_id TEXT NOT NULL, position BIGINT NOT NULL,
    state TEXT NOT NULL, person BIGINT NOT NULL, created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL, taken_at BIGINT, user_id TEXT, email TEXT, name TEXT,
    interview_id TEXT, link TEXT, session_token TEXT, reason TEXT, message TEXT,
    sending_since BIGINT, started_at BIGINT, due BIGINT, polls BIGINT NOT NULL, complete_due BIGINT,
    pruned_at BIGINT, counted_day INTEGER, scatter SMALLINT,
    PRIMARY KEY (id)
);
CREATE INDEX invitation_complete_due ON invitation (connection, complete_due) WHERE complete_due IS NOT NULL;
CREATE INDEX invitation_counted ON invitation (connection, counted_day) WHERE counted_day IS NOT NULL;
CREATE INDEX invitation_due ON invitation (connection, due) WHERE due IS NOT NULL;
CREATE INDEX invitation_interview ON invitation (connection, interview_id) WHERE interview_id IS NOT NULL;
CREATE INDEX invitation_listed ON invitation (launch_id, position);
CREATE INDEX invitation_person ON invitation (person, taken_at, state);
CREATE INDEX invitation_scatter ON invitation (scatter) WHERE scatter IS NOT NULL;
CREATE INDEX invitation_sending ON invitation (connection) WHERE sending_since IS NOT NULL;
CREATE INDEX invitation_state ON invitation (launch_id, state, position);
CREATE INDEX invitation_unpruned ON invitation (created_at) WHERE pruned_at IS NULL;

CREATE TABLE credit (
    lane TEXT NOT NULL, day INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (lane, day)
);

CREATE TABLE download (
    id {serial} NOT NULL, lane TEXT NOT NULL, at BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX download_at ON download (lane, at);

CREATE TABLE cohort_message (
    id {serial} NOT NULL, connection TEXT NOT NULL, message_id TEXT NOT NULL,
    cohort_id TEXT NOT NULL, cohort_name TEXT, in_cohort BOOLEAN NOT NULL,
    computed_at BIGINT NOT NULL, received_at BIGINT NOT NULL, stage TEXT NOT NULL,
    held BOOLEAN NOT NULL, carried TEXT,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX cohort_message_once ON cohort_message (connection, message_id);
CREATE INDEX cohort_message_open ON cohort_message (connection, computed_at, id) WHERE stage <> 'done';
CREATE INDEX cohort_message_received ON cohort_message (received_at);

CREATE TABLE cohort_piece (
    message {bigint} NOT NULL, position INTEGER NOT NULL, members TEXT NOT NULL,
    PRIMARY KEY (message, position)
);

CREATE TABLE cohort_mention (
    key {bigint} NOT NULL, cohort_id TEXT NOT NULL, computed_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (key, cohort_id)
);
CREATE INDEX cohort_mention_updated ON cohort_mention (updated_at);

CREATE TABLE alias (
    key {bigint} NOT NULL, person BIGINT NOT NULL,
    PRIMARY KEY (key)
);
CREATE INDEX alias_person ON alias (person);

CREATE TABLE erasure (
    run_id TEXT NOT NULL, connection TEXT NOT NULL, created_at BIGINT NOT NULL, finished_at BIGINT,
    due BIGINT, unset_due BIGINT, received_up_to BIGINT NOT NULL, keys TEXT NOT NULL,
    interviews TEXT NOT NULL, counts TEXT NOT NULL, sealed TEXT,
    PRIMARY KEY (run_id)
);

CREATE TABLE inbox (
    id {serial} NOT NULL, connection TEXT NOT NULL, received_at BIGINT NOT NULL,
    source TEXT NOT NULL, state TEXT NOT NULL, event TEXT, interview_id TEXT, webhook_id TEXT,
    digest TEXT, body TEXT, header TEXT, scheme TEXT, signed_at BIGINT,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX inbox_digest ON inbox (connection, digest);
CREATE INDEX inbox_interview ON inbox (connection, interview_id);
CREATE INDEX inbox_new ON inbox (connection, id) WHERE state = 'new';
CREATE INDEX inbox_unreadable ON inbox (connection, id) WHERE state = 'unreadable';
CREATE UNIQUE INDEX inbox_webhook_id ON inbox (connection, webhook_id) WHERE webhook_id IS NOT NULL;

CREATE TABLE sync (
    connection TEXT NOT NULL, interview_id TEXT NOT NULL, status TEXT NOT NULL,
    first_received_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, reason TEXT, stage TEXT,
    due BIGINT, completed_at BIGINT, synced_at BIGINT, facts TEXT, user_id TEXT, user_hash TEXT,
    identify TEXT, event TEXT, from_call BOOLEAN NOT NULL, reads BIGINT NOT NULL,
    tries BIGINT NOT NULL, frozen_at BIGINT, sending_since BIGINT, unknown_since BIGINT,
    attempts TEXT, run_id TEXT, backfill BOOLEAN NOT NULL, force BOOLEAN NOT NULL, pruned_at BIGINT,
    respondent BIGINT, external BIGINT, scatter SMALLINT,
    PRIMARY KEY (connection, interview_id)
);
CREATE INDEX sync_due ON sync (stage, connection, due, completed_at) WHERE stage IS NOT NULL;
CREATE INDEX sync_external ON sync (external) WHERE external IS NOT NULL;
CREATE INDEX sync_listed ON sync (connection, first_received_at, interview_id);
CREATE INDEX sync_respondent ON sync (respondent) WHERE respondent IS NOT NULL;
CREATE INDEX sync_run ON sync (run_id, stage, reads) WHERE run_id IS NOT NULL;
CREATE INDEX sync_scatter ON sync (scatter) WHERE scatter IS NOT NULL;
CREATE INDEX sync_sending ON sync (connection) WHERE sending_since IS NOT NULL;
CREATE INDEX sync_unpruned ON sync (first_received_at) WHERE pruned_at IS NULL;
CREATE INDEX sync_user ON sync (user_hash, connection, completed_at) WHERE user_hash IS NOT NULL;

CREATE TABLE run (
    id TEXT NOT NULL, connection TEXT NOT NULL, operation TEXT NOT NULL, created_at BIGINT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE run_item (
    run_id TEXT NOT NULL, interview_id TEXT NOT NULL,
    PRIMARY KEY (run_id, interview_id)
);

CREATE TABLE counter (
    connection TEXT NOT NULL, day INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (connection, day, status, reason)
);

CREATE TABLE lane (
    name TEXT NOT NULL, owner TEXT, until BIGINT NOT NULL, token BIGINT NOT NULL,
    paced_until BIGINT NOT NULL, paused_until BIGINT NOT NULL, pause_code TEXT, pause_message TEXT,
    PRIMARY KEY (name)
);

CREATE TABLE rate_limit (
    name TEXT NOT NULL, next_at BIGINT NOT NULL, next_interactive_at BIGINT NOT NULL,
    reserved_until BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE diagnostic (
    id {serial} NOT NULL, connection TEXT NOT NULL, kind TEXT NOT NULL, at BIGINT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX diagnostic_kind ON diagnostic (connection, kind, id);

CREATE TABLE fault (
    worker TEXT NOT NULL, job TEXT NOT NULL, connection TEXT NOT NULL, error TEXT NOT NULL,
    tries BIGINT NOT NULL, at BIGINT NOT NULL, due BIGINT,
    PRIMARY KEY (worker, job)
);

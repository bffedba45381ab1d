-- Times are nanoseconds since 1970 (UTC) unless the name says otherwise; ids are 16-byte UUIDs.

CREATE TABLE events (
    position       INTEGER PRIMARY KEY,
    event_id       BLOB    NOT NULL UNIQUE,
    event_type     TEXT    NOT NULL,
    source_service TEXT    NOT NULL,
    time_ns        INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    correlation_id BLOB    NOT NULL,
    causation_id   BLOB,
    data           TEXT    NOT NULL
) STRICT;
CREATE INDEX events_by_correlation ON events (correlation_id);
CREATE INDEX events_by_time ON events (time_ns);

CREATE TABLE consumer_offsets (
    consumer TEXT    PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE parked_events (
    consumer  TEXT    NOT NULL,
    position  INTEGER NOT NULL,
    event_id  BLOB    NOT NULL,
    attempts  INTEGER NOT NULL,
    error     TEXT    NOT NULL,
    parked_ns INTEGER NOT NULL,
    PRIMARY KEY (consumer, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_entries (
    sequence INTEGER PRIMARY KEY,
    kind     TEXT    NOT NULL,
    time_ns  INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    payload  TEXT    NOT NULL,
    previous BLOB    NOT NULL,
    hash     BLOB    NOT NULL
) STRICT;

-- Roots of perfect subtrees from level 8 (256 leaves) up; lower ones are hashed anew from entries.
CREATE TABLE ledger_nodes (
    level INTEGER NOT NULL,
    idx   INTEGER NOT NULL,
    hash  BLOB    NOT NULL,
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_state (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    tree      BLOB    NOT NULL,
    last_hash BLOB    NOT NULL
) STRICT;

CREATE TABLE ledger_checkpoints (
    size       INTEGER PRIMARY KEY,
    note       TEXT    NOT NULL,
    created_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE workflows (
    workflow_id    TEXT    PRIMARY KEY,
    run_id         TEXT    NOT NULL,
    workflow_type  TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    started_us     INTEGER NOT NULL, -- microseconds, as the workflow room counts
    closed_us      INTEGER,
    length         INTEGER NOT NULL
) STRICT;
CREATE INDEX workflows_by_status ON workflows (status, started_us);

CREATE TABLE workflow_events (
    workflow_id TEXT    NOT NULL,
    id          INTEGER NOT NULL,
    event       TEXT    NOT NULL,
    PRIMARY KEY (workflow_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE workflow_heartbeats (
    workflow_id TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    details     TEXT    NOT NULL,
    PRIMARY KEY (workflow_id, seq)
) STRICT, WITHOUT ROWID;

-- What is still to be sent on; an id is never used twice.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,
    reference  TEXT    NOT NULL,
    created_ns INTEGER NOT NULL
) STRICT;

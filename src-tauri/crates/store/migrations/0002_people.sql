-- Orders, signed reports, break-glass, policies' home stays 'settings'; what belongs to a session
-- moves out of the settings into its own row.

ALTER TABLE sessions ADD COLUMN plan TEXT;       -- JSON of the workstation room
ALTER TABLE sessions ADD COLUMN checks TEXT;     -- JSON of the workstation room
ALTER TABLE sessions ADD COLUMN recorded_s REAL; -- gaps included; NULL while it records

-- The names of version 1 hold the id as text: 'session.018f…-…-….plan'.
CREATE TEMPORARY TABLE session_names (id BLOB PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO session_names SELECT id, 'session.' || lower(
    substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) ||
    '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21, 12)
) FROM sessions;
UPDATE sessions SET
    plan = (SELECT value FROM settings, session_names n
            WHERE n.id = sessions.id AND settings.name = n.name || '.plan'),
    checks = (SELECT value FROM settings, session_names n
              WHERE n.id = sessions.id AND settings.name = n.name || '.checks'),
    recorded_s = (SELECT CAST(value AS REAL) FROM settings, session_names n
                  WHERE n.id = sessions.id AND settings.name = n.name || '.recorded_s');
DELETE FROM settings WHERE name IN (
    SELECT name || '.plan' FROM session_names
    UNION ALL SELECT name || '.checks' FROM session_names
    UNION ALL SELECT name || '.recorded_s' FROM session_names
);
DROP TABLE session_names;

-- Documents of more kinds: SQLite changes a CHECK only by a new table.
CREATE TABLE documents_2 (
    id           BLOB    PRIMARY KEY,
    kind         TEXT    NOT NULL CHECK (kind IN ('export', 'report', 'addendum', 'certificate')),
    session_id   BLOB    REFERENCES sessions (id),
    recording_id BLOB    REFERENCES recordings (id),
    format       TEXT    NOT NULL,
    identified   INTEGER NOT NULL CHECK (identified IN (0, 1)),
    path         TEXT    NOT NULL,
    sha256       TEXT    NOT NULL,
    by_user_id   BLOB,
    created_ns   INTEGER NOT NULL
) STRICT;
INSERT INTO documents_2 SELECT id, kind, session_id, recording_id, format, identified, path, sha256,
    by_user_id, created_ns FROM documents;
DROP TABLE documents;
ALTER TABLE documents_2 RENAME TO documents;
CREATE INDEX documents_by_session ON documents (session_id);

CREATE TABLE orders (
    id         BLOB    PRIMARY KEY,
    patient_id BLOB    NOT NULL REFERENCES patients (id),
    protocol   TEXT    NOT NULL,
    planned_ns INTEGER NOT NULL,
    zone_s     INTEGER NOT NULL, -- the zone's offset then, seconds east of UTC
    note       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('open', 'begun', 'cancelled')),
    session_id BLOB    REFERENCES sessions (id),
    by_user_id BLOB,
    created_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_by_time ON orders (planned_ns);
CREATE INDEX orders_by_patient ON orders (patient_id, planned_ns);
CREATE INDEX orders_by_session ON orders (session_id) WHERE session_id IS NOT NULL;

-- What a clinician writes before signing.
CREATE TABLE report_drafts (
    session_id BLOB    PRIMARY KEY REFERENCES sessions (id),
    impression TEXT    NOT NULL,
    conclusion TEXT    NOT NULL,
    by_user_id BLOB,
    updated_ns INTEGER NOT NULL
) STRICT;

-- The first of a session (number 0) signs its report, each further one an addendum.
CREATE TABLE signatures (
    session_id       BLOB    NOT NULL REFERENCES sessions (id),
    number           INTEGER NOT NULL,
    document_id      BLOB    NOT NULL REFERENCES documents (id),
    addendum         TEXT,             -- its text; NULL for the report's own
    by_user_id       BLOB    NOT NULL REFERENCES users (id),
    name             TEXT    NOT NULL, -- as it was shown then
    meaning          TEXT    NOT NULL,
    at_ns            INTEGER NOT NULL,
    zone_s           INTEGER NOT NULL, -- the zone's offset then, seconds east of UTC
    document_sha256  TEXT    NOT NULL,
    recording_sha256 TEXT    NOT NULL,
    event_id         BLOB    NOT NULL, -- the event, and so the ledger entry, that holds it
    PRIMARY KEY (session_id, number)
) STRICT, WITHOUT ROWID;

-- Who came in by break-glass, and why; the event says only that somebody did.
CREATE TABLE break_glass (
    id         BLOB    PRIMARY KEY,
    name       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at_ns      INTEGER NOT NULL,
    expires_ns INTEGER NOT NULL
) STRICT;

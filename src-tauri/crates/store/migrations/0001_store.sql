-- Times are nanoseconds since 1970 (UTC); ids are 16-byte UUIDs; words are snake case.

CREATE TABLE patients (
    id              BLOB    PRIMARY KEY,
    family_name     TEXT    NOT NULL,
    given_name      TEXT    NOT NULL,
    birth_date      TEXT,             -- YYYY-MM-DD
    sex             TEXT    NOT NULL CHECK (sex IN ('female', 'male', 'unknown')),
    hospital_number TEXT,
    training        INTEGER NOT NULL CHECK (training IN (0, 1)),
    temporary       INTEGER NOT NULL CHECK (temporary IN (0, 1)),
    created_ns      INTEGER NOT NULL,
    updated_ns      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX patients_by_number ON patients (hospital_number) WHERE hospital_number IS NOT NULL;

CREATE TABLE consents (
    id         BLOB    PRIMARY KEY,
    patient_id BLOB    NOT NULL REFERENCES patients (id),
    state      TEXT    NOT NULL CHECK (state IN ('missing', 'granted', 'refused', 'withdrawn')),
    by_user_id BLOB,
    at_ns      INTEGER NOT NULL
) STRICT;
CREATE INDEX consents_by_patient ON consents (patient_id, at_ns);

CREATE TABLE sessions (
    id           BLOB    PRIMARY KEY,
    patient_id   BLOB    NOT NULL REFERENCES patients (id),
    protocol     TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    recording_id BLOB,
    device_id    TEXT,
    training     INTEGER NOT NULL CHECK (training IN (0, 1)),
    start_now    INTEGER NOT NULL CHECK (start_now IN (0, 1)),
    by_user_id   BLOB,
    started_ns   INTEGER NOT NULL,
    ended_ns     INTEGER
) STRICT;
CREATE INDEX sessions_by_patient ON sessions (patient_id, started_ns);
CREATE INDEX sessions_by_start ON sessions (started_ns);

CREATE TABLE session_reassignments (
    session_id      BLOB    NOT NULL REFERENCES sessions (id),
    at_ns           INTEGER NOT NULL,
    from_patient_id BLOB    NOT NULL,
    to_patient_id   BLOB    NOT NULL,
    reason_code     TEXT    NOT NULL,
    by_user_id      BLOB,
    PRIMARY KEY (session_id, at_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE recordings (
    id          BLOB    PRIMARY KEY,
    session_id  BLOB    REFERENCES sessions (id),
    folder      TEXT    NOT NULL, -- relative to the data folder; an opaque name
    wrapped_key TEXT    NOT NULL, -- where the wrapped recording key lies
    started_ns  INTEGER NOT NULL,
    ended_ns    INTEGER
) STRICT;

CREATE TABLE documents (
    id           BLOB    PRIMARY KEY,
    kind         TEXT    NOT NULL CHECK (kind IN ('export', 'report')),
    session_id   BLOB    REFERENCES sessions (id),
    recording_id BLOB    REFERENCES recordings (id),
    format       TEXT    NOT NULL,
    identified   INTEGER NOT NULL CHECK (identified IN (0, 1)),
    path         TEXT    NOT NULL,
    sha256       TEXT    NOT NULL,
    by_user_id   BLOB,
    created_ns   INTEGER NOT NULL
) STRICT;
CREATE INDEX documents_by_session ON documents (session_id);

CREATE TABLE users (
    id            BLOB    PRIMARY KEY,
    login         TEXT    NOT NULL UNIQUE,
    display_name  TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL, -- Argon2id in PHC form
    disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_ns    INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
    name       TEXT    PRIMARY KEY,
    value      TEXT    NOT NULL, -- JSON
    updated_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

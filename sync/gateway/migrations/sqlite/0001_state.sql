-- Keys of the gateway's state. A deleted key stays as a row without a value, so that replicas and waiters
-- learn of its deletion.
CREATE TABLE state (
    space    TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    value    BLOB,
    created  INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    PRIMARY KEY (space, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX state_modified ON state (modified);

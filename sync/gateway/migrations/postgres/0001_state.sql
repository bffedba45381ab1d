-- Keys of the gateway's state. A deleted key stays as a row without a value, so that replicas and waiters
-- learn of its deletion. Keys are bytes: they sort alike in every language, and may hold any character.
CREATE TABLE state (
    space    text   NOT NULL,
    key      bytea  NOT NULL,
    value    bytea,
    created  bigint NOT NULL,
    modified bigint NOT NULL,
    PRIMARY KEY (space, key)
);

CREATE INDEX state_modified ON state (modified);

-- Who wrote the newest transactions, by the last index of each: a replica that lost its connection while
-- it committed finds out here whether it did.
CREATE TABLE state_commits (
    last   bigint PRIMARY KEY,
    writer bytea  NOT NULL
);

-- Signed notes of the ledger's state (tlog-checkpoint), by the number of entries that they are over.
CREATE TABLE ledger_checkpoints (
    size bigint PRIMARY KEY,
    note text   NOT NULL
);

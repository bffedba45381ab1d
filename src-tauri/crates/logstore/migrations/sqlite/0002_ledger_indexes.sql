-- The ledger is read by kind and by what an entry belongs to, a page at a time; each index holds the
-- sequence (the row id) as well, so that a page needs no sorting.
CREATE INDEX ledger_by_kind ON ledger_entries (kind);
CREATE INDEX ledger_by_correlation ON ledger_entries (json_extract(payload, '$.correlation_id'));

//! The event log, workflow histories and ledger on SQL.

//! Who may depend on whom, asserted from cargo metadata. The assertions are in `tests/it`.

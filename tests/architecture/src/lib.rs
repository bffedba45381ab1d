//! Who may depend on whom, asserted from cargo metadata.

//! These devices are read only: nothing of theirs acts on the patient.

use contract::{DeviceError, Safety};

/// Has nothing to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadOnly;

impl Safety for ReadOnly {
    fn end_all(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}

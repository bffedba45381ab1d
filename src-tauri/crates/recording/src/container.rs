/// Version this code writes.
pub const FORMAT: u16 = 1;
/// Least reader that understands what this code writes.
pub const MIN_READER: u16 = 1;

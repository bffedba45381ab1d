//! Numbers that do not end at a byte.

/// `width` (at most 24) bits from bit `at` on, the first bit of a byte being its highest; `None` beyond the end.
pub(crate) fn high_first(bytes: &[u8], at: usize, width: usize) -> Option<u32> {
    let (first, last) = (at / 8, (at + width).div_ceil(8));
    let word = bytes
        .get(first..last)?
        .iter()
        .fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let below = last * 8 - at - width;
    let value = word >> below & ((1 << width) - 1);
    u32::try_from(value).ok()
}

/// `width` (at most 24) bits from bit `at` on, the first bit of a byte being its lowest; `None` beyond the end.
pub(crate) fn low_first(bytes: &[u8], at: usize, width: usize) -> Option<u32> {
    let (first, last) = (at / 8, (at + width).div_ceil(8));
    let word = bytes
        .get(first..last)?
        .iter()
        .rev()
        .fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let value = word >> (at % 8) & ((1 << width) - 1);
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_and_the_end() {
        let bytes = [0xAB, 0xCD, 0xEF];
        assert_eq!(high_first(&bytes, 0, 12), Some(0xABC));
        assert_eq!(high_first(&bytes, 12, 12), Some(0xDEF));
        assert_eq!(low_first(&bytes, 0, 12), Some(0xDAB));
        assert_eq!(low_first(&bytes, 12, 12), Some(0xEFC));
        assert_eq!(high_first(&bytes, 13, 12), None);
        assert_eq!(low_first(&bytes, 13, 12), None);
    }
}

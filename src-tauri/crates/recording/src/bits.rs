//! Bit streams (most significant bit first) and variable-length integers.

/// Writes bits behind the bytes already in `out`.
pub(crate) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    acc: u64,
    filled: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            acc: 0,
            filled: 0,
        }
    }

    /// Appends the low `bits` (≤ 57) of `value`, whose higher bits must be zero.
    #[inline]
    pub(crate) fn push(&mut self, value: u64, bits: u32) {
        debug_assert!(bits <= 57 && (bits == 64 || value >> bits == 0));
        if self.filled + bits > 64 {
            self.flush_whole();
        }
        if bits > 0 {
            self.acc |= value << (64 - self.filled - bits);
            self.filled += bits;
        }
    }

    #[inline]
    fn flush_whole(&mut self) {
        let bytes = (self.filled / 8) as usize;
        self.out.extend_from_slice(&self.acc.to_be_bytes()[..bytes]);
        self.acc = if bytes == 8 {
            0
        } else {
            self.acc << (bytes * 8)
        };
        self.filled &= 7;
    }

    /// Pads with zero bits to a whole byte.
    pub(crate) fn finish(self) {
        let bytes = self.filled.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.acc.to_be_bytes()[..bytes]);
    }
}

/// Reads what [`BitWriter`] wrote; beyond the end it reads zeros and says so at the end.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Reads from bit `position` on.
    pub(crate) const fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// The next bits, left-aligned; at least 57 of them are valid.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        let at = self.position / 8;
        let word = match self.bytes.get(at..at + 8) {
            Some(word) => u64::from_be_bytes([
                word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
            ]),
            None => self.peek_end(at),
        };
        word << (self.position % 8)
    }

    #[cold]
    fn peek_end(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        let rest = self.bytes.get(at..).unwrap_or(&[]);
        word[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(word)
    }

    #[inline]
    pub(crate) fn skip(&mut self, bits: u32) {
        self.position += bits as usize;
    }

    /// The next `bits` (≤ 57).
    #[inline]
    pub(crate) fn take(&mut self, bits: u32) -> u64 {
        if bits == 0 {
            return 0;
        }
        let value = self.peek() >> (64 - bits);
        self.skip(bits);
        value
    }

    /// Whether no bit beyond the end was taken and only padding is left.
    pub(crate) fn at_end(&self) -> bool {
        self.position.div_ceil(8) == self.bytes.len()
    }
}

/// LEB128.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signed LEB128 by zigzag.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Small magnitudes of either sign to small numbers.
#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Inverse of [`zigzag`].
#[inline]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A cursor over bytes; every method is `None` when they do not suffice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|b| b[0])
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// A varint that must fit a size of at most `limit`.
    pub(crate) fn size(&mut self, limit: usize) -> Option<usize> {
        let value = usize::try_from(self.varint()?).ok()?;
        (value <= limit).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back(items in prop::collection::vec((any::<u64>(), 0_u32..=57), 0..200)) {
            let mut out = vec![7];
            let mut writer = BitWriter::new(&mut out);
            for (value, bits) in &items {
                writer.push(value & ((1 << bits) - 1), *bits);
            }
            writer.finish();
            let mut reader = BitReader::at(&out[1..], 0);
            for (value, bits) in &items {
                prop_assert_eq!(reader.take(*bits), value & ((1 << bits) - 1));
            }
            prop_assert!(reader.at_end());
        }

        #[test]
        fn varints_come_back(value in any::<i64>()) {
            let mut out = Vec::new();
            put_signed(&mut out, value);
            let mut cursor = Cursor(&out);
            prop_assert_eq!(cursor.signed(), Some(value));
            prop_assert!(cursor.0.is_empty());
        }
    }
}

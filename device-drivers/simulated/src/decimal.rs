//! Decimal texts, exactly.

/// `digits × 10^−places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) negative: bool,
    pub(crate) digits: u64,
    pub(crate) places: u32,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][E[+-]digits]`; `None` for anything else, and for what needs more
    /// than 64 bits or 18 decimal places.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, unsigned) = match text.split_first()? {
            (b'+', rest) => (false, rest),
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let mut digits: u64 = 0;
        let mut places: i32 = 0;
        let mut point = false;
        let mut any = false;
        for byte in mantissa {
            match byte {
                b'0'..=b'9' => {
                    digits = digits
                        .checked_mul(10)?
                        .checked_add(u64::from(byte - b'0'))?;
                    places += i32::from(point);
                    any = true;
                }
                b'.' if !point => point = true,
                _ => return None,
            }
            // Trailing zeros beyond any resolution that matters must not overflow.
            while places > 12 && digits.is_multiple_of(10) {
                digits /= 10;
                places -= 1;
            }
        }
        if !any {
            return None;
        }
        places -= exponent;
        while places < 0 {
            digits = digits.checked_mul(10)?;
            places += 1;
        }
        let places = u32::try_from(places).ok().filter(|places| *places <= 18)?;
        Some(Self {
            negative,
            digits,
            places,
        })
    }

    /// In billionths, to the nearest (halves away from zero); `None` beyond 64 bits.
    pub(crate) fn nanos(self) -> Option<i64> {
        let scaled = if self.places <= 9 {
            u128::from(self.digits) * 10_u128.pow(9 - self.places)
        } else {
            let divisor = 10_u128.pow(self.places - 9);
            (u128::from(self.digits) + divisor / 2) / divisor
        };
        let nanos = i64::try_from(scaled).ok()?;
        Some(if self.negative { -nanos } else { nanos })
    }
}

fn exponent(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<i32>().ok().filter(|e| e.abs() <= 18)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let nanos = |text: &str| Decimal::parse(text.as_bytes()).and_then(Decimal::nanos);
        assert_eq!(nanos("9.59375"), Some(9_593_750_000));
        assert_eq!(nanos("+0.3906250000"), Some(390_625_000));
        assert_eq!(nanos("-1.5"), Some(-1_500_000_000));
        assert_eq!(nanos("1E-3"), Some(1_000_000));
        assert_eq!(nanos("60.00"), Some(60_000_000_000));
        assert_eq!(nanos("0.00000000000000000000000000"), Some(0));
        assert_eq!(nanos("0.0000000005"), Some(1));
        for bad in [
            "",
            "+",
            ".",
            "1..2",
            "1,5",
            "a",
            "1e",
            "1e99",
            "99999999999999999999",
        ] {
            assert_eq!(nanos(bad), None, "{bad}");
        }
    }
}

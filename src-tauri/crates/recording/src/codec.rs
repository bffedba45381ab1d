//! Compression of samples: channels × samples of one type to bytes and back, bit for bit.
//!
//! Integers: per channel, the fixed polynomial predictor of order 0–3 with the smallest residuals,
//! Rice-coded (T. Robinson, SHORTEN, CUED/F-INFENG/TR.156, 1994; RFC 9639 section 9.2.5), or a
//! frame of reference where that is smaller. Floats: bits XORed with the sample before, split into
//! byte planes, zstd. Text: lengths and bytes, zstd.

use crate::bits::{BitReader, BitWriter, Cursor, put_signed, put_varint};
use crate::limits::{MAX_FRAME_TEXT, MAX_FRAME_VALUES, ZSTD_LEVEL};
use crate::rice;
use signal::{SampleType, Samples};
use std::fmt;
use std::ops::Range;

/// Highest predictor order.
const ORDERS: usize = 4;
const CONSTANT: u8 = 0;
const PACKED: u8 = 1;
const RICE: u8 = 2;

/// Buffers that encoding reuses.
pub(crate) struct Scratch {
    row: Vec<i64>,
    residuals: Vec<i64>,
    planes: Vec<u8>,
    packed: Vec<u8>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self {
            row: Vec::new(),
            residuals: Vec::new(),
            planes: Vec::new(),
            packed: Vec::new(),
            zstd: None,
        }
    }

    /// Appends a plain length, a packed length and the zstd frame of `planes`; a packed length of 0
    /// marks bytes that zstd could not shorten, kept as they are.
    fn squeeze(&mut self, out: &mut Vec<u8>) {
        self.packed.clear();
        self.packed
            .reserve(zstd::zstd_safe::compress_bound(self.planes.len()));
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        let done = (self.zstd.as_mut())
            .and_then(|z| z.compress_to_buffer(&self.planes, &mut self.packed).ok())
            .filter(|len| *len < self.planes.len());
        put_varint(out, self.planes.len() as u64);
        if done.is_some() {
            put_varint(out, self.packed.len() as u64);
            out.extend_from_slice(&self.packed);
        } else {
            put_varint(out, 0);
            out.extend_from_slice(&self.planes);
        }
    }
}

fn unsqueeze(cursor: &mut Cursor<'_>, limit: usize) -> Option<Vec<u8>> {
    let plain = cursor.size(limit)?;
    let packed = cursor.size(plain)?;
    if packed == 0 {
        return cursor.bytes(plain).map(<[u8]>::to_vec);
    }
    let bytes = cursor.bytes(packed)?;
    // zstd expands at most some thousandfold a block; refuse to reserve memory for a lie.
    if plain / 32_768 > packed {
        return None;
    }
    let found = zstd::bulk::decompress(bytes, plain).ok()?;
    (found.len() == plain).then_some(found)
}

/// Samples of `rows` channels, row `r` at `r × stride`, its first `len` values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) len: usize,
    pub(crate) stride: usize,
}

/// Appends the code of `samples` to `out`.
pub(crate) fn encode(samples: &Samples, shape: Shape, scratch: &mut Scratch, out: &mut Vec<u8>) {
    match samples {
        Samples::I16(values) => encode_rows(values, shape, scratch, out, |v| i64::from(*v)),
        Samples::I24(values) | Samples::I32(values) => {
            encode_rows(values, shape, scratch, out, |v| i64::from(*v));
        }
        Samples::F32(values) => {
            encode_floats::<_, 4>(values, shape, scratch, out, |v| u64::from(v.to_bits()));
        }
        Samples::F64(values) => encode_floats::<_, 8>(values, shape, scratch, out, |v| v.to_bits()),
        Samples::Text(values) => encode_text(values, shape, scratch, out),
    }
}

fn encode_rows<T>(
    values: &[T],
    shape: Shape,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    widen: impl Fn(&T) -> i64,
) {
    if shape.len == 0 {
        return;
    }
    for row in 0..shape.rows {
        let from = row * shape.stride;
        scratch.row.clear();
        scratch
            .row
            .extend(values[from..from + shape.len].iter().map(&widen));
        scratch.packed.clear();
        encode_row(&scratch.row, &mut scratch.residuals, &mut scratch.packed);
        put_varint(out, scratch.packed.len() as u64);
        out.extend_from_slice(&scratch.packed);
    }
}

/// Residual `i` under each order, for i ≥ 3.
#[inline]
fn residual(order: usize, x: &[i64], i: usize) -> i64 {
    match order {
        0 => x[i],
        1 => x[i] - x[i - 1],
        2 => x[i] - 2 * x[i - 1] + x[i - 2],
        _ => x[i] - 3 * x[i - 1] + 3 * x[i - 2] - x[i - 3],
    }
}

/// The order whose residuals are smallest in sum.
fn best_order(x: &[i64]) -> usize {
    let mut sums = [0_u64; ORDERS];
    for w in x.windows(ORDERS) {
        let (a, b, c, d) = (w[3], w[2], w[1], w[0]);
        sums[0] += a.unsigned_abs();
        sums[1] += (a - b).unsigned_abs();
        sums[2] += (a - 2 * b + c).unsigned_abs();
        sums[3] += (a - 3 * b + 3 * c - d).unsigned_abs();
    }
    let mut best = 0;
    for order in 1..ORDERS {
        // Each further order costs a warm-up value.
        if sums[order] < sums[best] && x.len() > ORDERS {
            best = order;
        }
    }
    best
}

/// One channel: mode byte (low three bits; Rice keeps its parameter above them), then its content.
fn encode_row(x: &[i64], residuals: &mut Vec<i64>, out: &mut Vec<u8>) {
    let first = x[0];
    let (mut low, mut high) = (first, first);
    for v in x {
        low = low.min(*v);
        high = high.max(*v);
    }
    if low == high {
        out.push(CONSTANT);
        put_signed(out, first);
        return;
    }
    let width = 64 - ((high - low) as u64).leading_zeros();
    let packed_bits = u64::from(width) * x.len() as u64;
    let order = best_order(x);
    residuals.clear();
    residuals.extend((order..x.len()).map(|i| residual(order, x, i)));
    let (k, bits) = rice::best_parameter(residuals);
    if bits < packed_bits {
        out.push((RICE + order as u8) | ((k as u8) << 3));
        for v in &x[..order] {
            put_signed(out, *v);
        }
        rice::write(residuals, k, out);
    } else {
        out.push(PACKED);
        put_signed(out, low);
        out.push(width as u8);
        let mut writer = BitWriter::new(out);
        for v in x {
            writer.push((v - low) as u64, width);
        }
        writer.finish();
    }
}

/// A channel's code, its head read.
enum RowCode<'a> {
    Constant(i64),
    Packed {
        low: i64,
        width: u32,
        bits: &'a [u8],
    },
    Rice {
        order: usize,
        k: u32,
        rest: Cursor<'a>,
    },
}

/// Reads the head of the code of one channel of `len` values; `None` when there is no such code.
fn row_code(bytes: &[u8], len: usize) -> Option<RowCode<'_>> {
    let mut cursor = Cursor(bytes);
    let head = cursor.byte()?;
    match head & 7 {
        CONSTANT => {
            let value = cursor.signed()?;
            cursor.0.is_empty().then_some(RowCode::Constant(value))
        }
        PACKED => {
            let low = cursor.signed()?;
            let width = u32::from(cursor.byte()?);
            let fits = cursor.0.len() == (len * width as usize).div_ceil(8);
            let bits = cursor.0;
            (width != 0 && width <= 33 && fits).then_some(RowCode::Packed { low, width, bits })
        }
        mode => {
            let order = usize::from(mode - RICE);
            // Every residual takes a bit at least: a short code cannot claim a long row.
            (order < ORDERS && order <= len && cursor.0.len() * 8 >= len - order).then_some(
                RowCode::Rice {
                    order,
                    k: u32::from(head >> 3),
                    rest: cursor,
                },
            )
        }
    }
}

/// Decodes up to [`rice::LANES`] channels of `len` values each, one after the other in `rows`.
fn decode_group(codes: &[RowCode<'_>], len: usize, rows: &mut [i64]) -> Option<()> {
    let all_rice = codes
        .iter()
        .all(|code| matches!(code, RowCode::Rice { .. }));
    if codes.len() == rice::LANES && all_rice {
        let mut lanes = codes.iter().zip(rows.chunks_exact_mut(len)).map(lane);
        let lanes = [
            lanes.next()??,
            lanes.next()??,
            lanes.next()??,
            lanes.next()??,
        ];
        rice::read(lanes)?;
    } else {
        for (code, row) in codes.iter().zip(rows.chunks_exact_mut(len)) {
            match code {
                RowCode::Constant(value) => row.fill(*value),
                RowCode::Packed { low, width, bits } => {
                    let mut reader = BitReader::at(bits, 0);
                    row.fill_with(|| low.wrapping_add(reader.take(*width) as i64));
                }
                RowCode::Rice { .. } => rice::read([lane((code, row))?])?,
            }
        }
    }
    for (code, row) in codes.iter().zip(rows.chunks_exact_mut(len)) {
        if let RowCode::Rice { order, .. } = code {
            add_up(row, *order);
        }
    }
    Some(())
}

/// Puts the values that a Rice-coded row begins with in their place; the residuals go behind them.
fn lane<'a>((code, row): (&RowCode<'a>, &'a mut [i64])) -> Option<rice::Lane<'a>> {
    let RowCode::Rice { order, k, rest } = code else {
        return None;
    };
    let (warm_up, out) = row.split_at_mut_checked(*order)?;
    let mut cursor = *rest;
    for value in warm_up {
        *value = cursor.signed()?;
    }
    Some(rice::Lane {
        code: cursor.0,
        k: *k,
        out,
    })
}

/// Residuals behind the first `order` values to the values themselves.
fn add_up(row: &mut [i64], order: usize) {
    let at = |n: usize| order.checked_sub(n).map_or(0, |i| row[i]);
    let (mut a, mut b, mut c) = (at(1), at(2), at(3));
    let rest = &mut row[order..];
    match order {
        0 => {}
        1 => {
            for x in rest {
                a = a.wrapping_add(*x);
                *x = a;
            }
        }
        2 => {
            let mut slope = a.wrapping_sub(b);
            for x in rest {
                slope = slope.wrapping_add(*x);
                a = a.wrapping_add(slope);
                *x = a;
            }
        }
        _ => {
            for x in rest {
                let value = (x.wrapping_add(a.wrapping_mul(3)))
                    .wrapping_sub(b.wrapping_mul(3))
                    .wrapping_add(c);
                (c, b, a) = (b, a, value);
                *x = value;
            }
        }
    }
}

/// XORs each value with the one before and splits the result into byte planes.
fn encode_floats<T, const BYTES: usize>(
    values: &[T],
    shape: Shape,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    bits: impl Fn(&T) -> u64,
) {
    let total = shape.rows * shape.len;
    scratch.planes.clear();
    scratch.planes.resize(total * BYTES, 0);
    for row in 0..shape.rows {
        let from = row * shape.stride;
        let mut before = 0;
        for (i, value) in values[from..from + shape.len].iter().enumerate() {
            let now = bits(value);
            let change = (now ^ before).to_le_bytes();
            before = now;
            for (plane, byte) in change[..BYTES].iter().enumerate() {
                scratch.planes[plane * total + row * shape.len + i] = *byte;
            }
        }
    }
    scratch.squeeze(out);
}

fn encode_text(values: &[String], shape: Shape, scratch: &mut Scratch, out: &mut Vec<u8>) {
    scratch.planes.clear();
    for row in 0..shape.rows {
        for text in &values[row * shape.stride..row * shape.stride + shape.len] {
            put_varint(&mut scratch.planes, text.len() as u64);
            scratch.planes.extend_from_slice(text.as_bytes());
        }
    }
    scratch.squeeze(out);
}

/// Decodes the channels of `wanted` out of `rows`, `len` values each, behind those in `into`.
/// `None` when the bytes are not such a code; memory stays within the frame limits.
pub(crate) fn decode(
    bytes: &[u8],
    rows: usize,
    len: usize,
    wanted: &Range<usize>,
    into: &mut Samples,
) -> Option<()> {
    if rows.checked_mul(len)? > MAX_FRAME_VALUES || wanted.end > rows {
        return None;
    }
    match into {
        Samples::I16(values) => {
            let narrow = |v: i64| (v as i16, i64::from(v as i16) == v);
            decode_rows(bytes, rows, len, wanted, values, narrow)
        }
        Samples::I24(values) => {
            let narrow = |v: i64| (v as i32, (-(1 << 23)..1 << 23).contains(&v));
            decode_rows(bytes, rows, len, wanted, values, narrow)
        }
        Samples::I32(values) => {
            let narrow = |v: i64| (v as i32, i64::from(v as i32) == v);
            decode_rows(bytes, rows, len, wanted, values, narrow)
        }
        Samples::F32(values) => decode_floats::<_, 4>(bytes, rows, len, wanted, values, |bits| {
            f32::from_bits(bits as u32)
        }),
        Samples::F64(values) => {
            decode_floats::<_, 8>(bytes, rows, len, wanted, values, f64::from_bits)
        }
        Samples::Text(values) => decode_text(bytes, rows, len, wanted, values),
    }
}

/// `narrow` gives a value and whether it is the one it was given.
fn decode_rows<T>(
    bytes: &[u8],
    rows: usize,
    len: usize,
    wanted: &Range<usize>,
    values: &mut Vec<T>,
    narrow: impl Fn(i64) -> (T, bool),
) -> Option<()> {
    let mut cursor = Cursor(bytes);
    if len == 0 {
        return cursor.0.is_empty().then_some(());
    }
    let mut codes = Vec::new();
    for index in 0..rows {
        let size = cursor.size(bytes.len())?;
        let code = cursor.bytes(size)?;
        if wanted.contains(&index) {
            codes.push(row_code(code, len)?);
        }
    }
    if !cursor.0.is_empty() {
        return None;
    }
    values.reserve(codes.len() * len);
    let mut scratch = vec![0; codes.len().min(rice::LANES) * len];
    let mut same = true;
    for group in codes.chunks(rice::LANES) {
        let decoded = &mut scratch[..group.len() * len];
        decode_group(group, len, decoded)?;
        values.extend(decoded.iter().map(|value| {
            let (narrowed, kept) = narrow(*value);
            same &= kept;
            narrowed
        }));
    }
    same.then_some(())
}

fn decode_floats<T, const BYTES: usize>(
    bytes: &[u8],
    rows: usize,
    len: usize,
    wanted: &Range<usize>,
    values: &mut Vec<T>,
    value: impl Fn(u64) -> T,
) -> Option<()> {
    let total = rows * len;
    let mut cursor = Cursor(bytes);
    let planes = unsqueeze(&mut cursor, total * BYTES)?;
    if planes.len() != total * BYTES || !cursor.0.is_empty() {
        return None;
    }
    for row in wanted.clone() {
        let mut before = 0;
        for i in row * len..(row + 1) * len {
            let mut change = [0; 8];
            for (plane, byte) in change[..BYTES].iter_mut().enumerate() {
                *byte = planes[plane * total + i];
            }
            before ^= u64::from_le_bytes(change);
            values.push(value(before));
        }
    }
    Some(())
}

fn decode_text(
    bytes: &[u8],
    rows: usize,
    len: usize,
    wanted: &Range<usize>,
    values: &mut Vec<String>,
) -> Option<()> {
    let mut cursor = Cursor(bytes);
    let plain = unsqueeze(&mut cursor, MAX_FRAME_TEXT)?;
    if !cursor.0.is_empty() {
        return None;
    }
    let mut cursor = Cursor(&plain);
    for index in 0..rows * len {
        let size = cursor.size(plain.len())?;
        let text = std::str::from_utf8(cursor.bytes(size)?).ok()?;
        if wanted.contains(&(index / len)) {
            values.push(text.to_owned());
        }
    }
    cursor.0.is_empty().then_some(())
}

/// Empty storage of `sample_type`.
pub(crate) fn empty(sample_type: SampleType) -> Samples {
    Samples::with_capacity(sample_type, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(samples: &Samples, rows: usize, len: usize) {
        let mut out = Vec::new();
        let shape = Shape {
            rows,
            len,
            stride: len,
        };
        encode(samples, shape, &mut Scratch::new(), &mut out);
        let mut found = empty(samples.sample_type());
        decode(&out, rows, len, &(0..rows), &mut found).expect("decodes");
        match (samples, &found) {
            // NaN is not equal to itself: compare bits.
            (Samples::F32(a), Samples::F32(b)) => {
                assert!(
                    a.iter()
                        .map(|v| v.to_bits())
                        .eq(b.iter().map(|v| v.to_bits()))
                );
            }
            (Samples::F64(a), Samples::F64(b)) => {
                assert!(
                    a.iter()
                        .map(|v| v.to_bits())
                        .eq(b.iter().map(|v| v.to_bits()))
                );
            }
            (a, b) => assert_eq!(a, b),
        }
        for cut in 0..out.len().min(40) {
            // Every code is exact in length, so that a shorter one never decodes.
            let mut rest = empty(samples.sample_type());
            assert!(
                decode(&out[..cut], rows, len, &(0..rows), &mut rest).is_none() || len * rows == 0
            );
        }
    }

    fn shape() -> impl Strategy<Value = (usize, usize)> {
        (1_usize..5, 1_usize..300)
    }

    /// Ints of very different sizes, with runs and extremes among them.
    fn ints(low: i64, high: i64) -> impl Strategy<Value = ((usize, usize), Vec<i64>)> {
        (shape(), 0_u32..34).prop_flat_map(move |((rows, len), bits)| {
            let narrow = (-(1_i64 << bits)).max(low)..=((1_i64 << bits) - 1).min(high);
            let value = prop_oneof![30 => narrow, 1 => Just(low), 1 => Just(high), 5 => Just(0)];
            (Just((rows, len)), prop::collection::vec(value, rows * len))
        })
    }

    proptest! {
        #[test]
        fn i16_round_trip(((rows, len), v) in ints(i16::MIN.into(), i16::MAX.into())) {
            check(&Samples::I16(v.iter().map(|x| *x as i16).collect()), rows, len);
        }

        #[test]
        fn i24_round_trip(((rows, len), v) in ints(-(1 << 23), (1 << 23) - 1)) {
            check(&Samples::I24(v.iter().map(|x| *x as i32).collect()), rows, len);
        }

        #[test]
        fn i32_round_trip(((rows, len), v) in ints(i32::MIN.into(), i32::MAX.into())) {
            check(&Samples::I32(v.iter().map(|x| *x as i32).collect()), rows, len);
        }

        #[test]
        fn f32_round_trip((rows, len) in shape(), seed in prop::collection::vec(any::<u32>(), 1500)) {
            check(&Samples::F32(seed[..rows * len].iter().map(|b| f32::from_bits(*b)).collect()), rows, len);
        }

        #[test]
        fn f64_round_trip((rows, len) in shape(), seed in prop::collection::vec(any::<u64>(), 1500)) {
            check(&Samples::F64(seed[..rows * len].iter().map(|b| f64::from_bits(*b)).collect()), rows, len);
        }

        #[test]
        fn text_round_trip(texts in prop::collection::vec(".{0,20}", 1..40)) {
            let len = texts.len();
            check(&Samples::Text(texts), 1, len);
        }

        #[test]
        fn hostile_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200), rows in 0_usize..6, len in 0_usize..1000, kind in 0_usize..6,
        ) {
            let types = [SampleType::I16, SampleType::I24, SampleType::I32, SampleType::F32, SampleType::F64, SampleType::Text];
            let _ = decode(&bytes, rows, len, &(0..rows), &mut empty(types[kind]));
        }
    }

    #[test]
    fn extremes_alternate() {
        for len in 1..70 {
            let v = (0..len)
                .map(|i| if i % 2 == 0 { i32::MIN } else { i32::MAX })
                .collect();
            check(&Samples::I32(v), 1, len);
        }
    }
}

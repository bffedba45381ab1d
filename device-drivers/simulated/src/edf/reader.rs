//! Reading data records.

use super::error::EdfError;
use super::header::{Header, header_len, parse_header};
use crate::limits::{MAX_RECORD_BYTES, MAX_RECORDS};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

/// How a file's records lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a record.
    pub record_bytes: u64,
    /// Whole records there are to read, above zero.
    pub records: u64,
    /// Records that the header promises and the file does not hold.
    pub missing_records: u64,
    /// Bytes after the last whole record.
    pub trailing_bytes: u64,
}

impl Layout {
    /// Fits what the header says to the file's length. A count of −1, or of 0 before data, is taken
    /// from the length: recorders that were cut off leave such files.
    fn new(header: &Header, file_bytes: u64) -> Result<Self, EdfError> {
        let record_bytes = header.record_bytes();
        let data = file_bytes.saturating_sub(header.header_bytes);
        let whole = data.checked_div(record_bytes).unwrap_or(0);
        if whole == 0 {
            return Err(EdfError::NoRecord {
                needed: record_bytes,
                found: data,
            });
        }
        let limit = |what, found, limit| {
            if found > limit {
                Err(EdfError::TooLarge { what, found, limit })
            } else {
                Ok(())
            }
        };
        limit(
            "the size of a data record in bytes",
            record_bytes,
            MAX_RECORD_BYTES,
        )?;
        let stated = header.record_count.filter(|count| *count > 0);
        let records = stated.unwrap_or(whole).min(whole);
        limit("the number of data records", records, MAX_RECORDS)?;
        Ok(Self {
            record_bytes,
            records,
            missing_records: stated.unwrap_or(0).saturating_sub(whole),
            trailing_bytes: data - records * record_bytes,
        })
    }
}

/// Reads a file record by record.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    header: Header,
    layout: Layout,
    ranges: Vec<Range<usize>>,
    position: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the header and checks it against the length of `source`.
    ///
    /// # Errors
    /// A header that cannot be read, no whole record, or more than the limits allow.
    pub fn new(mut source: R) -> Result<Self, EdfError> {
        let file_bytes = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::with_capacity(256);
        source.by_ref().take(256).read_to_end(&mut bytes)?;
        if bytes.len() == 256 {
            // At most 9,999 signals, 2.5 MB.
            let rest = header_len(&bytes).unwrap_or(256) - 256;
            source.by_ref().take(rest as u64).read_to_end(&mut bytes)?;
        }
        let header = parse_header(&bytes)?;
        let layout = Layout::new(&header, file_bytes)?;
        let width = header.format.sample_bytes();
        let mut ranges = Vec::with_capacity(header.signals.len());
        let mut start = 0;
        for signal in &header.signals {
            // Below the record's size, which is limited.
            let end = start + usize::try_from(signal.samples).unwrap_or(0) * width;
            ranges.push(start..end);
            start = end;
        }
        Ok(Self {
            source,
            position: header.header_bytes,
            header,
            layout,
            ranges,
        })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Number and size of the records.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Where a signal's samples lie within a record, bytes.
    #[must_use]
    pub fn signal_range(&self, signal: usize) -> Range<usize> {
        self.ranges.get(signal).cloned().unwrap_or(0..0)
    }

    /// Reads record `index` into `record`.
    ///
    /// # Errors
    /// Reading failed, or the file has become shorter.
    pub fn read_record(&mut self, index: u64, record: &mut Vec<u8>) -> Result<(), EdfError> {
        let len = usize::try_from(self.layout.record_bytes).unwrap_or(0);
        self.read_part(index, 0..len, record)
    }

    /// Reads one signal of record `index` into `part`.
    ///
    /// # Errors
    /// As for [`Self::read_record`].
    pub fn read_signal(
        &mut self,
        index: u64,
        signal: usize,
        part: &mut Vec<u8>,
    ) -> Result<(), EdfError> {
        self.read_part(index, self.signal_range(signal), part)
    }

    fn read_part(
        &mut self,
        index: u64,
        range: Range<usize>,
        target: &mut Vec<u8>,
    ) -> Result<(), EdfError> {
        let start = self.header.header_bytes + index * self.layout.record_bytes;
        let start = start + range.start as u64;
        if self.position != start {
            self.source.seek(SeekFrom::Start(start))?;
        }
        target.resize(range.len(), 0);
        // Unknown until the read has succeeded.
        self.position = u64::MAX;
        self.source.read_exact(target)?;
        self.position = start + range.len() as u64;
        Ok(())
    }
}

//! The header of the classic formats (CDF-1, CDF-2, CDF-5), read to see whether the data that it describes are there.
//!
//! The library below opens a truncated file without a word and reads zeros past its end, and believes a record count
//! of billions. Specification: <https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html>.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Names and counts longer than this are damage; the format's own limit for names is 256.
const LONGEST_NAME: u64 = 4096;
const MOST_ITEMS: u64 = 1 << 20;
const RECORDS_UNKNOWN: u64 = u64::MAX;

/// `Ok` for any other format. The error says what is wrong with the file.
pub fn check_extent(path: &Path) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("a file that cannot be read ({error})");
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut header = Header { input: BufReader::new(file), wide: false, offset_wide: false };
    let mut magic = [0; 4];
    if header.input.read_exact(&mut magic).is_err() || &magic[..3] != b"CDF" {
        return Ok(());
    }
    (header.wide, header.offset_wide) = (magic[3] == 5, magic[3] != 1);
    let end = header.end_of_data(size).ok_or("a damaged header")?;
    if let Some((variable, needed)) = end.filter(|(_, needed)| *needed > size) {
        return Err(format!("a truncated file: {size} bytes, and the values of {variable} reach to byte {needed}"));
    }
    Ok(())
}

struct Header {
    input: BufReader<File>,
    /// Counts are 64 bits wide (CDF-5).
    wide: bool,
    /// Offsets are 64 bits wide (CDF-2, CDF-5).
    offset_wide: bool,
}

impl Header {
    /// The variable whose values end last, and where; `None` inside: no variables.
    fn end_of_data(&mut self, size: u64) -> Option<Option<(String, u64)>> {
        let streaming = if self.wide { u64::MAX } else { u64::from(u32::MAX) };
        let mut records = self.count()?;
        if records == streaming {
            records = RECORDS_UNKNOWN;
        }
        let mut lengths = Vec::new();
        for _ in 0..self.list(10)? {
            self.name()?;
            lengths.push(self.count()?);
        }
        self.attributes()?;
        let mut variables = Vec::new();
        for _ in 0..self.list(11)? {
            let name = self.name()?;
            let dimensions = self.items()?;
            let mut is_record = false;
            let mut elements: u64 = 1;
            for place in 0..dimensions {
                let length = *lengths.get(usize::try_from(self.count()?).ok()?)?;
                if place == 0 && length == 0 {
                    is_record = true;
                } else {
                    elements = elements.checked_mul(length)?;
                }
            }
            self.attributes()?;
            let bytes = elements.checked_mul(type_size(self.u32()?)?)?;
            // the size in the header is of no use: it overflows for large variables
            self.count()?;
            let begin = if self.offset_wide { self.u64()? } else { u64::from(self.u32()?) };
            variables.push((name, is_record, bytes, begin));
        }
        // a single record variable is not padded to four bytes
        let padded = |bytes: u64| bytes.checked_next_multiple_of(4);
        let record_variables: Vec<_> = variables.iter().filter(|(_, is_record, ..)| *is_record).collect();
        let record = match record_variables.as_slice() {
            [only] => only.2,
            several => several.iter().try_fold(0u64, |sum, (.., bytes, _)| sum.checked_add(padded(*bytes)?))?,
        };
        if records == RECORDS_UNKNOWN {
            let begin = record_variables.iter().map(|(.., begin)| *begin).min().unwrap_or(0);
            records = size.saturating_sub(begin).checked_div(record).unwrap_or(0);
        }
        let mut last: Option<(String, u64)> = None;
        for (name, is_record, bytes, begin) in variables {
            let before = match (is_record, records) {
                (true, 0) => continue,
                (true, records) => record.checked_mul(records - 1)?,
                (false, _) => 0,
            };
            let end = begin.checked_add(before)?.checked_add(bytes)?;
            if last.as_ref().is_none_or(|(_, other)| end > *other) {
                last = Some((name, end));
            }
        }
        Some(last)
    }

    fn u32(&mut self) -> Option<u32> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes).ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes).ok()?;
        Some(u64::from_be_bytes(bytes))
    }

    fn count(&mut self) -> Option<u64> {
        if self.wide { self.u64() } else { self.u32().map(u64::from) }
    }

    fn items(&mut self) -> Option<u64> {
        self.count().filter(|items| *items <= MOST_ITEMS)
    }

    /// Number of items of a list with this tag; an absent list has none.
    fn list(&mut self, tag: u32) -> Option<u64> {
        let found = self.u32()?;
        let items = self.items()?;
        (found == tag || (found == 0 && items == 0)).then_some(items)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        let copied = std::io::copy(&mut self.input.by_ref().take(bytes), &mut std::io::sink()).ok()?;
        (copied == bytes).then_some(())
    }

    fn name(&mut self) -> Option<String> {
        let length = self.count().filter(|length| *length <= LONGEST_NAME)?;
        let mut bytes = vec![0; length.checked_next_multiple_of(4)? as usize];
        self.input.read_exact(&mut bytes).ok()?;
        bytes.truncate(length as usize);
        String::from_utf8(bytes).ok()
    }

    fn attributes(&mut self) -> Option<()> {
        for _ in 0..self.list(12)? {
            self.name()?;
            let size = type_size(self.u32()?)?;
            let bytes = self.count()?.checked_mul(size)?.checked_next_multiple_of(4)?;
            self.skip(bytes)?;
        }
        Some(())
    }
}

/// Bytes of one value of an external type.
fn type_size(code: u32) -> Option<u64> {
    Some(match code {
        1 | 2 | 7 => 1,
        3 | 8 => 2,
        4 | 5 | 9 => 4,
        6 | 10 | 11 => 8,
        _ => return None,
    })
}

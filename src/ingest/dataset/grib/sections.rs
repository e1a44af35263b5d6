//! The sections of GRIB messages (WMO's Manual on Codes, FM 92, editions 1 and 2). All lengths are looked at here, once:
//! ecCodes believes some of them.
//!
//! A message of edition 2 may hold several fields: sections 2 to 7, 3 to 7 or 4 to 7 come again, and what is not repeated
//! holds for the next field too. Each is given to ecCodes as a message of its own.

use std::io;
use std::ops::Range;

/// Section 0 of edition 2.
const INDICATOR: usize = 16;
/// Section 8.
const END: &[u8] = b"7777";
/// The number of a bitmap that is that of a field before.
const PREVIOUS: u8 = 254;

/// Where the sections of a field lie in its message, section 0 first; the end is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(Vec<Range<usize>>);

impl Field {
    /// A message with this field alone. `read` gives the bytes of a part of the message that it is in.
    pub fn alone(&self, read: impl Fn(Range<usize>) -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        for range in &self.0 {
            message.extend(read(range.clone())?);
        }
        message.extend_from_slice(END);
        let length = message.len() as u64;
        // a field has section 0 always
        message[8..INDICATOR].copy_from_slice(&length.to_be_bytes());
        Ok(message)
    }
}

fn check_end(message: &[u8]) -> Result<(), String> {
    if message.len() < INDICATOR + END.len() || !message.ends_with(END) {
        return Err(format!("{} bytes that do not end with {:?}", message.len(), String::from_utf8_lossy(END)));
    }
    Ok(())
}

/// Sections 1 to 4 of a message of edition 1 lie one after the other, each as long as it says, at least as long as its kind is.
/// ecCodes also looks up the unit of the step (code table 4) where it has no such unit.
fn check_edition_1(message: &[u8]) -> Result<(), String> {
    const INDICATOR: usize = 8;
    check_end(message)?;
    let end = message.len().saturating_sub(END.len());
    let mut at = INDICATOR;
    let mut section = |number: u8, least: usize, to_the_end: bool| {
        let length = match message[at.min(end)..end] {
            _ if to_the_end => end - at,
            [a, b, c, ..] => u32::from_be_bytes([0, a, b, c]) as usize,
            _ => 0,
        };
        let start = at;
        if length < least || length > end - at.min(end) {
            let left = end - at.min(end);
            return Err(format!("section {number} at byte {at} has a length of {length}; there are {left}"));
        }
        at += length;
        Ok(start)
    };
    let product = section(1, 28, false)?;
    let unit = message[product + 17];
    if !matches!(unit, 0..=15 | 254) {
        return Err(format!("the unit of its forecast step is {unit}, which code table 4 does not have"));
    }
    let has = message[product + 7];
    if has & 0x80 != 0 {
        section(2, 10, false)?;
    }
    if has & 0x40 != 0 {
        section(3, 6, false)?;
    }
    // a length that has no room in 23 bits is told in units, and then section 4 does not tell its own
    let is_long = message[4] & 0x80 != 0;
    section(4, 11, is_long)?;
    Ok(())
}

/// The fields of a message of edition 2; none of one of edition 1, which is a field itself.
pub fn fields(message: &[u8]) -> Result<Vec<Field>, String> {
    if message.get(7) != Some(&2) {
        return check_edition_1(message).map(|()| Vec::new());
    }
    check_end(message)?;
    let end = message.len() - END.len();
    let mut fields = Vec::new();
    // sections 1 to 7 that hold for the field which is coming
    let mut current: [Option<Range<usize>>; 7] = Default::default();
    let mut bitmap = None;
    let (mut last, mut at) = (0u8, INDICATOR);
    while at < end {
        let (length, number) = match message[at..end] {
            [a, b, c, d, number, ..] => (u32::from_be_bytes([a, b, c, d]) as usize, number),
            _ => return Err(format!("{} bytes behind section {last} that are no section", end - at)),
        };
        if length < 5 || length > end - at {
            return Err(format!("section {number} at byte {at} has a length of {length}; there are {}", end - at));
        }
        // section 2 may be missing; after section 7 comes the next field
        let follows = match last {
            0 => number == 1,
            1 => number == 2 || number == 3,
            7 => (2..=4).contains(&number),
            _ => number == last + 1,
        };
        if !follows {
            return Err(format!("section {number} follows section {last} at byte {at}"));
        }
        let range = at..at + length;
        if number == 6 {
            match message.get(at + 5) {
                Some(&PREVIOUS) => {
                    current[5] = bitmap.clone();
                    if bitmap.is_none() {
                        return Err("the bitmap is that of a field before, and there is none".to_owned());
                    }
                }
                _ => {
                    bitmap = Some(range.clone());
                    current[5] = Some(range);
                }
            }
        } else {
            current[usize::from(number) - 1] = Some(range);
        }
        if number == 7 {
            let sections = current.iter().flatten().cloned();
            fields.push(Field(std::iter::once(0..INDICATOR).chain(sections).collect()));
        }
        (last, at) = (number, at + length);
    }
    if last != 7 {
        return Err(format!("the message ends behind section {last}"));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sections of a number and content each, as a message.
    fn message(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut message = b"GRIB\0\0\x00\x02\0\0\0\0\0\0\0\0".to_vec();
        for (number, content) in sections {
            message.extend((content.len() as u32 + 5).to_be_bytes());
            message.push(*number);
            message.extend_from_slice(content);
        }
        message.extend_from_slice(END);
        let length = message.len() as u64;
        message[8..16].copy_from_slice(&length.to_be_bytes());
        message
    }

    fn alone(message: &[u8]) -> Vec<Vec<u8>> {
        let read = |range: Range<usize>| Ok(message[range].to_vec());
        fields(message).unwrap().iter().map(|field| field.alone(read).unwrap()).collect()
    }

    #[test]
    fn what_is_not_repeated_holds_for_the_next_field() {
        let bitmap: &[u8] = &[0, 0b1010_0000];
        let first: &[(u8, &[u8])] = &[(1, b"1"), (3, b"3"), (4, b"4"), (5, b"5"), (6, bitmap), (7, b"7")];
        assert_eq!(alone(&message(first)), [message(first)]);
        let mut several = first.to_vec();
        several.extend([(4u8, b"four".as_slice()), (5, b"5"), (6, &[PREVIOUS]), (7, b"seven")]);
        several.extend([(2u8, b"local".as_slice()), (3, b"three"), (4, b"4"), (5, b"5"), (6, &[255]), (7, b"7")]);
        let second: &[(u8, &[u8])] = &[(1, b"1"), (3, b"3"), (4, b"four"), (5, b"5"), (6, bitmap), (7, b"seven")];
        let third: &[(u8, &[u8])] =
            &[(1, b"1"), (2, b"local"), (3, b"three"), (4, b"4"), (5, b"5"), (6, &[255]), (7, b"7")];
        assert_eq!(alone(&message(&several)), [message(first), message(second), message(third)]);
    }

    #[test]
    fn lengths_of_edition_1_are_checked() {
        let mut sections = vec![0u8; 28 + 32 + 6 + 11];
        for (start, length, flags) in [(0, 28, 0xc0), (28, 32, 0), (60, 6, 0), (66, 11, 0)] {
            sections[start + 2] = length;
            sections[start + 7] = flags;
        }
        let good = [b"GRIB\0\0\x59\x01".as_slice(), &sections, END].concat();
        assert_eq!(fields(&good), Ok(Vec::new()));
        for cut in 8..good.len() {
            assert!(fields(&good[..cut]).is_err(), "cut at {cut}");
        }
        for (number, start) in [(1, 0), (2, 28), (3, 60), (4, 66)] {
            for length in [0, 3, 5, 200, 0xff_ffff_u32] {
                let mut bad = good.clone();
                bad[8 + start..][..3].copy_from_slice(&length.to_be_bytes()[1..]);
                let error = fields(&bad).unwrap_err();
                assert!(error.contains(&format!("section {number} ")), "{number} {length}: {error}");
            }
        }
        for (unit, known) in [(1, true), (13, true), (254, true), (17, false), (255, false)] {
            let mut other = good.clone();
            other[8 + 17] = unit;
            assert_eq!(fields(&other).is_ok(), known, "{unit}");
        }
        // as long messages are: section 4 goes to the end
        let mut long = good.clone();
        long[4] = 0x80;
        long[8 + 66..][..3].copy_from_slice(&[0, 0, 3]);
        assert_eq!(fields(&long), Ok(Vec::new()));
    }

    #[test]
    fn lengths_and_orders_that_lie_are_errors() {
        let whole: &[(u8, &[u8])] = &[(1, b"1"), (3, b"3"), (4, b"4"), (5, b"5"), (6, &[255]), (7, b"7")];
        let good = message(whole);
        for cut in INDICATOR..good.len() {
            assert!(fields(&good[..cut]).is_err(), "cut at {cut}");
        }
        // the first section's length
        for length in [0, 4, 5, 7, 1000, u32::MAX] {
            let mut bad = good.clone();
            bad[16..20].copy_from_slice(&length.to_be_bytes());
            assert!(fields(&bad).is_err(), "{length}");
        }
        for (without, _) in whole {
            let rest: Vec<_> = whole.iter().filter(|(number, _)| number != without).copied().collect();
            assert!(fields(&message(&rest)).is_err(), "without section {without}");
        }
        let mut no_bitmap = whole.to_vec();
        no_bitmap[4].1 = &[PREVIOUS];
        assert!(fields(&message(&no_bitmap)).unwrap_err().contains("bitmap"));
        assert!(fields(&message(&[])).is_err());
    }
}

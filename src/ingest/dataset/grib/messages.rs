//! Where the messages of a GRIB file lie. ecCodes finds them, too, but reads each before its sections can be looked at, and of
//! some that are damaged it ends the process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What a message begins with.
const MAGIC: &[u8] = b"GRIB";
/// Section 0 of edition 2, the longer one.
const INDICATOR: usize = 16;
/// Bytes that are searched at once.
const PIECE: usize = 64 << 10;

/// The messages of a file, one after the other; what lies between them is passed over.
pub struct Messages<'a> {
    file: &'a File,
    size: u64,
    at: u64,
}

/// A message in memory, and where it begins.
pub struct Message {
    pub offset: u64,
    pub bytes: Vec<u8>,
}

impl<'a> Messages<'a> {
    pub fn of(file: &'a File) -> io::Result<Self> {
        Ok(Self { file, size: file.metadata()?.len(), at: 0 })
    }

    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        let left = self.size.saturating_sub(offset);
        if length > left {
            return Err(format!("it says that it has {length} bytes, and the file has {left} from there on"));
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// The next place that looks like the beginning of a message.
    fn find(&mut self) -> Result<Option<(u64, Vec<u8>)>, String> {
        while self.at + INDICATOR as u64 <= self.size {
            let piece = self.read(self.at, (self.size - self.at).min(PIECE as u64))?;
            let ends = piece.len() - (INDICATOR - 1);
            let begins = |start: &usize| piece[*start..].starts_with(MAGIC) && matches!(piece[start + 7], 1 | 2);
            if let Some(start) = (0..ends).find(begins) {
                self.at += start as u64;
                return Ok(Some((self.at, piece[start..start + INDICATOR].to_vec())));
            }
            self.at += ends as u64;
        }
        Ok(None)
    }

    /// Bytes of the message that begins at `offset`.
    fn length(&self, offset: u64, indicator: &[u8]) -> Result<u64, String> {
        if indicator[7] == 2 {
            let mut length = [0; 8];
            length.copy_from_slice(&indicator[8..]);
            return Ok(u64::from_be_bytes(length));
        }
        let three = |bytes: &[u8]| u64::from(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]));
        const LONG: u64 = 0x80_0000;
        let told = three(&indicator[4..]);
        if told & LONG == 0 {
            return Ok(told);
        }
        // in units of 120 bytes, less what section 4 says in place of its length (ECMWF's way, of which the standard knows nothing)
        let mut at = offset + 8;
        let product = self.read(at, 8)?;
        at += three(&product);
        for flag in [0x80, 0x40] {
            if product[7] & flag != 0 {
                at += three(&self.read(at, 3)?);
            }
        }
        let data = three(&self.read(at, 3)?);
        Ok(if data < 120 { (120 * (told & !LONG) + 4).saturating_sub(data) } else { told })
    }

    fn message(&mut self) -> Result<Option<Message>, String> {
        let Some((offset, indicator)) = self.find()? else { return Ok(None) };
        let length = self.length(offset, &indicator)?.max(INDICATOR as u64);
        let bytes = self.read(offset, length)?;
        self.at = offset + length;
        Ok(Some(Message { offset, bytes }))
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.message().transpose()?;
        if next.is_err() {
            // nobody knows where the next one begins
            self.at = self.size;
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn messages(bytes: &[u8]) -> Result<Vec<(u64, usize)>, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let place = |message: Message| (message.offset, message.bytes.len());
        Messages::of(&file).unwrap().map(|message| message.map(place)).collect()
    }

    fn edition_1(length: u32, rest: &[u8]) -> Vec<u8> {
        [MAGIC, &length.to_be_bytes()[1..], &[1], rest].concat()
    }

    fn edition_2(length: u64, rest: &[u8]) -> Vec<u8> {
        [MAGIC, &[0, 0, 0, 2], &length.to_be_bytes(), rest].concat()
    }

    #[test]
    fn messages_are_found_among_other_bytes() {
        let (first, second) = (edition_1(28, &[7; 20]), edition_2(21, b"xxxxx"));
        let file = [b"TTAA GRI".as_slice(), &first, &[0; 70_000], &second, b"\r\r\n", &first, b"GRIB"].concat();
        let begins = [8, 8 + 28 + 70_000, 8 + 28 + 70_000 + 21 + 3];
        assert_eq!(messages(&file).unwrap(), [(begins[0], 28), (begins[1], 21), (begins[2], 28)]);
        // across the pieces that are searched
        for before in PIECE - 20..PIECE + 4 {
            assert_eq!(messages(&[vec![b'G'; before], second.clone()].concat()).unwrap(), [(before as u64, 21)]);
        }
        assert!(messages(b"").unwrap().is_empty() && messages(b"no message at all, but long").unwrap().is_empty());
    }

    #[test]
    fn a_length_that_lies_is_an_error() {
        assert!(messages(&edition_2(u64::MAX, b"xxxxx")).unwrap_err().contains("18446744073709551615 bytes"));
        assert!(messages(&edition_1(29, &[7; 20])).is_err());
        // shorter than its own beginning: looked at, and refused with its sections
        assert_eq!(messages(&edition_2(0, b"xxxxx")).unwrap(), [(0, 16)]);
    }

    #[test]
    fn long_messages_of_edition_1_tell_their_length_in_units() {
        let mut sections = vec![0; 28 + 32 + 392];
        (sections[2], sections[7], sections[28 + 2], sections[28 + 32 + 2]) = (28, 0x80, 32, 24);
        // 4 × 120 - 24 + 4
        let file = edition_1(0x80_0000 | 4, &sections);
        assert_eq!((file.len(), messages(&file).unwrap()), (460, vec![(0, 460)]));
    }
}

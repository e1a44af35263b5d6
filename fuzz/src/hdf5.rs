//! HDF5 files: checksums of their metadata are made right again after a mutation, so that what they protect is read.
//!
//! <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>; addresses and lengths are of eight bytes.

use libfuzzer_sys::fuzzer_mutate;

use crate::Random;

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
const DEEPEST: usize = 8;

/// For `fuzz_mutator!`; files of other formats are mutated as bytes.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let size = fuzzer_mutate(data, size, max_size);
    if !Random(seed.into()).once_in(8) && data[..size].starts_with(SIGNATURE) {
        correct(&mut data[..size]);
    }
    size
}

/// Writes the checksums of superblock, object headers, B-trees and heaps.
pub fn correct(file: &mut [u8]) {
    if matches!(file.get(8), Some(2 | 3)) {
        seal(file, 0, 44);
    }
    for place in 0..file.len().saturating_sub(4) {
        // what is cut off has no checksum
        let _ = match &file[place..place + 4] {
            b"OHDR" => object_header(file, place),
            b"BTHD" => tree(file, place),
            b"FRHP" => heap(file, place),
            _ => None,
        };
    }
}

/// The checksum of `length` bytes lies behind them.
fn seal(file: &mut [u8], start: usize, length: usize) -> Option<()> {
    let end = start.checked_add(length)?;
    let checksum = lookup3(file.get(start..end)?);
    file.get_mut(end..end.checked_add(4)?)?.copy_from_slice(&checksum.to_le_bytes());
    Some(())
}

fn number(file: &[u8], place: usize, bytes: usize) -> Option<usize> {
    let bytes = file.get(place..place.checked_add(bytes)?)?;
    let value =
        bytes.iter().rev().try_fold(0usize, |value, byte| value.checked_mul(256)?.checked_add((*byte).into()))?;
    (value <= file.len()).then_some(value)
}

fn object_header(file: &mut [u8], place: usize) -> Option<()> {
    let flags = *file.get(place + 5)?;
    let times = if flags & 0x20 != 0 { 16 } else { 0 };
    let limits = if flags & 0x10 != 0 { 4 } else { 0 };
    let width = 1 << (flags & 3);
    let messages = place + 6 + times + limits + width;
    let length = number(file, messages - width, width)?;
    continuations(file, messages, messages.checked_add(length)?, flags, 0);
    seal(file, place, messages - place + length)
}

/// Continues where messages from `place` to `end` say so.
fn continuations(file: &mut [u8], mut place: usize, end: usize, flags: u8, depth: usize) -> Option<()> {
    let header = if flags & 4 != 0 { 6 } else { 4 };
    while depth < DEEPEST && place.checked_add(header)? <= end {
        let (kind, length) = (*file.get(place)?, number(file, place + 1, 2)?);
        place += header;
        if kind == 0x10 {
            let (start, length) = (number(file, place, 8)?, number(file, place + 8, 8)?);
            if file.get(start..start + 4)? == b"OCHK" && length > 8 {
                let end = start + length - 4;
                continuations(file, start + 4, end, flags, depth + 1);
                seal(file, start, length - 4);
            }
        }
        place += length;
    }
    Some(())
}

fn tree(file: &mut [u8], place: usize) -> Option<()> {
    let (record, depth) = (number(file, place + 10, 2)?, number(file, place + 12, 2)?);
    let (root, records) = (number(file, place + 16, 8), number(file, place + 24, 2)?);
    seal(file, place, 34)?;
    if depth == 0 { seal(file, root?, 6 + records * record) } else { None }
}

fn heap(file: &mut [u8], place: usize) -> Option<()> {
    if number(file, place + 7, 2)? == 0 {
        seal(file, place, 142)?;
    }
    let checksums = file.get(place + 9)? & 2 != 0;
    let (block, bits) = (number(file, place + 112, 8)?, number(file, place + 128, 2)?);
    let (root, rows) = (number(file, place + 132, 8)?, number(file, place + 140, 2)?);
    // one block alone, whose checksum lies inside and counts as zeros
    if rows == 0 && checksums && file.get(root..root + 4)? == b"FHDB" {
        let inside = root + 13 + bits.div_ceil(8);
        file.get_mut(inside..inside + 4)?.fill(0);
        let checksum = lookup3(file.get(root..root.checked_add(block)?)?);
        file.get_mut(inside..inside + 4)?.copy_from_slice(&checksum.to_le_bytes());
    }
    Some(())
}

/// Bob Jenkins's `hashlittle`, <https://burtleburtle.net/bob/c/lookup3.c>.
fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let [mut a, mut b, mut c] = [start; 3];
    if bytes.is_empty() {
        return c;
    }
    let words = |block: &[u8]| {
        let mut padded = [0; 12];
        padded[..block.len()].copy_from_slice(block);
        [0, 4, 8].map(|n| u32::from_le_bytes([padded[n], padded[n + 1], padded[n + 2], padded[n + 3]]))
    };
    let blocks = bytes.len().div_ceil(12);
    for (n, block) in bytes.chunks(12).enumerate() {
        let [x, y, z] = words(block);
        (a, b, c) = (a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z));
        if n + 1 == blocks {
            break;
        }
        for (rotate, target) in [(4, 0), (6, 1), (8, 2), (16, 0), (19, 1), (4, 2)] {
            let (one, two, three) = match target {
                0 => (&mut a, &mut c, b),
                1 => (&mut b, &mut a, c),
                _ => (&mut c, &mut b, a),
            };
            *one = one.wrapping_sub(*two) ^ two.rotate_left(rotate);
            *two = two.wrapping_add(three);
        }
    }
    for (rotate, target) in [(14, 2), (11, 0), (25, 1), (16, 2), (4, 0), (14, 1), (24, 2)] {
        let (one, two) = match target {
            0 => (&mut a, c),
            1 => (&mut b, a),
            _ => (&mut c, b),
        };
        *one = (*one ^ two).wrapping_sub(two.rotate_left(rotate));
    }
    c
}

#[cfg(test)]
mod tests {
    /// Values of the author's own driver.
    #[test]
    fn checksums_are_those_of_the_reference() {
        assert_eq!(super::lookup3(b""), 0xdead_beef);
        assert_eq!(super::lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}

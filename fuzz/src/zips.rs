//! Zip files: what is mutated is inside, and packed again, so that its checksum holds.

use std::io::{Cursor, Read, Write};

use libfuzzer_sys::fuzzer_mutate;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::Random;

const MOST_ENTRIES: usize = 512;
const MOST_BYTES: u64 = 1 << 20;
/// Bytes that an entry may grow by.
const GROWTH: usize = 256;
/// Entries that say what the others are.
const DOCUMENTS: &[&str] =
    &[".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json", ".pkl", ".yaml", ".toml", "config.npy"];

/// A file in a zip file.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// `None`: it cannot be read, or is not small.
pub fn unpack(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    if archive.len() > MOST_ENTRIES {
        return None;
    }
    let mut left = MOST_BYTES;
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).ok()?;
        let name = entry.name().ok()?.into_owned();
        let mut bytes = Vec::new();
        left = left.checked_sub(entry.by_ref().take(left).read_to_end(&mut bytes).ok()? as u64)?;
        entries.push(Entry { name, bytes });
    }
    Some(entries)
}

/// `None`: a name comes twice.
pub fn pack(entries: &[Entry]) -> Option<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for Entry { name, bytes } in entries {
        writer.start_file(name.as_str(), stored).ok()?;
        writer.write_all(bytes).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}

/// For `fuzz_mutator!`: most mutations are of one entry, and most of those of a document.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random(seed.into());
    let inside = if random.once_in(16) { None } else { unpack(&data[..size]) };
    let packed = inside.filter(|entries| !entries.is_empty()).and_then(|mut entries| {
        change(&mut entries, &mut random);
        pack(&entries).filter(|packed| packed.len() <= max_size)
    });
    match packed {
        Some(packed) => {
            data[..packed.len()].copy_from_slice(&packed);
            packed.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
}

fn change(entries: &mut Vec<Entry>, random: &mut Random) {
    let is_document = |entry: &Entry| DOCUMENTS.iter().any(|ending| entry.name.ends_with(ending));
    let documents: Vec<usize> = (0..entries.len()).filter(|&n| is_document(&entries[n])).collect();
    let chosen = match documents.as_slice() {
        [] => random.below(entries.len()),
        _ if random.once_in(4) => random.below(entries.len()),
        documents => documents[random.below(documents.len())],
    };
    match random.below(48) {
        0 => drop(entries.remove(chosen)),
        1 => entries[chosen].bytes = entries[random.below(entries.len())].bytes.clone(),
        2 => {
            let mut name = entries[chosen].name.clone().into_bytes();
            mutate_bytes(&mut name);
            entries[chosen].name = String::from_utf8_lossy(&name).into_owned();
        }
        _ if entries[chosen].bytes.starts_with(b"PK") => {
            // a checkpoint is a zip file by itself
            let bytes = &mut entries[chosen].bytes;
            let size = bytes.len();
            bytes.resize(size + GROWTH, 0);
            let size = mutate(bytes, size, size + GROWTH, random.next() as u32);
            bytes.truncate(size);
        }
        _ => mutate_bytes(&mut entries[chosen].bytes),
    }
}

fn mutate_bytes(bytes: &mut Vec<u8>) {
    let size = bytes.len();
    bytes.resize(size + GROWTH, 0);
    let size = fuzzer_mutate(bytes, size, size + GROWTH);
    bytes.truncate(size);
}

//! Inner chunks of an object that is a file of this machine.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;

use super::shard::ShardCodec;

/// Why they could not be read.
#[derive(Debug)]
pub(super) enum Fault {
    Missing,
    Corrupt(String),
    Disk(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::UnexpectedEof => Self::Corrupt("it is cut off".to_owned()),
            _ => Self::Disk(error),
        }
    }
}

/// The bytes of the given inner chunks, in their order. Blocks.
pub(super) fn pieces(path: &Path, codec: &ShardCodec, chunks: &[usize]) -> Result<Vec<Bytes>, Fault> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    codec.check_size(size).map_err(Fault::Corrupt)?;
    let mut index = vec![0; codec.index_len()];
    let end = size - index.len() as u64;
    file.read_exact_at(&mut index, end)?;
    let ranges = codec.locate(&index, size, chunks).map_err(Fault::Corrupt)?;
    let read = |range: std::ops::Range<u64>| {
        // no longer than a chunk, as `locate` knows
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(Bytes::from(bytes))
    };
    ranges.into_iter().map(read).collect()
}

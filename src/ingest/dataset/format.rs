//! What a file is by its first bytes, and a folder by what lies in it.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::location::Location;

pub const EXPECTED: &str = "a NetCDF file (classic, 64-bit offset, CDF-5 or NetCDF-4), a GRIB file, or a Zarr store (v2 or v3; \
                            a folder, a zip file or a URL)";

/// Bulletin headers before the first message of a GRIB file are shorter.
const LONGEST_BULLETIN_HEADER: u64 = 256;

/// A format that is read.
pub enum Format {
    /// And which of its kinds.
    NetCdf(&'static str),
    /// Of any edition.
    Grib,
    Zarr(ZarrPlace),
}

/// Where a Zarr store lies.
pub enum ZarrPlace {
    Objects(Location),
    Zip(PathBuf),
}

fn as_url(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| text.contains("://"))
}

/// The path that a URL of a file or folder on this machine means.
pub fn on_this_machine(path: &Path) -> Option<PathBuf> {
    Location::parse(as_url(path)?).ok()?.local_folder().map(Path::to_owned)
}

/// The error says what is there instead.
pub fn recognise(path: &Path) -> Result<Format, String> {
    if let Some(url) = as_url(path) {
        let location = Location::parse(url).map_err(|error| error.to_string())?;
        return Ok(Format::Zarr(ZarrPlace::Objects(location)));
    }
    let unreadable = |error: std::io::Error| format!("no readable file ({error})");
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        let text = path.to_str().ok_or("a folder whose name is not UTF-8")?;
        return Location::parse(text)
            .map(|location| Format::Zarr(ZarrPlace::Objects(location)))
            .map_err(|error| error.to_string());
    }
    if !metadata.is_file() {
        return Err("something that is no ordinary file".to_owned());
    }
    let mut magic = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(8).read_to_end(&mut magic)).map_err(unreadable)?;
    match magic.as_slice() {
        [] => Err("an empty file".to_owned()),
        [b'C', b'D', b'F', 1, ..] => Ok(Format::NetCdf("NetCDF classic")),
        [b'C', b'D', b'F', 2, ..] => Ok(Format::NetCdf("NetCDF 64-bit offset")),
        [b'C', b'D', b'F', 5, ..] => Ok(Format::NetCdf("NetCDF CDF-5")),
        b"\x89HDF\r\n\x1a\n" => Ok(Format::NetCdf("NetCDF-4")),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Ok(Format::Zarr(ZarrPlace::Zip(path.to_owned()))),
        [b'G', b'R', b'I', b'B', ..] => Ok(Format::Grib),
        _ if is_bulletin(path) => Ok(Format::Grib),
        [0x0e, 0x03, 0x13, 0x01, ..] => Err("an HDF4 file".to_owned()),
        [0x1f, 0x8b, ..] => Err("a gzip file; unpack it first".to_owned()),
        [b'{', ..] => Err("a JSON file (Kerchunk references are not read; give the files that they name)".to_owned()),
        other => Err(format!("a file that begins with {:?}", String::from_utf8_lossy(other))),
    }
}

/// Whether a message of GRIB begins behind the header of a WMO bulletin.
fn is_bulletin(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST_BULLETIN_HEADER).read_to_end(&mut start));
    // indicator, length, edition
    read.is_ok() && start.windows(8).any(|bytes| bytes.starts_with(b"GRIB") && matches!(bytes[7], 1 | 2))
}

//! Files of one process, for what is read by its path: below `TMPDIR`, which `run.sh` lays into memory.

use std::path::PathBuf;

use crate::zips::Entry;

/// The folder; it is made where it is missing.
pub fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("vejr-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("TMPDIR can be written to");
    folder
}

/// A file in it with these bytes, in place of the one before.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).expect("TMPDIR has room");
    path
}

/// A folder in it with these files, in place of the one before. What has no plain name is left out.
pub fn unpacked(name: &str, entries: &[Entry]) -> PathBuf {
    let path = folder().join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("TMPDIR can be written to");
    for Entry { name, bytes } in entries {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.bytes().all(plain) && !name.starts_with('.') {
            // a name may come twice, or be too long
            let _ = std::fs::write(path.join(name), bytes);
        }
    }
    path
}

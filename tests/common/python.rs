//! Python with the modules that a test needs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has these modules: `VEJR_TEST_PYTHON`, else that of the test command. Where there is none, says so.
pub fn with(modules: &[&str]) -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    let python = std::env::var_os("VEJR_TEST_PYTHON").map_or(ours, PathBuf::from);
    let imports: Vec<String> = modules.iter().map(|module| format!("import {module}")).collect();
    let found = Command::new(&python).args(["-c", &imports.join("\n")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("SKIPPED: {} has not all of {}; see VEJR_TEST_PYTHON", python.display(), modules.join(", "));
    None
}

/// What a program printed; it must succeed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

//! The house stands: a module imports only what lies below it.

use std::path::{Path, PathBuf};

/// Module → floor. Modules of one floor do not import each other.
const FLOORS: &[(&str, u32)] = &[
    ("cli", 5),
    ("serve", 4),
    ("dmi", 4),
    ("tile", 3),
    ("forecast", 3),
    ("import", 2),
    ("score", 2),
    ("model", 1),
    ("ingest", 1),
    ("regrid", 1),
    ("store", 1),
    ("location", 0),
    ("device", 0),
    ("atmos", 0),
];

fn floor(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Modules named in `crate::module` anywhere in the code, comments left out, also in `use crate::{a, b}`.
fn imports(code: &str) -> Vec<String> {
    let code: String = code.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let mut modules = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        let name =
            |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => modules.push(name(&std::mem::take(&mut item))),
                    _ => {}
                }
                if depth == 0 && c != ',' {
                    item.push(c);
                }
            }
            modules.push(name(&item));
        } else {
            modules.push(name(rest));
        }
    }
    modules.retain(|module| !module.is_empty());
    modules
}

fn violations(module: &str, code: &str) -> Vec<String> {
    let Some(own) = floor(module) else { return vec![format!("{module} is on no floor")] };
    imports(code)
        .into_iter()
        .filter(|other| other != module)
        .filter_map(|other| match floor(&other) {
            None => Some(format!("{module} imports {other}, which is on no floor")),
            Some(theirs) if theirs >= own => Some(format!("{module} (floor {own}) imports {other} (floor {theirs})")),
            Some(_) => None,
        })
        .collect()
}

#[test]
fn no_import_climbs() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(files.len() > 30);
    let mut found = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&source).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        if module == "lib.rs" || module == "main.rs" {
            continue;
        }
        let code = std::fs::read_to_string(&file).unwrap();
        found.extend(
            violations(module, &code).into_iter().map(|violation| format!("{}: {violation}", relative.display())),
        );
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_climbing_import_is_seen() {
    assert_eq!(violations("store", "use crate::forecast::Rollout;").len(), 1);
    assert_eq!(violations("ingest", "let x = crate::model::State::new();").len(), 1);
    assert_eq!(violations("atmos", "use crate::{device::Shared, atmos::{Grid, Level}, nowhere};").len(), 2);
    assert_eq!(violations("forecast", "use crate::store::ForecastWriter;\nuse crate::{atmos::Grid, model};").len(), 0);
    assert_eq!(violations("atmos", "// crate::cli is up there").len(), 0);
}

#[test]
fn unsafe_and_cuda_live_in_device() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    for file in files.iter().filter(|file| !file.strip_prefix(&source).unwrap().starts_with("device")) {
        let code = std::fs::read_to_string(file).unwrap();
        // the allocator's settings are a symbol that main exports, not code
        let code: String = code.replace("#[unsafe(export_name", "");
        for line in code.lines().map(|line| line.split("//").next().unwrap_or("")) {
            assert!(!line.contains("unsafe") && !line.contains("feature = \"cuda\""), "{}: {line}", file.display());
        }
    }
}

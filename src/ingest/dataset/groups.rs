//! Groups of NetCDF-4 files (CF 2.7): what lies in one is called by its path, `forecast/t`, and what attributes name is
//! called so too. Above this module there is one list of arrays, and dimensions that each have a name of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Array, Attribute};

/// Deeper groups are nobody's.
pub const DEEPEST: usize = 16;

/// Attributes that name other variables.
const NAMING: &[&str] = &[
    "coordinates",
    "bounds",
    "climatology",
    "grid_mapping",
    "ancillary_variables",
    "formula_terms",
    "cell_measures",
    "CDI_grid_latitudes",
    "CDI_grid_reduced_points",
];

/// The group of a path, and the name in it.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

pub fn join(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") }
}

/// Whether a group is `outer`, or lies in it.
pub fn lies_in(group: &str, outer: &str) -> bool {
    outer.is_empty() || group.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `file.nc/forecast/mean` → `file.nc` and `forecast/mean`; any other path as it is, and no group.
pub fn of_path(path: &Path) -> (PathBuf, String) {
    let file = path.ancestors().skip(1).find(|ancestor| ancestor.exists()).filter(|ancestor| ancestor.is_file());
    let group = file.filter(|_| !path.exists()).and_then(|file| path.strip_prefix(file).ok()?.to_str());
    match (file, group) {
        (Some(file), Some(group)) => (file.to_owned(), group.trim_matches('/').to_owned()),
        _ => (path.to_owned(), String::new()),
    }
}

/// The names that attributes give, as paths.
pub fn resolve(arrays: &mut [Array]) {
    let paths: BTreeSet<String> = arrays.iter().map(|array| array.name.clone()).collect();
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    paths.iter().for_each(|path| by_name.entry(split(path).1).or_default().push(path));
    let find = |word: &str, group: &str| -> Option<String> {
        if word.contains('/') {
            let path = normal(word, group);
            return paths.contains(&path).then_some(path);
        }
        // here, in the groups around, or wherever there is one alone
        let mut around = std::iter::successors(Some(group), |group| (!group.is_empty()).then(|| split(group).0));
        let near = around.find_map(|group| paths.get(&join(group, word)).cloned());
        near.or_else(|| match by_name.get(word)?.as_slice() {
            [only] => Some((*only).to_owned()),
            _ => None,
        })
    };
    for array in arrays.iter_mut() {
        let group = array.group().to_owned();
        for attribute in NAMING {
            let text = array.text(attribute);
            let path = |word: &str| {
                let (name, colon) = word.strip_suffix(':').map_or((word, ""), |name| (name, ":"));
                find(name, &group).map_or_else(|| word.to_owned(), |path| path + colon)
            };
            let resolved = text.split_whitespace().map(path).collect::<Vec<_>>().join(" ");
            if resolved != text {
                array.attributes.insert(*attribute, Attribute::Text(resolved));
            }
        }
    }
}

/// A path from the root: one with a slash at its beginning is; others are from `group`.
fn normal(path: &str, group: &str) -> String {
    let from = if path.starts_with('/') { "" } else { group };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::dataset::{Attributes, ElementType};

    fn array(name: &str, attributes: &[(&str, &str)]) -> Array {
        let mut found = Attributes::default();
        attributes.iter().for_each(|(name, text)| found.insert(*name, Attribute::Text((*text).to_owned())));
        Array {
            name: name.to_owned(),
            dimensions: Vec::new(),
            kind: ElementType::F32,
            attributes: found,
            chunks: None,
            present: None,
            unreadable: None,
        }
    }

    #[test]
    fn names_are_looked_for_here_then_around_then_everywhere() {
        let mut arrays = vec![
            array("crs", &[]),
            array("lat", &[]),
            array("a/lat", &[]),
            array("a/b/t", &[("coordinates", "lat lon /lat ../lat nowhere"), ("grid_mapping", "crs: lat lon")]),
            array("c/lon", &[]),
            array("d/height", &[]),
            array("e/height", &[]),
            array("t", &[("coordinates", "height /a/lat")]),
        ];
        resolve(&mut arrays);
        assert_eq!(arrays[3].text("coordinates"), "a/lat c/lon lat a/lat nowhere");
        assert_eq!(arrays[3].text("grid_mapping"), "crs: a/lat c/lon");
        // two, neither nearer
        assert_eq!(arrays[7].text("coordinates"), "height a/lat");
    }

    #[test]
    fn groups_lie_in_themselves_and_in_those_around() {
        assert!(lies_in("a/b", "a") && lies_in("a", "a") && lies_in("a", "") && lies_in("", ""));
        assert!(!lies_in("ab", "a") && !lies_in("a", "a/b") && !lies_in("", "a"));
    }

    #[test]
    fn a_path_through_a_file_is_a_group_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.nc");
        std::fs::write(&file, "").unwrap();
        assert_eq!(of_path(&file), (file.clone(), String::new()));
        assert_eq!(of_path(&file.join("a/b")), (file, "a/b".to_owned()));
        let nowhere = folder.path().join("g.nc/a");
        assert_eq!(of_path(&nowhere), (nowhere, String::new()));
    }
}

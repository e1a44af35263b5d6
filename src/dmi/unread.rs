//! Variables that look meant for us and that nobody reads.

use super::storage::{SHARED, SIDE_VARIABLES, SIDES};
use crate::location::S3_CREDENTIALS;

const SETTINGS: &[&str] = &[
    "INPUT_ZARR",
    "OUTPUT_ZARR",
    "INPUT_VARIABLES",
    "OUTPUT_VARIABLES",
    "LEVEL_COORDS",
    "N_INPUT_TIMESTEPS",
    "N_FORECAST_STEPS",
    "FORECAST_TIMESTEP",
    "TIME_COORD",
    "X_COORD",
    "Y_COORD",
    "OUTPUT_MODE",
    "RANDOM_SEED",
    "CONSTANT_VALUE",
    "DEVICE",
    "MODEL_HIDDEN_CHANNELS",
    "MODEL_LAYERS",
    "ZARR_FORMAT",
    "LOG_LEVEL",
];

/// As alike as a misspelling is: a letter dropped, doubled or swapped, also in a short name.
const ALIKE: f64 = 0.8;

/// One line for each suspicious name; values are never told, for a misspelt variable may hold a secret.
pub fn warnings<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let sided = SIDES.iter().flat_map(|side| SIDE_VARIABLES.iter().map(move |name| format!("{side}_{name}")));
    let shared = SETTINGS.iter().chain(SHARED).chain(S3_CREDENTIALS).map(|name| (*name).to_owned());
    let read: Vec<String> = shared.chain(sided).collect();
    names.filter_map(|name| warning(name, &read)).collect()
}

fn warning(name: &str, read: &[String]) -> Option<String> {
    let ours = |name: &str| read.iter().any(|known| known == name);
    if ours(name) || is_service_link(name) || name == "AWS_SECRET_ACCESS_KEY" || name.starts_with("AWS_ENDPOINT_URL_") {
        return None;
    }
    let unread = format!("Environment variable {name} has no effect: it is not read.");
    let upper = name.to_uppercase();
    if ours(&upper) {
        return Some(format!("{unread} Did you mean {upper}? Names are case-sensitive."));
    }
    let alike = |known: &String| likeness(known, &upper);
    let best = read.iter().map(alike).fold(0.0, f64::max);
    if best >= ALIKE {
        let names: Vec<&str> = read.iter().filter(|known| alike(known) == best).map(String::as_str).collect();
        return Some(format!("{unread} Did you mean {}?", names.join(" or ")));
    }
    let side = SIDES.iter().find(|side| upper.split('_').next() == Some(side))?;
    Some(format!("{unread} Names with {side}_ are those of a store; other options go into {side}_STORAGE_OPTIONS."))
}

/// What Kubernetes sets for every service of a namespace: `INPUT_SERVICE_HOST`, `SRC_PORT_9000_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    let numbered = || name.split("_PORT_").nth(1).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.ends_with("_PORT") || numbered()
}

/// Twice the length of what two names have in common, in order, over the length of both.
fn likeness(a: &str, b: &str) -> f64 {
    let mut common = vec![0usize; b.len() + 1];
    for x in a.bytes() {
        let mut diagonal = 0;
        for (j, y) in b.bytes().enumerate() {
            let above = common[j + 1];
            common[j + 1] = if x == y { diagonal + 1 } else { above.max(common[j]) };
            diagonal = above;
        }
    }
    2.0 * common[b.len()] as f64 / (a.len() + b.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> String {
        warnings([name.to_owned()].iter()).join("")
    }

    #[test]
    fn misspellings_get_a_suggestion() {
        for (wrong, right) in [
            ("N_FORECAST_STEP", "Did you mean N_FORECAST_STEPS?"),
            ("DEVCIE", "Did you mean DEVICE?"),
            ("INPUT_VARS", "Did you mean INPUT_ZARR or INPUT_VARIABLES?"),
            ("input_zarr", "Did you mean INPUT_ZARR? Names are case-sensitive."),
            ("SRC_REGION_NAME", "SRC_STORAGE_OPTIONS"),
        ] {
            assert!(told(wrong).contains(right), "{wrong}: {}", told(wrong));
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        for name in
            ["HOSTNAME", "AWS_REGION", "CUDA_VISIBLE_DEVICES", "INPUT_SERVICE_HOST", "SRC_PORT_9000_TCP_ADDR", "PATH"]
        {
            assert_eq!(told(name), "", "{name}");
        }
    }
}

//! Where the two stores lie, each with credentials and an endpoint of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::{Map, Value};
use tracing::{info, warn};

use super::ContractError;
use crate::location::{Location, S3_CREDENTIALS, S3Settings};

/// Prefixes of the variables of the two sides.
pub const SIDES: &[&str] = &["SRC", "DST"];
/// Read as `SRC_…` and `DST_…`.
pub const SIDE_VARIABLES: &[&str] = &[
    "AWS_PROFILE",
    "S3_ENDPOINT_URL",
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "S3_ANON",
    "STORAGE_OPTIONS",
];
/// Without a prefix they hold for both sides.
pub const SHARED: &[&str] = &["AWS_PROFILE", "S3_ENDPOINT_URL", "AWS_ENDPOINT_URL", "S3_ANON"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Destination,
}

impl Side {
    fn prefix(self) -> &'static str {
        match self {
            Self::Source => SIDES[0],
            Self::Destination => SIDES[1],
        }
    }
}

type Environment = BTreeMap<String, String>;

fn value<'e>(environment: &'e Environment, name: &str) -> Option<&'e str> {
    environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// The place that a URI means on one side. The error is a problem of the configuration.
pub fn place(environment: &Environment, uri: &str, side: Side) -> Result<Location, String> {
    let prefix = side.prefix();
    let own = |name: &str| value(environment, &format!("{prefix}_{name}"));
    let either = |names: &[&str]| {
        let sided = names.iter().find_map(|name| own(name));
        sided.or_else(|| names.iter().find_map(|name| value(environment, name)))
    };
    let uri = uri.strip_prefix("s3a://").map_or_else(|| uri.to_owned(), |rest| format!("s3://{rest}"));
    if !uri.starts_with("s3://") {
        let unused: Vec<String> = ["AWS_PROFILE", "S3_ENDPOINT_URL", "S3_ANON", "AWS_ACCESS_KEY_ID"]
            .iter()
            .filter(|name| own(name).is_some())
            .map(|name| format!("{prefix}_{name}"))
            .collect();
        if !unused.is_empty() {
            warn!("{} set, but {uri} is no S3 URI: no effect", unused.join(", "));
        }
        return Location::parse(&uri).map_err(|error| error.to_string());
    }
    let options = options(own("STORAGE_OPTIONS"), prefix)?;
    let option = |name: &str| options.get(name).and_then(Value::as_str).map(str::to_owned);
    let profile_name = option("profile").or_else(|| either(&["AWS_PROFILE"]).map(str::to_owned));
    let profile = match &profile_name {
        Some(name) => profile(environment, name).map_err(|reason| format!("{prefix}_AWS_PROFILE: {reason}"))?,
        None => BTreeMap::new(),
    };
    let from_profile = |name: &str| profile.get(name).cloned();
    let endpoint = options
        .get("client_kwargs")
        .and_then(|arguments| arguments["endpoint_url"].as_str())
        .map(str::to_owned)
        .or_else(|| option("endpoint_url"))
        .or_else(|| either(&["S3_ENDPOINT_URL", "AWS_ENDPOINT_URL"]).map(str::to_owned))
        .or_else(|| from_profile("s3.endpoint_url"))
        .or_else(|| from_profile("endpoint_url"));
    let given = |option_name: &str, variable: &str| option(option_name).or_else(|| own(variable).map(str::to_owned));
    let key = given("key", "AWS_ACCESS_KEY_ID");
    // a key with its own secret and token, never with those of another
    let (key, secret, token) = match key {
        Some(key) => (Some(key), given("secret", "AWS_SECRET_ACCESS_KEY"), given("token", "AWS_SESSION_TOKEN")),
        None => (
            from_profile("aws_access_key_id"),
            from_profile("aws_secret_access_key"),
            from_profile("aws_session_token"),
        ),
    };
    if key.is_some() && secret.is_none() {
        return Err(format!("{prefix}_AWS_ACCESS_KEY_ID is set and {prefix}_AWS_SECRET_ACCESS_KEY is not"));
    }
    let anonymous = match (options.get("anon"), either(&["S3_ANON"])) {
        (Some(Value::Bool(anonymous)), _) => Some(*anonymous),
        (Some(other), _) => return Err(format!("{prefix}_STORAGE_OPTIONS: anon must be true or false, found {other}")),
        (None, Some(text)) => Some(
            boolean(text)
                .ok_or_else(|| format!("{prefix}_S3_ANON must be a boolean such as true or false, found {text:?}"))?,
        ),
        (None, None) => None,
    };
    let ambient = S3_CREDENTIALS.iter().any(|name| value(environment, name).is_some());
    let anonymous = anonymous.unwrap_or(key.is_none() && profile_name.is_none() && !ambient);
    info!(
        "{prefix} storage: endpoint {}, profile {}, {}",
        endpoint.as_deref().unwrap_or("of AWS"),
        profile_name.as_deref().unwrap_or("none"),
        match (anonymous, &key) {
            (true, _) => "anonymous access",
            (false, Some(_)) => "signed with a key (***)",
            (false, None) => "signed with the credentials of the environment",
        }
    );
    if anonymous {
        info!("{prefix} is anonymous; set {prefix}_AWS_PROFILE (or credentials) if the bucket is not public");
    }
    let settings =
        S3Settings { endpoint, region: from_profile("region"), key, secret, token, anonymous: Some(anonymous) };
    Location::parse_with(&uri, &settings).map_err(|error| error.to_string())
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A JSON object with names as s3fs has them. What is not understood is told, and not taken for granted.
fn options(text: Option<&str>, prefix: &str) -> Result<Map<String, Value>, String> {
    let Some(text) = text else { return Ok(Map::new()) };
    let options: Value =
        serde_json::from_str(text).map_err(|error| format!("{prefix}_STORAGE_OPTIONS must be valid JSON: {error}"))?;
    let Value::Object(options) = options else {
        return Err(format!("{prefix}_STORAGE_OPTIONS must be a JSON object"));
    };
    for name in options.keys() {
        if !["key", "secret", "token", "anon", "profile", "endpoint_url", "client_kwargs"].contains(&name.as_str()) {
            warn!("{prefix}_STORAGE_OPTIONS: {name} has no effect");
        }
    }
    Ok(options)
}

/// What AWS's two files say of a profile, `s3.endpoint_url` of its `services` section among it.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>
fn profile(environment: &Environment, name: &str) -> Result<BTreeMap<String, String>, String> {
    let file = |variable: &str, default: &str| {
        let home = || value(environment, "HOME").map(|home| PathBuf::from(home).join(".aws").join(default));
        value(environment, variable).map(PathBuf::from).or_else(home)
    };
    let read = |path: Option<PathBuf>| path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let config = read(file("AWS_CONFIG_FILE", "config"));
    let credentials = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
    let section = if name == "default" { "default".to_owned() } else { format!("profile {name}") };
    let (found, secrets) = (section_of(&config, &section), section_of(&credentials, name));
    if found.is_none() && secrets.is_none() {
        return Err(format!("there is no profile {name:?} in ~/.aws/config or ~/.aws/credentials"));
    }
    let mut profile = found.unwrap_or_default();
    if let Some(services) = profile.get("services").and_then(|name| section_of(&config, &format!("services {name}"))) {
        profile.extend(services);
    }
    profile.extend(secrets.unwrap_or_default());
    Ok(profile)
}

/// Keys of a section; of an indented block, with the key above it and a dot.
fn section_of(text: &str, wanted: &str) -> Option<BTreeMap<String, String>> {
    let mut found = None;
    let (mut inside, mut block) = (false, String::new());
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = header.split_whitespace().collect::<Vec<_>>().join(" ") == wanted;
            if inside {
                found.get_or_insert_with(BTreeMap::new);
            }
            continue;
        }
        let (Some(section), Some((key, value)), true) = (&mut found, trimmed.split_once('='), inside) else { continue };
        let (key, value) = (key.trim(), value.trim());
        if line.starts_with([' ', '\t']) {
            section.insert(format!("{block}.{key}"), value.to_owned());
        } else {
            block = key.to_owned();
            section.insert(key.to_owned(), value.to_owned());
        }
    }
    found
}

/// Which format the store at a place has. None there is a wrong input; no answer is storage's fault.
pub async fn zarr_format(location: &Location, uri: &str) -> Result<u8, ContractError> {
    if location.local_folder().is_some_and(|folder| folder.is_file()) {
        return Err(ContractError::Input(vec![format!(
            "INPUT_ZARR {uri} is a file; a Zarr store, a folder or a URL, is expected"
        )]));
    }
    for (document, format) in [("zarr.json", 3), (".zgroup", 2), (".zmetadata", 2)] {
        match location.store().head(&Path::from(document)).await {
            Ok(_) => return Ok(format),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => {
                return Err(ContractError::Storage(format!(
                    "the input store {uri} cannot be reached: {error}; check SRC_AWS_PROFILE, the credentials and the endpoint"
                )));
            }
        }
    }
    Err(ContractError::Input(vec![format!(
        "INPUT_ZARR {uri}: no Zarr store is there (neither zarr.json, .zgroup nor .zmetadata); is the path right?"
    )]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_carry_the_endpoint_in_both_forms() {
        let config = "[profile a]\nregion = dk-1\nendpoint_url = http://127.0.0.1:1\n\n[services s]\ns3 =\n  endpoint_url = \
                      http://127.0.0.1:2\n[profile b]\nservices = s\n";
        assert_eq!(section_of(config, "profile a").unwrap()["endpoint_url"], "http://127.0.0.1:1");
        assert_eq!(section_of(config, "services s").unwrap()["s3.endpoint_url"], "http://127.0.0.1:2");
        assert_eq!(section_of(config, "profile c"), None);
    }

    #[test]
    fn each_side_has_its_own_settings() {
        let environment = |pairs: &[(&str, &str)]| -> Environment {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let wrong =
            |pairs: &[(&str, &str)]| place(&environment(pairs), "s3://bucket/a.zarr", Side::Source).unwrap_err();
        assert!(wrong(&[("SRC_S3_ANON", "maybe")]).contains("maybe"));
        assert!(wrong(&[("SRC_STORAGE_OPTIONS", "[1]")]).contains("object"));
        assert!(wrong(&[("SRC_AWS_ACCESS_KEY_ID", "a")]).contains("SRC_AWS_SECRET_ACCESS_KEY"));
        assert!(wrong(&[("AWS_PROFILE", "none"), ("HOME", "/nowhere")]).contains("no profile"));
        let other = environment(&[("DST_S3_ANON", "maybe")]);
        assert!(place(&other, "s3://bucket/a.zarr", Side::Source).is_ok());
    }
}

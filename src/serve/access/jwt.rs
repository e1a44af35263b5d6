//! Tokens of an identity provider: JWTs (RFC 7519), as OpenID Connect has them, checked against the provider's keys.
//!
//! Only signatures with RS256, ES256 and EdDSA are taken: what a token says of its own algorithm chooses among these, and must
//! be what the key is for. Issuer, audience and expiry are required; `nbf` holds where it is there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::{Host, Url};

use super::role::Role;
use crate::atmos::LeadTime;

/// `[access.jwt]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// `iss` of the tokens, letter by letter.
    pub issuer: String,
    /// One of `aud` of the tokens.
    pub audience: String,
    /// URL or file of the provider's keys, a JSON Web Key Set (RFC 7517).
    pub keys: String,
    /// How far the clocks may be apart.
    #[serde(default = "default_leeway", deserialize_with = "seconds")]
    pub leeway: Duration,
    /// The claim that holds the roles, a list or words in one text; dots lead into objects: `realm_access.roles`.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// What the roles are called there.
    #[serde(default)]
    pub roles: RoleNames,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleNames {
    pub read: String,
    pub request: String,
    pub admin: String,
}

impl Default for RoleNames {
    fn default() -> Self {
        let name = |role: Role| format!("vejr-{role}");
        Self { read: name(Role::Read), request: name(Role::Request), admin: name(Role::Admin) }
    }
}

fn default_leeway() -> Duration {
    Duration::from_secs(60)
}

fn default_roles_claim() -> String {
    "roles".to_owned()
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let time: LeadTime = String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)?;
    u64::try_from(time.seconds()).map(Duration::from_secs).map_err(serde::de::Error::custom)
}

/// Longer ones are not looked at.
const MAX_TOKEN_BYTES: usize = 8 << 10;
/// Keys that were taken back are forgotten after so long.
pub const REFRESH: Duration = Duration::from_secs(300);
/// A key that is not known is looked for at once, but not oftener.
const LEAST_REFRESH: Duration = Duration::from_secs(5);
const FETCH: Duration = Duration::from_secs(10);
const MAX_KEY_SET_BYTES: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("access.jwt.keys is {0}; expected https:// (http:// only on this machine), or a file")]
    Address(String),
    #[error("reading the keys from {0}: {1}")]
    Read(String, String),
    #[error("{0} is no JSON Web Key Set: {1}")]
    NoKeySet(String, String),
    #[error("{0} has no key for RS256, ES256 or EdDSA")]
    NoKeys(String),
}

/// Why a token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    #[error("{0}")]
    Refused(String),
    /// The provider's keys were never read.
    #[error("the identity provider's keys cannot be read now")]
    NoKeys,
}

/// Who is named by a token.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    pub name: String,
    pub role: Option<Role>,
}

enum Source {
    File(PathBuf),
    Url(Url, reqwest::Client),
}

/// A JSON Web Key Set.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// By their ids; a key without one is called "".
type Keys = HashMap<String, Key>;

pub struct Jwt {
    config: JwtConfig,
    source: Source,
    /// `None` until they were read once.
    keys: RwLock<Option<Keys>>,
    /// When they were last asked for.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Jwt {
    pub fn new(config: JwtConfig) -> Result<Self, KeysError> {
        let source = match Url::parse(&config.keys) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                let here = match url.host() {
                    Some(Host::Domain(name)) => name == "localhost",
                    Some(Host::Ipv4(address)) => address.is_loopback(),
                    Some(Host::Ipv6(address)) => address.is_loopback(),
                    None => false,
                };
                if url.scheme() != "https" && !here {
                    return Err(KeysError::Address(config.keys));
                }
                let client = reqwest::Client::builder().timeout(FETCH).redirect(reqwest::redirect::Policy::none());
                let client = client.build().map_err(|error| KeysError::Read(url.to_string(), error.to_string()))?;
                Source::Url(url, client)
            }
            _ if config.keys.contains("://") => return Err(KeysError::Address(config.keys)),
            _ => Source::File(PathBuf::from(&config.keys)),
        };
        Ok(Self { config, source, keys: RwLock::new(None), asked: tokio::sync::Mutex::new(None) })
    }

    /// Whether the keys lie in a file, which must be there from the beginning.
    pub fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Reads the keys anew; those that there were stay where that fails.
    pub async fn refresh(&self) -> Result<(), KeysError> {
        let place = &self.config.keys;
        let failed = |error: &dyn std::fmt::Display| KeysError::Read(place.clone(), error.to_string());
        let text = match &self.source {
            Source::File(path) => tokio::fs::read(path).await.map_err(|error| failed(&error))?,
            Source::Url(url, client) => {
                let answer = client.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
                let mut answer = answer.map_err(|error| failed(&error))?;
                let mut text = Vec::new();
                while let Some(piece) = answer.chunk().await.map_err(|error| failed(&error))? {
                    if text.len() + piece.len() > MAX_KEY_SET_BYTES {
                        return Err(failed(&format!("more than {MAX_KEY_SET_BYTES} bytes")));
                    }
                    text.extend_from_slice(&piece);
                }
                text
            }
        };
        let set: KeySet =
            serde_json::from_slice(&text).map_err(|error| KeysError::NoKeySet(place.clone(), error.to_string()))?;
        // a provider may have keys of kinds that are not known here
        let keys = set.keys.into_iter().filter_map(|key| usable(&serde_json::from_value(key).ok()?));
        let keys: Keys = keys.collect();
        if keys.is_empty() {
            return Err(KeysError::NoKeys(place.clone()));
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
        Ok(())
    }

    /// Reads the keys again and again. Runs until it is dropped.
    pub async fn keep(&self) {
        loop {
            self.refresh_if_old(LEAST_REFRESH).await;
            // until the keys are there, soon again
            let known = self.keys.read().unwrap_or_else(PoisonError::into_inner).is_some();
            tokio::time::sleep(if known { REFRESH } else { LEAST_REFRESH }).await;
        }
    }

    async fn refresh_if_old(&self, age: Duration) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < age) {
            return;
        }
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "the identity provider's keys are not renewed");
        }
        *asked = Some(Instant::now());
    }

    /// Who is named by a token that holds at this time.
    pub async fn check(&self, token: &str) -> Result<Subject, JwtError> {
        let refused = |reason: &str| JwtError::Refused(reason.to_owned());
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused("it is too long"));
        }
        let header = decode_header(token).map_err(|_| refused("it is no JWT"))?;
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) {
            return Err(refused("its algorithm is not RS256, ES256 or EdDSA"));
        }
        let id = header.kid.unwrap_or_default();
        let key = match self.key(&id) {
            Some(key) => key,
            None => {
                self.refresh_if_old(LEAST_REFRESH).await;
                self.key(&id).ok_or_else(|| refused("its key is not known"))?
            }
        };
        let (algorithm, key) = key?;
        if algorithm != header.alg {
            return Err(refused("its key is for another algorithm"));
        }
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.config.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = decode::<Value>(token, &key, &validation).map_err(|error| refused(&reason(&error)))?.claims;
        let name = claims["sub"].as_str().ok_or_else(|| refused("its sub is no text"))?.to_owned();
        Ok(Subject { name, role: self.role(&claims) })
    }

    /// The key with an id: `None` where it is not known, an error where none is.
    fn key(&self, id: &str) -> Option<Result<(Algorithm, DecodingKey), JwtError>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let Some(keys) = keys.as_ref() else { return Some(Err(JwtError::NoKeys)) };
        // a token that names no key means the only one
        let only = keys.values().next().filter(|_| id.is_empty() && keys.len() == 1);
        keys.get(id).or(only).map(|key| Ok((key.algorithm, key.key.clone())))
    }

    fn role(&self, claims: &Value) -> Option<Role> {
        let mut held = claims.get(&self.config.roles_claim);
        if held.is_none() {
            held = self.config.roles_claim.split('.').try_fold(claims, |value, part| value.get(part));
        }
        let names: Vec<&str> = match held {
            Some(Value::String(words)) => words.split_whitespace().collect(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let RoleNames { read, request, admin } = &self.config.roles;
        let called = [(read, Role::Read), (request, Role::Request), (admin, Role::Admin)];
        called.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, role)| *role).max()
    }
}

fn reason(error: &jsonwebtoken::errors::Error) -> String {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it does not hold yet",
        ErrorKind::InvalidIssuer => "it is from another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::MissingRequiredClaim(claim) => return format!("it has no {claim}"),
        ErrorKind::InvalidSignature => "its signature is wrong",
        _ => "it cannot be read",
    }
    .to_owned()
}

/// A key that signs with one of the algorithms that are taken, with its id.
fn usable(jwk: &Jwk) -> Option<(String, Key)> {
    if jwk.common.public_key_use.as_ref().is_some_and(|used_for| *used_for != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|named| named != KeyAlgorithm::from(algorithm)) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some((jwk.common.key_id.clone().unwrap_or_default(), Key { algorithm, key }))
}

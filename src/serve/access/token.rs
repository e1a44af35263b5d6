//! Static tokens: random, so that their SHA-256 is all that a server needs to keep; a slow hash is for passwords.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::role::Role;

/// So that people and scanners see what it is.
pub const PREFIX: &str = "vejr_";
const BYTES: usize = 32;

/// A token as the configuration has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Of whom or what has it: for the log, the ledger and the limits.
    pub name: String,
    /// Of the whole token, in hexadecimal.
    #[serde(deserialize_with = "digest")]
    pub sha256: [u8; 32],
    pub roles: Vec<Role>,
    /// From then on it is refused.
    #[serde(default, deserialize_with = "time")]
    pub expires: Option<DateTime<Utc>>,
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = hex::decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        let length = text.len();
        serde::de::Error::custom(format!(
            "{length} characters; expected the 64 hexadecimal ones that vejr token prints"
        ))
    })
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = text.parse::<crate::atmos::ReferenceTime>().map(|time| time.utc());
    time.map(Some).map_err(|_| serde::de::Error::custom(format!("{text:?}; expected a time such as 2027-01-01T00:00Z")))
}

/// A new token and its digest; `None` where the system has no randomness.
pub fn generate() -> Option<(String, [u8; 32])> {
    let mut bytes = [0; BYTES];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let digest = Sha256::digest(token.as_bytes()).into();
    Some((token, digest))
}

/// The token that was presented. All are looked at, each in constant time.
pub fn find<'a>(tokens: &'a [Token], presented: &str) -> Option<&'a Token> {
    let digest: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
    let mut found = None;
    for token in tokens {
        if bool::from(token.sha256.ct_eq(&digest)) {
            found = Some(token);
        }
    }
    found
}

impl Token {
    pub fn role(&self) -> Option<Role> {
        self.roles.iter().max().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_digest_alone() {
        let (first, sha256) = generate().unwrap();
        let (second, other) = generate().unwrap();
        assert!(first.starts_with(PREFIX) && first.len() == PREFIX.len() + 43 && first != second);
        let token =
            |name: &str, sha256| Token { name: name.to_owned(), sha256, roles: vec![Role::Read], expires: None };
        let tokens = [token("first", sha256), token("second", other)];
        assert_eq!(find(&tokens, &first).unwrap().name, "first");
        assert_eq!(find(&tokens, &second).unwrap().name, "second");
        assert!(find(&tokens, &first[..first.len() - 1]).is_none() && find(&tokens, "").is_none());
        assert!(find(&tokens, &hex::encode(sha256)).is_none(), "what stands in the configuration opens nothing");
    }

    #[test]
    fn a_wrong_line_is_told() {
        let line = |sha256: &str, more: &str| {
            let text = format!("name = \"a\"\nsha256 = \"{sha256}\"\nroles = [\"read\"]\n{more}");
            toml::from_str::<Token>(&text).map_err(|error| error.to_string())
        };
        let digest = "0".repeat(64);
        assert!(line(&digest, "expires = \"2027-01-01T00:00Z\"").unwrap().expires.is_some());
        assert!(line("vejr_secret", "").unwrap_err().contains("64 hexadecimal"));
        assert!(line(&digest, "expires = \"soon\"").unwrap_err().contains("2027-01-01T00:00Z"));
    }
}

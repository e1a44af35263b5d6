//! Who may do what: one place that decides for every gRPC method and every HTTP route.
//!
//! ```text
//!  request ─► within bounds? ─► rule of the route ─► caller: token, JWT or nobody ─► how often ─► role ─► handler
//!             400, 413, 414     none: refused         401 UNAUTHENTICATED            429          403 PERMISSION_DENIED
//! ```
//!
//! A token is shown as `Authorization: Bearer TOKEN`, or as the password of `Basic`, whatever the user's name: so browsers ask
//! for it, and the map page needs to know nothing of it. A token that is wrong or has expired is refused, also where none is
//! needed.
//!
//! # Absent on purpose
//! - No passwords and no sessions: tokens are random, or a provider's.
//! - No owner of a run: identical requests of many callers are one run, which whoever may ask for runs may cancel.

mod headers;
mod jwt;
mod rate;
mod role;
mod rules;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde::Deserialize;

pub use headers::{OriginError, dressed};
pub use jwt::{JwtConfig, KeysError, RoleNames};
pub use rate::{Rate, client_address};
pub use role::{Anonymous, MetricsFor, Need, Role};
pub use rules::{GRPC, GrpcRule, HTTP, HttpRule};
pub use token::{Token, generate};

use super::admission::{is_grpc, refusal};
use super::error::{Error, Violation};
use super::server::Peer;
use jwt::{Jwt, JwtError};
use rate::{Counted, Rates};
use rules::Rule;

/// `[access]`: who may do what.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// What may be done without a token. Left out: nothing where there are tokens or a provider; else everything on this
    /// machine, and reading where others can reach it.
    pub anonymous: Option<Anonymous>,
    /// Who may read the metrics.
    pub metrics: MetricsFor,
    pub tokens: Vec<Token>,
    /// Tokens of an identity provider.
    pub jwt: Option<JwtConfig>,
    /// How often one client may ask. Left out: no limit on this machine, [`Rate::PUBLIC`] where others can reach it.
    pub rate: Option<Rate>,
    /// Of pages elsewhere that may ask: `https://maps.example.org`, or `*`.
    pub origins: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("there are two tokens {0:?}; a name is one caller's")]
    SameName(String),
    #[error("a token is called {0:?}; expected letters, digits, dots, hyphens and underscores, at most 64")]
    Name(String),
    #[error("the tokens {0:?} and {1:?} are the same; each caller gets a token of its own")]
    SameToken(String, String),
    #[error("the token {0:?} has no roles; expected some of read, request and admin")]
    NoRoles(String),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Origin(#[from] OriginError),
}

/// Longer addresses are refused; areas as long polygons fit.
const MAX_URI_BYTES: usize = 16 << 10;
const MAX_PARAMETERS: usize = 64;
/// Of what is announced; handlers have smaller limits of their own.
const MAX_BODY_BYTES: u64 = 64 << 10;

/// Who asks: in the extensions of every request that reaches a handler.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Of the token, `jwt:` and the subject, or the address.
    pub name: String,
}

/// What decides.
pub struct Access {
    anonymous: Option<Role>,
    metrics: Option<Role>,
    tokens: Vec<Token>,
    jwt: Option<Jwt>,
    rates: Option<Rates>,
}

impl Access {
    /// `local`: only this machine can reach the server.
    pub async fn new(config: AccessConfig, local: bool) -> Result<Self, AccessError> {
        let AccessConfig { anonymous, metrics, tokens, jwt, rate, origins: _ } = config;
        for (n, token) in tokens.iter().enumerate() {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            if token.name.is_empty() || token.name.len() > 64 || !token.name.bytes().all(plain) {
                return Err(AccessError::Name(token.name.clone()));
            }
            if token.roles.is_empty() {
                return Err(AccessError::NoRoles(token.name.clone()));
            }
            for other in &tokens[..n] {
                if other.name == token.name {
                    return Err(AccessError::SameName(token.name.clone()));
                }
                if other.sha256 == token.sha256 {
                    return Err(AccessError::SameToken(other.name.clone(), token.name.clone()));
                }
            }
        }
        let jwt = jwt.map(Jwt::new).transpose()?;
        if let Some(jwt) = jwt.as_ref().filter(|jwt| jwt.is_file()) {
            jwt.refresh().await?;
        }
        let usual = match (tokens.is_empty() && jwt.is_none(), local) {
            (false, _) => None,
            (true, true) => Some(Role::Admin),
            (true, false) => Some(Role::Read),
        };
        let rate = if local { rate } else { rate.or(Rate::PUBLIC) };
        Ok(Self {
            anonymous: anonymous.map_or(usual, |anonymous| anonymous.0),
            metrics: metrics.0,
            tokens,
            jwt,
            rates: rate.map(Rates::new),
        })
    }

    /// Keeps a provider's keys up to date. Runs until it is dropped.
    pub async fn keep_keys(self: Arc<Self>) {
        if let Some(jwt) = &self.jwt {
            jwt.keep().await;
        }
    }

    /// Lets a request pass, with its [`Caller`], or says why not.
    async fn admit(&self, request: &mut Request) -> Result<(), Error> {
        bounded(request.uri(), request.headers())?;
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let Some(pattern) = request.extensions().get::<MatchedPath>() else {
            // an address that is not there says so, but not any number of times
            return self.count(peer, None);
        };
        let need = match rules::rule(request.method(), pattern.as_str(), request.uri().path()) {
            Rule::Needs(Need::Probe) => return Ok(()),
            Rule::Needs(Need::Open) => return self.count(peer, None),
            Rule::Needs(Need::Role(role)) => Some(role),
            Rule::Needs(Need::Metrics) => self.metrics,
            Rule::OtherMethod(allowed) => return Err(Error::OtherMethod { allowed }),
            Rule::NoSuchCall => return Err(Error::NoSuchCall),
            Rule::None => {
                tracing::error!(route = pattern.as_str(), "no rule says who may use this route: it is refused");
                return Err(Error::Forbidden("no rule says who may use this address".to_owned()));
            }
        };
        let (name, role) = match self.caller(request.headers()).await {
            Ok(Some((name, role))) => (Some(name), role),
            Ok(None) => (None, self.anonymous),
            Err(error) => {
                self.count(peer, None)?;
                return Err(error);
            }
        };
        self.count(peer, name.as_deref())?;
        if role < need {
            let role = need.map_or("", Role::name);
            return Err(match name {
                None => Error::Unauthenticated(format!("this needs a token with the role {role}, and there is none")),
                Some(name) => Error::Forbidden(format!("this needs the role {role}, which {name} does not have")),
            });
        }
        let name = name.or(peer.map(|peer| peer.to_string())).unwrap_or_else(|| "unknown".to_owned());
        request.extensions_mut().insert(Caller { name });
        Ok(())
    }

    fn count(&self, peer: Option<IpAddr>, name: Option<&str>) -> Result<(), Error> {
        let client = match (name, peer) {
            (Some(name), _) => Counted::Name(name.to_owned()),
            (None, Some(peer)) => Counted::Address(client_address(peer)),
            (None, None) => return Ok(()),
        };
        let Some(rates) = &self.rates else { return Ok(()) };
        rates.check(&client).map_err(|wait| Error::TooOften(wait.max(Duration::from_millis(1))))
    }

    /// Who asks, by the token that is shown; `None` where none is.
    async fn caller(&self, headers: &HeaderMap) -> Result<Option<(String, Option<Role>)>, Error> {
        let refused = |reason: &str| Error::Unauthenticated(format!("the token is refused: {reason}"));
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (first, second) = (shown.next(), shown.next());
        let Some(first) = first else { return Ok(None) };
        if second.is_some() {
            return Err(refused("there are two"));
        }
        let token = first.to_str().ok().and_then(shown_token);
        let token = token.ok_or_else(|| refused("expected Authorization: Bearer TOKEN"))?;
        if let Some(known) = token::find(&self.tokens, &token) {
            if known.expires.is_some_and(|end| end <= Utc::now()) {
                return Err(refused("it has expired"));
            }
            return Ok(Some((known.name.clone(), known.role())));
        }
        match &self.jwt {
            Some(jwt) if !token.starts_with(token::PREFIX) => match jwt.check(&token).await {
                Ok(subject) => Ok(Some((format!("jwt:{}", subject.name), subject.role))),
                Err(JwtError::NoKeys) => Err(Error::NoKeys),
                Err(error) => Err(refused(&error.to_string())),
            },
            _ => Err(refused("it is not known here")),
        }
    }
}

/// The token in an `Authorization`.
fn shown_token(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    Some(pair.split_once(':')?.1.to_owned())
}

/// What a request may be long, before anything is made of it. Headers have a limit where they are read.
fn bounded(uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let query = uri.query().unwrap_or_default();
    if uri.path().len() + query.len() > MAX_URI_BYTES {
        return Err(Error::UriTooLong { limit: MAX_URI_BYTES });
    }
    let parameters = query.bytes().filter(|&byte| byte == b'&').count() + 1;
    if parameters > MAX_PARAMETERS {
        return Err(
            Violation::new("query", format!("has {parameters} parameters; expected at most {MAX_PARAMETERS}")).into()
        );
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Error::BodyTooLarge { limit: MAX_BODY_BYTES });
    }
    Ok(())
}

/// The layer: before all that handlers do.
pub async fn guard(Extract(access): Extract<Arc<Access>>, mut request: Request, next: Next) -> Response {
    match access.admit(&mut request).await {
        Ok(()) => next.run(request).await,
        Err(error) => refusal(error, is_grpc(request.headers())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_as_bearer_or_as_a_password() {
        assert_eq!(shown_token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(shown_token("bearer  abc").as_deref(), Some("abc"));
        assert_eq!(shown_token("Basic dXNlcjphYmM=").as_deref(), Some("abc"));
        for wrong in ["abc", "Digest abc", "Basic abc", "Basic dXNlcg==", ""] {
            assert_eq!(shown_token(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn tokens_that_contradict_each_other_are_told() {
        let token = |name: &str, byte: u8, roles: &[Role]| Token {
            name: name.to_owned(),
            sha256: [byte; 32],
            roles: roles.to_vec(),
            expires: None,
        };
        let read = [Role::Read];
        for (tokens, words) in [
            (vec![token("a", 1, &read), token("a", 2, &read)], "two tokens \"a\""),
            (vec![token("a", 1, &read), token("b", 1, &read)], "are the same"),
            (vec![token("a b", 1, &read)], "letters, digits"),
            (vec![token("a", 1, &[])], "has no roles"),
        ] {
            let config = AccessConfig { tokens, ..AccessConfig::default() };
            let error = Access::new(config, true).await.err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}

//! Who may do what: every route and every method with every kind of caller; how often, how much, and what browsers are told.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::get;
use chrono::{TimeDelta, Utc};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use vejr::serve::{
    AccessConfig, Anonymous, GRPC, HTTP, JwtConfig, Limits, MetricsFor, Need, Rate, Role, RoleNames, Token,
    generate_token,
};

use super::http::{ID, client, header};
use super::provider::Provider;
use super::{Service, planet, until};

/// A caller: what it shows, what it may do, and what it is told where it may not.
struct Shown {
    token: Option<String>,
    /// `None`: the token is not taken.
    role: Option<Role>,
}

fn token(name: &str, role: Role, age: i64) -> (String, Token) {
    let (secret, sha256) = generate_token().unwrap();
    let expires = Some(Utc::now() - TimeDelta::seconds(age));
    (secret, Token { name: name.to_owned(), sha256, roles: vec![role], expires })
}

/// Tokens of all roles and one that has expired, and the callers that show them or none or a wrong one.
fn callers() -> (Vec<Token>, Vec<Shown>) {
    let mut tokens = Vec::new();
    let mut callers = vec![
        Shown { token: None, role: None },
        Shown { token: Some("vejr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()), role: None },
        Shown { token: Some("no token at all".to_owned()), role: None },
    ];
    let (secret, expired) = token("expired", Role::Admin, 1);
    tokens.push(expired);
    callers.push(Shown { token: Some(secret), role: None });
    for role in Role::ALL {
        let (secret, known) = token(role.name(), role, -3600);
        tokens.push(known);
        callers.push(Shown { token: Some(secret), role: Some(role) });
    }
    (tokens, callers)
}

async fn ask(service: &Service, method: &str, path: &str, token: Option<&str>) -> Response {
    let request = client().request(Method::from_bytes(method.as_bytes()).unwrap(), service.url(path));
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
    .send()
    .await
    .unwrap()
}

async fn channel(service: &Service) -> Channel {
    Channel::from_shared(service.url("")).unwrap().connect().await.unwrap()
}

/// Calls a method with an empty message; the error is what the call was answered with.
async fn call(channel: &Channel, method: &str, token: Option<&str>) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(token) = token {
        let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.server_streaming(request, method.parse().unwrap(), codec).await.map(|_| ())
}

fn needed(need: Need) -> Option<Role> {
    match need {
        Need::Probe | Need::Open => None,
        Need::Role(role) => Some(role),
        Need::Metrics => Some(Role::Admin),
    }
}

#[tokio::test]
async fn every_route_is_refused_to_whoever_may_not_use_it() {
    let (tokens, callers) = callers();
    let access = AccessConfig { tokens, ..AccessConfig::default() };
    let service = Service::start_as(Limits::default(), access, None).await;
    planet::publish(&service.root, &planet::path("2001-01-01T00:00Z", "4f2a9c01"), 1).await;
    let mut asked = 0;
    for rule in HTTP {
        let path = rule.1.replace("{forecast}", ID).replace(['{', '}'], "");
        let methods: &[&str] = if rule.0 == "GET" { &["GET", "HEAD"] } else { &[rule.0] };
        for method in methods {
            for caller in &callers {
                let answer = ask(&service, method, &path, caller.token.as_deref()).await;
                asked += 1;
                let status = answer.status();
                let need = needed(rule.2);
                let what = format!("{method} {path} as {:?}: {status}", caller.role);
                if need.is_none() || caller.role >= need {
                    assert!(!matches!(status.as_u16(), 401 | 403 | 500..), "{what}");
                    continue;
                }
                match caller.role {
                    Some(_) => assert_eq!(status, StatusCode::FORBIDDEN, "{what}"),
                    None => {
                        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
                        assert!(answer.headers().contains_key("www-authenticate"), "{what}");
                    }
                }
                assert_eq!(header(&answer, "cache-control"), "no-store", "{what}");
                assert_eq!(header(&answer, "content-type"), "application/problem+json", "{what}");
            }
        }
    }
    assert!(asked > 400, "{asked}");
    // a route that is there, with another method
    let answer = ask(&service, "PUT", "/api/v1/runs", None).await;
    assert_eq!((answer.status(), header(&answer, "allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, POST"));
    // a browser asks for a password
    let secret = callers[4].token.as_deref();
    let basic = client().get(service.url("/api/v1/runs")).basic_auth("anybody", secret).send().await.unwrap();
    assert_eq!(basic.status(), StatusCode::OK);
    let two = client().get(service.url("/api/v1/runs")).bearer_auth(secret.unwrap()).bearer_auth(secret.unwrap());
    assert_eq!(two.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_call_is_refused_to_whoever_may_not_make_it() {
    let (tokens, callers) = callers();
    let access = AccessConfig { tokens, ..AccessConfig::default() };
    let service = Service::start_as(Limits::default(), access, None).await;
    let channel = channel(&service).await;
    for rule in GRPC {
        for caller in &callers {
            let code = match call(&channel, rule.0, caller.token.as_deref()).await {
                Ok(()) => Code::Ok,
                Err(status) => status.code(),
            };
            let need = needed(rule.1);
            let what = format!("{} as {:?}: {code:?}", rule.0, caller.role);
            if need.is_none() || caller.role >= need {
                let refused = [Code::Unauthenticated, Code::PermissionDenied, Code::Internal, Code::Unknown];
                assert!(!refused.contains(&code), "{what}");
                assert_ne!(code, Code::Unimplemented, "{what}");
            } else if caller.role.is_some() {
                assert_eq!(code, Code::PermissionDenied, "{what}");
            } else {
                assert_eq!(code, Code::Unauthenticated, "{what}");
            }
        }
    }
    let admin = callers[6].token.as_deref();
    for nothing in ["/vejr.v1.DataService/GetEverything", "/vejr.v1.DataService/GetTile/"] {
        assert_eq!(call(&channel, nothing, admin).await.unwrap_err().code(), Code::Unimplemented, "{nothing}");
    }
}

#[tokio::test]
async fn without_tokens_this_machine_is_trusted_and_what_anonymous_callers_may_do_can_be_said() {
    for (anonymous, metrics, expected) in [
        (None, MetricsFor::default(), [200, 409, 200]),
        (Some(Anonymous(Some(Role::Read))), MetricsFor::default(), [200, 401, 401]),
        (Some(Anonymous(Some(Role::Read))), MetricsFor(None), [200, 401, 200]),
        (Some(Anonymous(Some(Role::Request))), MetricsFor(Some(Role::Read)), [200, 409, 200]),
        (Some(Anonymous(None)), MetricsFor(None), [401, 401, 200]),
    ] {
        let access = AccessConfig { anonymous, metrics, ..AccessConfig::default() };
        let service = Service::start_as(Limits::default(), access, None).await;
        let request = client().post(service.url("/api/v1/runs")).header("content-type", "application/json");
        let requested = request.body("{\"model\":\"made-up-planet\",\"lead_time\":\"1d\"}").send().await.unwrap();
        let found = [
            ask(&service, "GET", "/api/v1/models", None).await.status().as_u16(),
            requested.status().as_u16(),
            ask(&service, "GET", "/metrics", None).await.status().as_u16(),
        ];
        assert_eq!(found, expected, "{anonymous:?} {metrics:?}");
    }
}

#[tokio::test]
async fn who_asks_too_often_waits_and_others_do_not() {
    let (first, one) = token("one", Role::Read, -3600);
    let (second, other) = token("other", Role::Read, -3600);
    let rate = Rate { per_second: NonZeroU32::new(1).unwrap(), burst: NonZeroU32::new(5).unwrap() };
    let access = AccessConfig { tokens: vec![one, other], rate: Some(rate), ..AccessConfig::default() };
    let service = Service::start_as(Limits::default(), access, None).await;
    let models = async |token: Option<&str>| ask(&service, "GET", "/api/v1/models", token).await;
    for _ in 0..5 {
        assert_eq!(models(Some(&first)).await.status(), StatusCode::OK);
    }
    let refused = models(Some(&first)).await;
    assert_eq!((refused.status(), header(&refused, "retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    let channel = channel(&service).await;
    let method = "/vejr.v1.ModelService/ListModels";
    let refused = call(&channel, method, Some(&first)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
    assert!(call(&channel, method, Some(&second)).await.is_ok());
    // wrong tokens are counted by address; probes never are
    let statuses = futures::future::join_all((0..8).map(|_| models(Some("vejr_wrong")))).await;
    let statuses: Vec<u16> = statuses.iter().map(|answer| answer.status().as_u16()).collect();
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
    for _ in 0..20 {
        assert_eq!(ask(&service, "GET", "/healthz", None).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn browsers_are_told_what_pages_may_do() {
    let origins = vec!["https://maps.example.org".to_owned()];
    let access = AccessConfig { origins, ..AccessConfig::default() };
    let service = Service::start_as(Limits::default(), access, None).await;
    for path in ["/", "/api?f=html", "/api/v1/models", "/nothing", "/metrics"] {
        let answer = ask(&service, "GET", path, None).await;
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer", "{path}");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!answer.headers().contains_key("strict-transport-security"), "{path}");
    }
    let from = async |origin: &str, method: Method| {
        let request = client().request(method, service.url("/api/v1/runs")).header("origin", origin);
        request.header("access-control-request-method", "POST").send().await.unwrap()
    };
    let allowed = from("https://maps.example.org", Method::GET).await;
    assert_eq!(header(&allowed, "access-control-allow-origin"), "https://maps.example.org");
    assert!(!allowed.headers().contains_key("access-control-allow-credentials"));
    let preflight = from("https://maps.example.org", Method::OPTIONS).await;
    assert_eq!(preflight.status(), StatusCode::OK);
    assert!(header(&preflight, "access-control-allow-headers").contains("authorization"));
    let other = from("https://elsewhere.example.org", Method::GET).await;
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    for wrong in ["maps.example.org", "https://maps.example.org/", "https://maps.example.org/map"] {
        let access = AccessConfig { origins: vec![wrong.to_owned()], ..AccessConfig::default() };
        let root = vejr::location::Location::parse("memory:").unwrap();
        let config = super::config("127.0.0.1:0", &root, Limits::default());
        let error = vejr::serve::Server::bind(vejr::serve::ServeConfig { access, ..config }).await.err().unwrap();
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

#[tokio::test]
async fn every_dimension_of_a_request_has_an_end() {
    let limits = Limits { peer_timeout: Duration::from_secs(1), connections_per_address: 8, ..Limits::default() };
    let service = Service::start_as(limits, AccessConfig::default(), None).await;
    let get = |path: String| client().get(service.url(&path)).send();
    let long = "x".repeat(17 << 10);
    assert_eq!(get(format!("/collections/{long}")).await.unwrap().status(), StatusCode::URI_TOO_LONG);
    assert_eq!(get(format!("/wms?a={long}")).await.unwrap().status(), StatusCode::URI_TOO_LONG);
    let many = "a=1&".repeat(64);
    assert_eq!(get(format!("/wms?{many}")).await.unwrap().status(), StatusCode::BAD_REQUEST);
    let header = client().get(service.url("/healthz")).header("x-long", "x".repeat(40 << 10)).send().await.unwrap();
    assert_eq!(header.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let body = client().post(service.url("/api/v1/runs")).header("content-type", "application/json");
    let body = body.body("x".repeat(100 << 10)).send().await.unwrap();
    assert_eq!(body.status(), StatusCode::PAYLOAD_TOO_LARGE);

    // who says nothing, or begins and does not go on, is let go
    for beginning in ["", "P", "GET /", "GET /healthz HTTP/1.1\r\nHost: here\r\nX-Slow: ", "PRI * HTTP/2.0\r\n\r\n"] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let begin = std::time::Instant::now();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "{beginning:?} keeps its connection");
        assert!(begin.elapsed() > Duration::from_millis(500), "{beginning:?}: {:?}", begin.elapsed());
    }

    // one address has so many connections
    until("the connections of before are gone", async || {
        let text = client().get(service.url("/metrics")).send().await.unwrap().text().await.unwrap();
        text.contains("vejr_connections 1\n")
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..9 {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n").await;
        streams.push(stream);
    }
    let mut answered = 0;
    for stream in &mut streams {
        let mut first = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut first)).await.unwrap();
        answered += usize::from(read.is_ok() && &first == b"HTTP/1.1 200");
    }
    assert!((1..=8).contains(&answered), "{answered}");
}

fn claims(provider: &str, changes: Value) -> Value {
    let now = Utc::now().timestamp();
    let mut claims = json!({
        "iss": provider, "aud": ["other", "vejr"], "sub": "forecaster", "exp": now + 600, "nbf": now - 5,
        "realm_access": { "roles": ["offline", "vejr-request"] },
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => {
                claims.as_object_mut().unwrap().remove(name);
            }
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[tokio::test]
async fn tokens_of_an_identity_provider_are_taken_if_everything_about_them_is_right() {
    const ISSUER: &str = "https://login.example.org/realms/weather";
    let provider = Provider::new(1);
    let served = Arc::new(Mutex::new(provider.keys()));
    let keys = served.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/keys", get(async move || axum::Json(keys.lock().unwrap().clone())));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let jwt = JwtConfig {
        issuer: ISSUER.to_owned(),
        audience: "vejr".to_owned(),
        keys: url,
        leeway: Duration::from_secs(5),
        roles_claim: "realm_access.roles".to_owned(),
        roles: RoleNames::default(),
    };
    let access = AccessConfig { jwt: Some(jwt.clone()), ..AccessConfig::default() };
    let service = Service::start_as(Limits::default(), access, None).await;
    let channel = channel(&service).await;
    // reading, and asking for runs, which nobody can here
    let tried = async |token: &str| {
        let read = ask(&service, "GET", "/api/v1/models", Some(token)).await;
        let asked = ask(&service, "POST", "/api/v1/runs", Some(token)).await.status().as_u16();
        let called = call(&channel, "/vejr.v1.ModelService/ListModels", Some(token)).await;
        assert_eq!(called.is_ok(), read.status().is_success());
        (read.status().as_u16(), asked)
    };
    let right = claims(ISSUER, json!({}));
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        assert_eq!(tried(&provider.sign(algorithm, &right)).await, (200, 400), "{algorithm}");
    }
    let now = Utc::now().timestamp();
    let reader = json!({ "realm_access": { "roles": "email vejr-read" } });
    for (changes, expected) in [
        (reader, (200, 403)),
        (json!({ "realm_access": { "roles": ["VEJR-READ"] } }), (403, 403)),
        (json!({ "realm_access": null }), (403, 403)),
        (json!({ "aud": "vejr" }), (200, 400)),
        (json!({ "exp": now - 2 }), (200, 400)),
        (json!({ "exp": now - 60 }), (401, 401)),
        (json!({ "exp": null }), (401, 401)),
        (json!({ "exp": "tomorrow" }), (401, 401)),
        (json!({ "nbf": now + 60 }), (401, 401)),
        (json!({ "iss": "https://elsewhere.example.org" }), (401, 401)),
        (json!({ "iss": null }), (401, 401)),
        (json!({ "aud": "other" }), (401, 401)),
        (json!({ "aud": null }), (401, 401)),
        (json!({ "sub": null }), (401, 401)),
    ] {
        let token = provider.sign("ES256", &claims(ISSUER, changes.clone()));
        assert_eq!(tried(&token).await, expected, "{changes}");
    }
    let id = |algorithm: &str| provider.id(algorithm);
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "none", "kid": id("RS256") }),
        json!({ "alg": "RS512", "kid": id("RS256") }),
        json!({ "alg": "HS256", "kid": id("RS256") }),
        json!({ "alg": "ES256", "kid": id("RS256") }),
        json!({ "alg": "RS256", "kid": id("ES256") }),
        json!({ "alg": "EdDSA" }),
        json!({ "alg": "RS256", "kid": "unknown" }),
    ] {
        assert_eq!(tried(&provider.sign_as(&header, &right)).await, (401, 401), "{header}");
    }
    let good = provider.sign("RS256", &right);
    let forged = Provider::new(1).sign("RS256", &right);
    let cut = &good[..good.len() - 6];
    let swapped = format!("{}.{}", good.rsplit_once('.').unwrap().0, forged.rsplit_once('.').unwrap().1);
    for wrong in [forged.as_str(), cut, &swapped, "a.b.c", "..", "eyJ9.e30.", &"x".repeat(9000)] {
        assert_eq!(tried(wrong).await, (401, 401), "{wrong}");
    }
    // the provider takes new keys: tokens with them are taken, and those with the old ones no more
    let next = Provider::new(2);
    *served.lock().unwrap() = next.keys();
    let token = next.sign("EdDSA", &right);
    // one question at a time: the keys may change between two
    let known = async || ask(&service, "GET", "/api/v1/models", Some(&token)).await.status().is_success();
    until("the new keys are known", known).await;
    assert_eq!(tried(&token).await, (200, 400));
    assert_eq!(tried(&good).await, (401, 401));

    // keys in a file
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, provider.keys().to_string()).unwrap();
    let from_file = |file: &str| AccessConfig {
        jwt: Some(JwtConfig { keys: file.to_owned(), ..jwt.clone() }),
        ..AccessConfig::default()
    };
    let access = from_file(file.to_str().unwrap());
    let service = Service::start_as(Limits::default(), access, None).await;
    let answer = ask(&service, "GET", "/api/v1/models", Some(&good)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    std::fs::write(&file, "{}").unwrap();
    for (place, words) in [
        (file.to_str().unwrap(), "no JSON Web Key Set"),
        ("/nowhere/keys.json", "/nowhere/keys.json"),
        ("http://login.example.org/keys", "expected https://"),
        ("ftp://127.0.0.1/keys", "expected https://"),
    ] {
        let root = vejr::location::Location::parse("memory:").unwrap();
        let config = super::config("127.0.0.1:0", &root, Limits::default());
        let config = vejr::serve::ServeConfig { access: from_file(place), ..config };
        let error = vejr::serve::Server::bind(config).await.err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
}

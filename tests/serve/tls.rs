//! TLS: gRPC, HTTP/2 and HTTP/1.1 on one port, certificates that are renewed, and the program's own clients.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{Certificate, Client, StatusCode, Version};
use vejr::serve::v1;
use vejr::serve::v1::model_service_client::ModelServiceClient;
use vejr::serve::{AccessConfig, Limits, Role, Server, StartError, TlsFiles, Token, generate_token};

use super::{Service, config, planet, until};

/// An authority and a certificate of it for this machine, written to a folder; the authority's certificate.
fn authority(folder: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    own
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
}

fn client(authority: &str, http1: bool) -> Client {
    let builder = Client::builder().tls_certs_only([Certificate::from_pem(authority.as_bytes()).unwrap()]);
    if http1 { builder.http1_only() } else { builder }.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_spoken_over_tls_and_certificates_are_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let first = authority(folder.path());
    let service = Service::start_as(Limits::default(), AccessConfig::default(), Some(files(folder.path()))).await;
    planet::publish(&service.root, &planet::path("2001-01-01T00:00Z", "4f2a9c01"), 1).await;
    let url = format!("https://{}/?f=json", service.address);
    for (http1, version) in [(false, Version::HTTP_2), (true, Version::HTTP_11)] {
        let answer = client(&first, http1).get(&url).send().await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, version));
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
        let text = answer.text().await.unwrap();
        assert!(text.contains("https://127.0.0.1") && !text.contains("http://127.0.0.1"), "{text}");
    }
    let tls = tonic::transport::ClientTlsConfig::new().ca_certificate(tonic::transport::Certificate::from_pem(&first));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("https://{}", service.address)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let models = ModelServiceClient::new(channel).list_models(v1::ListModelsRequest::default()).await.unwrap();
    assert_eq!(models.into_inner().models.len(), 2);
    // who speaks without TLS is not understood, and others do not notice
    assert!(reqwest::get(service.url("/healthz")).await.is_err());

    // half of a renewal changes nothing
    let key = std::fs::read(folder.path().join("tls.key")).unwrap();
    let second = authority(folder.path());
    let new_key = std::fs::read(folder.path().join("tls.key")).unwrap();
    std::fs::write(folder.path().join("tls.key"), key).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert!(client(&first, false).get(&url).send().await.is_ok());
    std::fs::write(folder.path().join("tls.key"), new_key).unwrap();
    until("the new certificate is used", async || client(&second, false).get(&url).send().await.is_ok()).await;
    assert!(client(&first, false).get(&url).send().await.is_err());
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_told_at_the_start() {
    let (folder, root) = (tempfile::tempdir().unwrap(), vejr::location::Location::parse("memory:").unwrap());
    let start = async || {
        let tls = Some(files(folder.path()));
        let config = vejr::serve::ServeConfig { tls, ..config("127.0.0.1:0", &root, Limits::default()) };
        match Server::bind(config).await {
            Err(error @ StartError::Tls(_)) => error.to_string(),
            other => panic!("{:?}", other.err()),
        }
    };
    assert!(start().await.contains("tls.crt"), "a file that is not there");
    authority(folder.path());
    let key = std::fs::read(folder.path().join("tls.key")).unwrap();
    authority(folder.path());
    std::fs::write(folder.path().join("tls.key"), key).unwrap();
    assert!(start().await.contains("cannot be used together"));
    std::fs::write(folder.path().join("tls.key"), "no key").unwrap();
    assert!(start().await.contains("expected a private key as PEM"));
    std::fs::write(folder.path().join("tls.crt"), "").unwrap();
    assert!(start().await.contains("there is no certificate in it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_clients_speak_tls_and_show_their_token() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(folder.path());
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority).unwrap();
    let (secret, sha256) = generate_token().unwrap();
    let token = Token { name: "cron".to_owned(), sha256, roles: vec![Role::Read], expires: None };
    let access = AccessConfig { tokens: vec![token], ..AccessConfig::default() };
    let service = Service::start_as(Limits::default(), access, Some(files(folder.path()))).await;
    planet::publish(&service.root, &planet::path("2001-01-01T00:00Z", "4f2a9c01"), 1).await;
    let url = format!("https://{}", service.address);
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, format!("{secret}\n")).unwrap();
    let vejr = async |arguments: &[&str], variable: Option<&str>| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_vejr"));
        command.arg("runs").args(arguments).env_remove("VEJR_TOKEN").envs(variable.map(|token| ("VEJR_TOKEN", token)));
        let output = command.output().await.unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code().unwrap(), text)
    };
    let ca = ["--ca", ca.to_str().unwrap()];
    let here = [&["--server", &url][..], &ca].concat();
    let (code, text) = vejr(&here, Some(&secret)).await;
    assert!(code == 0 && text.contains("made-up-planet/2001-01-01T0000Z"), "{text}");
    let (code, text) = vejr(&[&here[..], &["--token-file", token_file.to_str().unwrap()]].concat(), None).await;
    assert!(code == 0 && text.contains("made-up-planet"), "{text}");
    for (arguments, variable, words) in [
        (&here[..], None, "VEJR_TOKEN or --token-file"),
        (&here, Some("vejr_wrong"), "not known here"),
        (&here, Some(""), "VEJR_TOKEN holds no token"),
        (&["--server", "http://192.0.2.1:8080"], Some(secret.as_str()), "without TLS"),
        (&["--server", "ftp://127.0.0.1"], None, "expected one such as https://"),
        (&[&["--server", "http://127.0.0.1:1"][..], &ca].concat(), None, "--ca is for TLS"),
        (&[&here[..], &["--token-file", "/nowhere"]].concat(), None, "/nowhere"),
    ] {
        let (code, text) = vejr(arguments, variable).await;
        assert!(code == 2 && text.contains(words), "{words}: {code} {text}");
        assert!(!text.contains(&secret), "{text}");
    }
    // of whom nobody knows is not believed, and not told the token
    let (code, text) = vejr(&["--server", &url], Some(&secret)).await;
    assert!(code != 0 && text.contains("cannot be reached") && text.to_lowercase().contains("certificate"), "{text}");
}

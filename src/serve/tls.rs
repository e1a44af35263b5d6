//! TLS for gRPC and HTTP: a certificate and its key, read again when they are renewed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// `[tls]`: PEM files.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The server's own certificate first, then those that lead to its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{file}: {problem}; expected {expected} as PEM", file = .file.display())]
    File { file: PathBuf, problem: String, expected: &'static str },
    #[error("{certificate} and {key} cannot be used together: {problem}", certificate = .files.certificate.display(), key = .files.key.display())]
    Pair { files: TlsFiles, problem: rustls::Error },
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate in use.
pub struct Certificate {
    files: TlsFiles,
    read: RwLock<(Contents, Arc<ServerConfig>)>,
}

impl Certificate {
    pub fn read(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = contents(&files)?;
        let config = config(&files, &contents)?;
        Ok(Self { files, read: RwLock::new((contents, config)) })
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.read.read().unwrap_or_else(PoisonError::into_inner).1.clone().into()
    }

    /// Looks at the files again and again. A pair that cannot be used leaves the one that there is. Runs until it is dropped.
    pub async fn keep(self: Arc<Self>) {
        let mut told = None;
        loop {
            tokio::time::sleep(LOOK).await;
            match self.renew() {
                Ok(true) => {
                    tracing::info!(certificate = %self.files.certificate.display(), "the certificate is renewed")
                }
                Ok(false) => {}
                Err(error) => {
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        tracing::error!(%error, "the certificate is not renewed; the one before stays");
                    }
                    told = Some(error);
                    continue;
                }
            }
            told = None;
        }
    }

    /// Whether there was something new.
    fn renew(&self) -> Result<bool, TlsError> {
        let contents = contents(&self.files)?;
        if self.read.read().unwrap_or_else(PoisonError::into_inner).0 == contents {
            return Ok(false);
        }
        let config = config(&self.files, &contents)?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = (contents, config);
        Ok(true)
    }
}

fn contents(files: &TlsFiles) -> Result<Contents, TlsError> {
    let read = |file: &Path, expected| {
        let failed = |error: std::io::Error| TlsError::File { file: file.into(), problem: error.to_string(), expected };
        std::fs::read(file).map_err(failed)
    };
    Ok(Contents { certificate: read(&files.certificate, CERTIFICATES)?, key: read(&files.key, KEY)? })
}

const CERTIFICATES: &str = "certificates";
const KEY: &str = "a private key";

fn config(files: &TlsFiles, contents: &Contents) -> Result<Arc<ServerConfig>, TlsError> {
    let wrong = |file: &Path, problem: String, expected| TlsError::File { file: file.into(), problem, expected };
    let chain = CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong(&files.certificate, error.to_string(), CERTIFICATES))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, "there is no certificate in it".to_owned(), CERTIFICATES));
    }
    let key =
        PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| wrong(&files.key, error.to_string(), KEY))?;
    let pair = |problem| TlsError::Pair { files: files.clone(), problem };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

//! Where a forecast, or a store of forecasts, lies.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use super::StoreError;

/// An object store and what it is called. All paths of this module are relative to it.
#[derive(Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    /// The folder, where the store is one.
    folder: Option<PathBuf>,
    name: String,
}

impl Location {
    /// From a path, or a URL: `file://`, `s3://bucket/prefix` (endpoint, region and credentials from the `AWS_…`
    /// environment variables), `memory:` (for tests: empty, and gone with the process). Touches nothing yet.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let error = |reason: String| StoreError::Location { location: text.to_owned(), reason };
        if text.is_empty() {
            return Err(error("it is empty".to_owned()));
        }
        let url = match Url::parse(text) {
            Ok(url) if url.scheme().len() > 1 => url, // one letter is a drive, not a scheme
            _ => return Self::folder(FilePath::new(text)).map_err(|reason| error(reason.to_string())),
        };
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| error("the URL is not a local path".to_owned()))?;
                Self::folder(&path).map_err(|reason| error(reason.to_string()))
            }
            "memory" => Ok(Self::new(Arc::new(InMemory::new()), text)),
            "s3" => {
                let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
                let bucket = bucket.ok_or_else(|| error("the URL names no bucket".to_owned()))?;
                // an endpoint on this machine is spoken to in plain HTTP
                let endpoint = std::env::var("AWS_ENDPOINT_URL").or_else(|_| std::env::var("AWS_ENDPOINT"));
                let plain = endpoint.is_ok_and(|endpoint| endpoint.starts_with("http://"));
                let store = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_allow_http(plain)
                    .build()
                    .map_err(|reason| error(reason.to_string()))?;
                let prefix = Path::from_url_path(url.path()).map_err(|reason| error(reason.to_string()))?;
                Ok(Self::new(Arc::new(PrefixStore::new(store, prefix)), text.trim_end_matches('/')))
            }
            other => Err(error(format!("{other}: is not a kind of storage that is known here"))),
        }
    }

    /// Any object store; `name` is what messages call it.
    pub fn new(store: Arc<dyn ObjectStore>, name: &str) -> Self {
        Self { store, folder: None, name: name.to_owned() }
    }

    fn folder(path: &FilePath) -> Result<Self, Box<dyn std::error::Error>> {
        let absolute = std::path::absolute(path)?;
        // the store's root must exist; the folder itself is only made when something is written
        let store = LocalFileSystem::new();
        let prefix = Path::from_absolute_path(&absolute)?;
        let name = path.display().to_string();
        let name = name.trim_end_matches('/').to_owned();
        Ok(Self { store: Arc::new(PrefixStore::new(store, prefix)), folder: Some(absolute), name })
    }

    /// The place `path` below this one.
    pub fn join(&self, path: &str) -> Self {
        Self {
            store: Arc::new(PrefixStore::new(self.store.clone(), Path::from(path))),
            folder: self.folder.as_ref().map(|folder| folder.join(path)),
            name: format!("{}/{path}", self.name),
        }
    }

    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The folder on this machine, where it is one.
    pub fn local_folder(&self) -> Option<&FilePath> {
        self.folder.as_deref()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

//! Where data lie: a folder, or an object store by its URL.

use std::fmt;
use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore};
use url::Url;

/// The text names no place.
#[derive(Debug, thiserror::Error)]
#[error(
    "{location:?} is no place for data: {reason}; expected a folder, or a URL like s3://bucket/path or file:///path"
)]
pub struct LocationError {
    /// Without credentials.
    pub location: String,
    pub reason: String,
}

/// An object store and what it is called. All paths of this module are relative to it.
#[derive(Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    /// The folder, where the store is one.
    folder: Option<PathBuf>,
    name: String,
}

/// Whether [`Location::sync`] does it. Elsewhere every object is brought to the disk by itself.
const SYNCS_AT_ONCE: bool = cfg!(target_os = "linux");

/// Environment variables that credentials come from, or that say where they are to be had.
pub const S3_CREDENTIALS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
];

/// How an S3 store is spoken to, where the `AWS_…` environment variables do not say it, or are overruled.
#[derive(Debug, Clone, Default)]
pub struct S3Settings {
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// With it `secret` and `token` count, and no credentials of the environment.
    pub key: Option<String>,
    pub secret: Option<String>,
    pub token: Option<String>,
    /// `None`: unless the environment says who asks.
    pub anonymous: Option<bool>,
}

impl S3Settings {
    fn builder(&self) -> AmazonS3Builder {
        let of_environment = |names: [&str; 2]| names.iter().find_map(|name| std::env::var(name).ok());
        let endpoint = self.endpoint.clone().or_else(|| of_environment(["AWS_ENDPOINT_URL", "AWS_ENDPOINT"]));
        let region = self.region.clone().or_else(|| of_environment(["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let mut builder = match &self.key {
            // never a key of one and a token of the other
            Some(key) => {
                let mut builder = AmazonS3Builder::new().with_access_key_id(key);
                if let Some(secret) = &self.secret {
                    builder = builder.with_secret_access_key(secret);
                }
                if let Some(token) = &self.token {
                    builder = builder.with_token(token);
                }
                builder
            }
            None => AmazonS3Builder::from_env(),
        };
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = endpoint {
            // an endpoint on this machine is spoken to in plain HTTP
            builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
        }
        // anonymous unless somebody says who asks: without this, the address where cloud machines find their credentials
        // would be asked on every machine
        let given = || S3_CREDENTIALS.iter().any(|name| std::env::var_os(name).is_some());
        builder.with_skip_signature(self.anonymous.unwrap_or_else(|| self.key.is_none() && !given()))
    }
}

impl Location {
    /// From a path, or a URL: `file://`, `s3://bucket/prefix` (endpoint, region and credentials from the `AWS_…`
    /// environment variables), `http://` and `https://` (to read from), `memory:` (for tests: empty, and gone with the
    /// process). Touches nothing yet.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        Self::parse_with(text, &S3Settings::default())
    }

    /// The same with settings of its own for `s3://`.
    pub fn parse_with(text: &str, settings: &S3Settings) -> Result<Self, LocationError> {
        let error = |reason: String| LocationError { location: without_credentials(text), reason };
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
            "s3" if !url.username().is_empty() || url.password().is_some() => Err(error(
                "credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not into a URL".to_owned(),
            )),
            "s3" => {
                let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
                let bucket = bucket.ok_or_else(|| error("the URL names no bucket".to_owned()))?;
                let store = settings.builder().with_bucket_name(bucket).build();
                let store = store.map_err(|reason| error(reason.to_string()))?;
                let prefix = Path::from_url_path(url.path()).map_err(|reason| error(reason.to_string()))?;
                Ok(Self::new(Arc::new(PrefixStore::new(store, prefix)), text.trim_end_matches('/')))
            }
            "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
                Err(error("credentials do not belong into a URL".to_owned()))
            }
            // to read from: a web server takes no objects, and lists none
            "http" | "https" => {
                let options = ClientOptions::new().with_allow_http(url.scheme() == "http");
                let root = url.join("/").map_err(|reason| error(reason.to_string()))?;
                let store = HttpBuilder::new().with_url(root).with_client_options(options).build();
                let store = store.map_err(|reason| error(reason.to_string()))?;
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
        let name = path.display().to_string();
        let name = if name.len() > 1 { name.trim_end_matches('/').to_owned() } else { name };
        let folder = resolve(path)?;
        // rooted at /, so that the folder need not exist
        let prefix = Path::from_absolute_path(&folder)?;
        let store = PrefixStore::new(LocalFileSystem::new().with_fsync(!SYNCS_AT_ONCE), prefix);
        Ok(Self { store: Arc::new(store), folder: Some(folder), name })
    }

    /// The place `path` below this one. No path leads upwards: `..` is a name like any other.
    pub fn join(&self, path: &str) -> Self {
        let path = Path::from(path);
        let folder = |folder: &PathBuf| path.parts().fold(folder.clone(), |folder, part| folder.join(part.as_ref()));
        Self {
            folder: self.folder.as_ref().map(folder),
            name: format!("{}/{path}", self.name.trim_end_matches('/')),
            store: Arc::new(PrefixStore::new(self.store.clone(), path)),
        }
    }

    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Returns when everything that was written is on the disk. Blocks; does nothing for stores that are no local folder,
    /// where what was written is safe. One call for all objects of a step costs a fraction of one for each.
    pub fn sync(&self) -> std::io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(folder) = &self.folder {
            rustix::fs::syncfs(std::fs::File::open(folder)?)?;
        }
        Ok(())
    }

    /// Bytes that this user may still write, where the place is a folder of this machine, or will be one.
    pub fn free_bytes(&self) -> Option<u64> {
        let folder = self.folder.as_deref()?.ancestors().find(|folder| folder.is_dir())?;
        let disk = rustix::fs::statvfs(folder).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Whether the objects below can be listed: a web server lists none.
    pub fn can_list(&self) -> bool {
        !self.name.starts_with("http://") && !self.name.starts_with("https://")
    }

    /// Whether this place is the other one, or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        match (&self.folder, &other.folder) {
            (Some(own), Some(others)) => own.starts_with(others),
            (None, None) => {
                let (own, others) = (self.name.trim_end_matches('/'), other.name.trim_end_matches('/'));
                own.strip_prefix(others).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            _ => false,
        }
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

/// Absolute, without `.` and `..`: object paths have neither. Symbolic links are followed as far as the path exists.
fn resolve(path: &FilePath) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut resolved = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                resolved = resolved.canonicalize()?;
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    Ok(resolved)
}

/// `s3://key:secret@bucket` is refused, and must not be printed either.
fn without_credentials(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://…{}", &text[..scheme], &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_in_every_spelling() {
        let folder = |text: &str| Location::parse(text).unwrap().local_folder().unwrap().to_owned();
        let here = std::env::current_dir().unwrap();
        assert_eq!(folder("f.zarr"), here.join("f.zarr"));
        assert_eq!(folder("./a/f.zarr/"), here.join("a/f.zarr"));
        assert_eq!(folder("../f.zarr"), here.canonicalize().unwrap().parent().unwrap().join("f.zarr"));
        assert_eq!(folder("/tmp/x y/Å#1~.zarr"), FilePath::new("/tmp/x y/Å#1~.zarr"));
        assert_eq!(folder("file:///tmp/x%20y/f.zarr"), FilePath::new("/tmp/x y/f.zarr"));
    }

    #[test]
    fn what_is_no_place_is_refused_without_telling_secrets() {
        for text in [
            "",
            "gopher://host/f.zarr",
            "s3://",
            "s3:///f.zarr",
            "file://elsewhere/f.zarr",
            "a\u{0}b",
            "no/such/../../f",
        ] {
            assert!(matches!(Location::parse(text), Err(LocationError { .. })), "{text:?}");
        }
        let told = Location::parse("s3://AKIA:topsecret@bucket/f.zarr").unwrap_err().to_string();
        assert!(!told.contains("topsecret") && !told.contains("AKIA:"), "{told}");
    }

    #[test]
    fn nothing_below_a_place_is_above_it() {
        let place = Location::parse("/tmp/store").unwrap();
        for path in ["../x", "a/../../x", "/x", "a//b"] {
            let below = place.join(path);
            assert!(below.local_folder().unwrap().starts_with("/tmp/store"), "{path}");
            assert!(!below.local_folder().unwrap().components().any(|part| part == Component::ParentDir));
        }
    }
}

//! The kinds of storage.

use std::process::Command;

use vejr::location::Location;

use crate::conformance::conforms;
use crate::s3::S3Server;

#[tokio::test(flavor = "multi_thread")]
async fn local_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    // names that are special to URLs and to object stores are only names here
    let root = folder.path().join("a #1 ~folder%20").join("..").join("bø rn");
    std::fs::create_dir(folder.path().join("a #1 ~folder%20")).unwrap();
    conforms(&Location::parse(root.to_str().unwrap()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    conforms(&Location::parse("memory://").unwrap()).await;
}

const S3_CHILD: &str = "VEJR_TEST_S3_CHILD";

/// In a process of its own: credentials and endpoint come from the environment.
#[test]
fn s3_conforms() {
    let Some(server) = S3Server::start() else { return };
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["locations::s3_child", "--exact", "--nocapture"])
        .env(S3_CHILD, "1")
        .env("AWS_ENDPOINT_URL", &server.endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .status()
        .unwrap();
    assert!(status.success());
}

/// What `s3_conforms` starts; by itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn s3_child() {
    if std::env::var_os(S3_CHILD).is_none() {
        return;
    }
    let root = Location::parse("s3://forecasts/a/b").unwrap();
    conforms(&root).await;
    crate::damage::is_reported(&root.join("damage")).await;
}

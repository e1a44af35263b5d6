//! The kinds of storage.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use vejr::location::Location;

use crate::conformance::conforms;
use crate::python;

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

/// An S3 server on this machine, as long as this lives.
pub struct S3Server {
    process: Child,
    endpoint: String,
}

impl S3Server {
    pub fn start() -> Option<Self> {
        let python = python::with(&["moto.server", "flask"])?;
        let script = "import sys, boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
boto3.client('s3', endpoint_url=f'http://{host}:{port}', region_name='us-east-1',
             aws_access_key_id='test', aws_secret_access_key='test').create_bucket(Bucket='forecasts')
print(f'http://{host}:{port}', flush=True)
sys.stdin.read()";
        let mut process = Command::new(python)
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut endpoint = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
        assert!(endpoint.starts_with("http://127.0.0.1"), "the S3 server did not start");
        Some(Self { process, endpoint: endpoint.trim().to_owned() })
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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

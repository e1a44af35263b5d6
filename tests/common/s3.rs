//! A real S3 server on this machine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::python;

/// An S3 server on this machine, as long as this lives.
pub struct S3Server {
    process: Child,
    pub endpoint: String,
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

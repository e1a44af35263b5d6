//! Clients that are not ours: a Python client generated from `proto/`, and a browser.

use std::path::Path;
use std::process::Stdio;

use serde_json::Map;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use vejr::serve::Limits;

use super::{Service, members, planet};

/// The Python that has the clients' packages, or the reason why there is none.
pub fn python() -> Result<String, String> {
    let program = std::env::var("VEJR_TEST_PYTHON").map_err(|_| "VEJR_TEST_PYTHON is not set".to_owned())?;
    if Path::new(&program).exists() { Ok(program) } else { Err(format!("{program} does not exist")) }
}

pub fn script(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn a_python_client_generated_from_the_protos_lists_describes_and_calls() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let (service, _) = Service::with_forecast().await;
    let mut command = Command::new(python);
    command.arg(script("grpc_client.py")).arg(service.address.to_string());
    let output = command.arg(format!("{}/proto", env!("CARGO_MANIFEST_DIR"))).output().await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
    println!("{out}");
}

/// The browser, and the Python that drives it; `None`, with a message, where there is no browser.
fn browser() -> Option<(String, String)> {
    let browser = std::env::var("VEJR_TEST_BROWSER").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if !Path::new(&browser).exists() {
        eprintln!("skipped: there is no browser at {browser}; VEJR_TEST_BROWSER names another");
        return None;
    }
    Some((browser, python().unwrap_or_else(|_| "python3".to_owned())))
}

/// The page in a browser, at a desk and on a phone, while a run goes on. The script says when it wants the next step.
#[tokio::test]
async fn the_map_page_works_in_a_browser() {
    let Some((browser, python)) = browser() else { return };
    let service = Service::start(Limits::default()).await;
    planet::publish(&service.root, &planet::path("2001-01-01T00:00Z", "4f2a9c01"), 20).await;
    let running = planet::path("2001-01-02T00:00Z", "77aa01");
    let mut writer = planet::begin(&service.root, &running, 20, 5).await;
    let spec = planet::spec(&running, 20);

    let mut command = Command::new(python);
    command.arg(script("page.py")).args([service.url("/"), browser, env!("CARGO_TARGET_TMPDIR").to_owned()]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        match line.as_str() {
            "publish" => {
                let step = writer.steps_complete();
                writer.write_step(&planet::fields(&spec, spec.lead_times[step])).await.unwrap();
            }
            "finish" => {
                while writer.steps_complete() < spec.lead_times.len() {
                    let lead = spec.lead_times[writer.steps_complete()];
                    writer.write_step(&planet::fields(&spec, lead)).await.unwrap();
                }
                writer.finish(Map::new()).await.unwrap();
            }
            other => println!("{other}"),
        }
    }
    assert!(child.wait().await.unwrap().success());
}

/// An ensemble on the page: members, what is made of them, and curves of all at a place.
#[tokio::test]
async fn the_map_page_shows_members() {
    let Some((browser, python)) = browser() else { return };
    let service = Service::start(Limits::default()).await;
    members::publish(&service).await;
    let mut command = Command::new(python);
    command.arg(script("page_members.py")).args([service.url("/"), browser, env!("CARGO_TARGET_TMPDIR").to_owned()]);
    let output = command.output().await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
    println!("{out}");
}

/// On the page somebody asks for forecasts of the bundled model, and sees their steps come.
#[tokio::test]
async fn forecasts_are_asked_for_on_the_map_page() {
    let Some((browser, python)) = browser() else { return };
    let (folder, root) = (tempfile::tempdir().unwrap(), env!("CARGO_MANIFEST_DIR"));
    let here = folder.path().display();
    let text = format!(
        "store = \"{here}/forecasts\"\nlisten = \"127.0.0.1:0\"\nmodels = [\"{root}/models\"]\n\
         [runs]\nledger = \"sqlite:{here}/ledger.sqlite\"\ndevices = [\"cpu\"]\n\
         [[inputs]]\nmodel = \"held-suarez-sfno\"\ninit = [\"{root}/data-samples/held-suarez-init.nc\"]\n"
    );
    let configuration = folder.path().join("vejr.toml");
    std::fs::write(&configuration, text).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_vejr"));
    server.args(["serve", "--config"]).arg(&configuration).stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = server.spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let serving = lines.next_line().await.unwrap().expect("the server says where it serves");
    let address = serving.split_whitespace().find(|word| word.starts_with("http://")).expect(&serving);

    let mut command = Command::new(python);
    command.arg(script("page_runs.py")).args([address, &browser, env!("CARGO_TARGET_TMPDIR")]);
    let output = command.output().await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
    println!("{out}");
}

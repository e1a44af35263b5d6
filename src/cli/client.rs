//! What the clients of a server share: the way there, names, errors, and how a run is shown.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use url::{Host, Url};

use super::progress::Reporter;
use super::{Failure, Fault, say};
use crate::atmos::{LeadTime, ReferenceTime};
use crate::forecast::Progress;
use crate::serve::v1;
use crate::serve::v1::forecast_service_client::ForecastServiceClient;
use crate::serve::v1::watch_forecast_response::Kind;

pub type Client = ForecastServiceClient<InterceptedService<Channel, Credentials>>;

/// Where the token is, unless a file has it.
const TOKEN: &str = "VEJR_TOKEN";

const CONNECT: Duration = Duration::from_secs(5);
/// A server that sends heartbeats and is not heard of for so long is gone.
const SILENCE: Duration = Duration::from_secs(20);
/// Between two tries to reach a server.
const PAUSE: Duration = Duration::from_secs(1);

/// Which server.
#[derive(Debug, Args)]
pub struct ServerArguments {
    /// Address of the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// How long to go on trying where the server is full or cannot be reached
    #[arg(long, value_name = "TIME", default_value = "10m")]
    patience: LeadTime,
    /// Certificates of authorities to trust, PEM, instead of the system's; for https:// addresses
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with the token for the server [default: the variable VEJR_TOKEN, if it is set]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Send the token also without TLS to another machine: all between can read it
    #[arg(long)]
    insecure: bool,
}

impl ServerArguments {
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.seconds().unsigned_abs())
    }

    pub fn client(&self) -> Result<Client, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            let server = &self.server;
            Failure::configuration(format!("--server {server}: {error}; expected one such as https://vejr.example.org"))
        };
        let url = Url::parse(&self.server).map_err(|error| wrong(&error))?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(wrong(&format!("{other} is not spoken here"))),
        };
        let credentials = Credentials(self.token()?);
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if credentials.0.is_some() && !secure && !here && !self.insecure {
            return Err(wrong(&"there the token would be sent without TLS (which --insecure allows)"));
        }
        if self.ca.is_some() && !secure {
            return Err(wrong(&"--ca is for TLS"));
        }
        let mut endpoint = Endpoint::from_shared(self.server.clone())
            .map_err(|error| wrong(&error))?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(CONNECT)
            .keep_alive_timeout(SILENCE);
        if secure {
            let tls = match &self.ca {
                None => ClientTlsConfig::new().with_native_roots(),
                Some(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(file, "--ca")?)),
            };
            endpoint = endpoint.tls_config(tls).map_err(|error| wrong(&whole(&error)))?;
        }
        // connects when it is first used, and again when the connection is lost
        Ok(ForecastServiceClient::with_interceptor(endpoint.connect_lazy(), credentials))
    }

    /// `None`: the server is asked without one.
    fn token(&self) -> Result<Option<AsciiMetadataValue>, Failure> {
        let (token, place) = match &self.token_file {
            Some(file) => (read(file, "--token-file")?, file.display().to_string()),
            None => match std::env::var(TOKEN) {
                Ok(token) => (token, TOKEN.to_owned()),
                Err(std::env::VarError::NotPresent) => return Ok(None),
                Err(error) => return Err(Failure::configuration(format!("{TOKEN}: {error}"))),
            },
        };
        let value = AsciiMetadataValue::try_from(format!("Bearer {}", token.trim()));
        let mut value = match value {
            Ok(value) if !token.trim().is_empty() => value,
            // what is there may be a secret, and is not repeated
            _ => {
                return Err(Failure::configuration(format!("{place} holds no token; expected what vejr token prints")));
            }
        };
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn read(file: &Path, option: &str) -> Result<String, Failure> {
    let failed = |error| Failure::configuration(format!("{option} {}: {error}", file.display()));
    std::fs::read_to_string(file).map_err(failed)
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Shows the token with every call.
#[derive(Clone)]
pub struct Credentials(Option<AsciiMetadataValue>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// `forecasts/…` as it is; `model/time/key` and `model/latest` are what people type.
pub fn resource(name: &str) -> String {
    if name.starts_with("forecasts/") { name.to_owned() } else { format!("forecasts/{name}") }
}

/// Whether the analysis has not arrived.
pub fn is_not_yet(status: &Status) -> bool {
    let details = status.get_error_details();
    details
        .precondition_failure()
        .is_some_and(|failure| failure.violations.iter().any(|violation| violation.r#type == "ANALYSIS_NOT_ARRIVED"))
}

/// Whether the same request may be taken later, and how long to wait.
pub fn retry(status: &Status) -> Option<Duration> {
    match status.code() {
        Code::ResourceExhausted | Code::Unavailable | Code::DeadlineExceeded => {
            let told = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
            Some(told.unwrap_or(PAUSE))
        }
        _ => None,
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let fault = match status.code() {
            _ if is_not_yet(&status) => Fault::NotYet,
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented => Fault::Configuration,
            _ => Fault::Other,
        };
        Self::new(fault, explained(&status))
    }
}

/// What a status says, and whether it is the server that says it.
pub fn explained(status: &Status) -> String {
    use std::error::Error;
    match status.source() {
        Some(cause) => {
            format!("the server cannot be reached ({}); does it run, and is --server right?", whole(cause))
        }
        None if status.code() == Code::Unauthenticated => {
            format!("the server says: {}; a token comes from {TOKEN} or --token-file", status.message())
        }
        None => format!("the server says: {}", status.message()),
    }
}

/// A run as a client has heard of it.
pub struct Told<'a>(pub &'a v1::Run);

impl Told<'_> {
    pub fn state(&self) -> &'static str {
        match self.0.state() {
            v1::RunState::Unspecified => "unknown",
            v1::RunState::Queued => "queued",
            v1::RunState::Running => "running",
            v1::RunState::Publishing => "publishing",
            v1::RunState::Complete => "complete",
            v1::RunState::Failed => "failed",
            v1::RunState::Cancelled => "cancelled",
            v1::RunState::Expired => "expired",
        }
    }

    pub fn is_final(&self) -> bool {
        use v1::RunState::{Cancelled, Complete, Expired, Failed};
        matches!(self.0.state(), Complete | Failed | Cancelled | Expired)
    }

    fn reference_time(&self) -> Option<ReferenceTime> {
        ReferenceTime::from_timestamp(self.0.reference_time?.seconds)
    }

    pub fn json(&self) -> serde_json::Value {
        json!({
            "forecast": self.0.forecast,
            "reference_time": self.reference_time().map(|time| time.to_string()),
            "state": self.state(),
            "steps_complete": self.0.steps_complete,
            "steps_total": self.0.steps_total,
            "age_seconds": self.0.age.map(|age| age.seconds),
            "reason": self.0.failure_reason,
        })
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let v1::Run { forecast, steps_complete, steps_total, failure_reason, .. } = self.0;
        let reason = if failure_reason.is_empty() { String::new() } else { format!(": {failure_reason}") };
        format!("{:10} {steps_complete:4} of {steps_total:4} steps  {forecast}{reason}", self.state())
    }

    /// What the end of a run means for whoever waited for it.
    pub fn outcome(&self) -> Result<(), Failure> {
        let fault = match (self.0.state(), self.0.fault()) {
            (v1::RunState::Complete, _) => return Ok(()),
            (v1::RunState::Failed, v1::Fault::Configuration) => Fault::Configuration,
            (v1::RunState::Failed, v1::Fault::Input) => Fault::Input,
            (v1::RunState::Failed, v1::Fault::Device) => Fault::Device,
            (v1::RunState::Failed, v1::Fault::Storage) => Fault::Storage,
            _ => Fault::Other,
        };
        let reason = match self.0.failure_reason.as_str() {
            "" => "the server does not say why",
            reason => reason,
        };
        Err(Failure::new(fault, format!("{} is {}: {reason}", self.0.forecast, self.state())))
    }
}

fn clock(time: Option<prost_types::Timestamp>) -> String {
    let time = time.and_then(|time| DateTime::<Utc>::from_timestamp(time.seconds, 0));
    time.map_or_else(String::new, |time| time.format("%H:%M:%S").to_string())
}

/// How what happens is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    Nothing,
    /// A bar on a terminal, lines elsewhere.
    Progress,
    /// A line of JSON for each event, on standard output.
    Json,
}

/// Follows a run until it ends; goes on after the last event that was seen where the connection is lost.
pub async fn follow(client: &mut Client, name: &str, patience: Duration, show: Show) -> Result<v1::Run, Failure> {
    let mut resume_token = String::new();
    let mut last_heard = Instant::now();
    let mut reporter = Reporter::new(show != Show::Progress);
    loop {
        let request = v1::WatchForecastRequest { name: name.to_owned(), resume_token: resume_token.clone() };
        let lost = match client.watch_forecast(request).await {
            Err(status) => status,
            Ok(answer) => {
                let mut stream = answer.into_inner();
                loop {
                    let next = tokio::time::timeout(SILENCE, stream.message()).await;
                    let event = match next {
                        Err(_) => break Status::unavailable("the server is silent"),
                        Ok(Err(status)) => break status,
                        Ok(Ok(None)) => break Status::unavailable("the server ended the stream"),
                        Ok(Ok(Some(event))) => event,
                    };
                    last_heard = Instant::now();
                    resume_token.clone_from(&event.resume_token);
                    let Some(run) = &event.run else { continue };
                    tell(&event, run, show, &mut reporter);
                    if Told(run).is_final() && event.kind() == Kind::State {
                        // begun again meanwhile, and then the stream goes on
                        if let Ok(Ok(Some(_))) = tokio::time::timeout(PAUSE, stream.message()).await {
                            break Status::unavailable("it was begun again");
                        }
                        reporter.finish();
                        return Ok(run.clone());
                    }
                }
            }
        };
        // the end was told in a stream that was lost
        if let Ok(answer) = client.get_forecast(v1::GetForecastRequest { name: name.to_owned() }).await
            && let Some(run) = answer.into_inner().forecast.and_then(|forecast| forecast.run)
            && Told(&run).is_final()
        {
            reporter.finish();
            return Ok(run);
        }
        if retry(&lost).is_none() && lost.code() != Code::Unknown && lost.code() != Code::Internal
            || last_heard.elapsed() > patience
        {
            reporter.finish();
            return Err(lost.into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn tell(event: &v1::WatchForecastResponse, run: &v1::Run, show: Show, reporter: &mut Reporter) {
    match show {
        Show::Nothing => {}
        Show::Json => {
            let mut line = Told(run).json();
            line["kind"] = json!(event.kind().as_str_name().trim_start_matches("KIND_").to_lowercase());
            line["detail"] = json!(event.detail);
            line["lead_seconds"] = json!(event.lead_time.map(|lead| lead.seconds));
            line["resume_token"] = json!(event.resume_token);
            if event.kind() != Kind::Heartbeat {
                say(line);
            }
        }
        Show::Progress => match (event.kind(), Told(run).reference_time()) {
            (Kind::Step, Some(reference)) if run.steps_complete > 1 => {
                let lead = LeadTime::from_seconds(event.lead_time.map_or(0, |lead| lead.seconds));
                let step = run.steps_complete as usize - 1;
                let total = (run.steps_total as usize).saturating_sub(1);
                let complete = run.steps_complete as usize;
                let valid_time = reference + lead;
                reporter.show(&Progress {
                    step,
                    total,
                    member: None,
                    complete,
                    valid_time,
                    seconds: f64::NAN,
                    joules: None,
                });
            }
            (Kind::State, _) => {
                let detail = if event.detail.is_empty() { String::new() } else { format!(" ({})", event.detail) };
                reporter.line(&format!("{} {}{detail}", clock(event.event_time), Told(run).state()));
            }
            _ => {}
        },
    }
}

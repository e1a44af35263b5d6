//! What a process tells of itself: a log, and traces where somebody collects them.
//!
//! Traces go out as OpenTelemetry's OTLP over HTTP. They are set up by the environment variables of its specification
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>) and by nothing else: without an
//! endpoint there, spans are not even made.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

use super::{Arguments, Command, dmi_container};

/// Where traces go, if anywhere.
const ENDPOINTS: &[&str] = &["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// How they go, if somebody says so; and the only way that is known here.
const PROTOCOLS: &[&str] = &["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const PROTOCOL: &str = "http/protobuf";
/// Turns all of it off.
const DISABLED: &str = "OTEL_SDK_DISABLED";
/// The longest that the end of a process waits for its last spans to be taken.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// As long as a process tells of itself.
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// The log goes to standard error; how much of it `VEJR_LOG` says, or for a container its `LOG_LEVEL`.
    pub fn start(arguments: &Arguments) -> Self {
        let level = std::env::var("LOG_LEVEL").unwrap_or_default();
        let filter = match arguments.command {
            Some(Command::DmiContainer(_)) => dmi_container::log_filter(&level).unwrap_or("warn,vejr=info").into(),
            _ => EnvFilter::try_from_env("VEJR_LOG").unwrap_or_else(|_| match arguments.command {
                // services tell what they do
                Some(Command::Serve(_) | Command::Worker(_)) => "warn,vejr=info".into(),
                _ => "warn".into(),
            }),
        };
        let (provider, problem) = match traced(arguments).then(provider) {
            Some(Ok(provider)) => (Some(provider), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let traces = provider.as_ref().map(|provider| {
            let ours = |span: &Metadata<'_>| span.is_span() && span.target().starts_with("vejr");
            tracing_opentelemetry::layer().with_tracer(provider.tracer("vejr")).with_filter(filter_fn(ours))
        });
        let log = tracing_subscriber::fmt::layer()
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_writer(std::io::stderr)
            // spans are for traces; what the exporter says of itself, ours says in one line
            .with_filter(filter_fn(|told| told.is_event() && !told.target().starts_with("opentelemetry")))
            .with_filter(filter);
        tracing_subscriber::registry().with(traces).with(log).init();
        global::set_text_map_propagator(TraceContextPropagator::new());
        if let Some(error) = problem {
            tracing::warn!(%error, "no traces are sent; correct the OTEL_ variables of the environment, or unset them");
        }
        if matches!(arguments.command, Some(Command::DmiContainer(_))) && dmi_container::log_filter(&level).is_none() {
            tracing::warn!("LOG_LEVEL={level:?} is no known level; INFO is taken");
        }
        Self(provider)
    }

    /// Sends what was not sent yet.
    pub fn finish(self) {
        if let Some(provider) = self.0 {
            // that they do not arrive was said when it was found
            let _ = provider.shutdown_with_timeout(LAST_SPANS);
        }
    }
}

/// Whether this process is one whose work is followed, and somebody asked for it.
fn traced(arguments: &Arguments) -> bool {
    let works = matches!(
        arguments.command,
        Some(Command::Serve(_) | Command::Worker(_) | Command::Forecast(_) | Command::DmiContainer(_))
    );
    let disabled = std::env::var(DISABLED).is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    works && !disabled && first_set(ENDPOINTS).is_some()
}

/// The first of these variables that the environment has, and what it says.
fn first_set(names: &[&'static str]) -> Option<(&'static str, String)> {
    let value = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    names.iter().find_map(|&name| Some((name, value(name)?)))
}

fn provider() -> Result<SdkTracerProvider, String> {
    if let Some((name, found)) = first_set(PROTOCOLS).filter(|(_, found)| found != PROTOCOL) {
        return Err(format!("{name} is {found:?}; expected {PROTOCOL:?}, for which collectors listen at port 4318"));
    }
    let exporter = OtlpExporter::builder().with_http().build().map_err(|error| error.to_string())?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("vejr");
    }
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = resource.with_attribute(version).build();
    let exporter = Honest { exporter, failing: AtomicBool::new(false) };
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// An exporter that says once when nobody takes the spans, and when somebody does again.
#[derive(Debug)]
struct Honest<E> {
    exporter: E,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Honest<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.exporter.export(batch).await;
        let failed_before = self.failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) if !failed_before => {
                tracing::warn!(%error, "traces are not taken, and are lost; does a collector listen at OTEL_EXPORTER_OTLP_ENDPOINT?");
            }
            Ok(()) if failed_before => tracing::info!("traces are taken again"),
            _ => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

//! What a server counts, for Prometheus.

use prometheus::{
    Counter, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Cheap to clone: handles on shared counters. Each server has its own, so that tests run side by side.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// By route and status (HTTP's number, or gRPC's name).
    pub requests: IntCounterVec,
    /// By route.
    pub request_seconds: HistogramVec,
    pub requests_in_flight: IntGauge,
    pub requests_refused: IntCounter,
    pub answers_waiting: IntGauge,
    pub readers_cut: IntCounter,
    pub connections: IntGauge,
    /// By format.
    pub tiles: IntCounterVec,
    /// Projecting and encoding, without reading.
    pub tile_seconds: Histogram,
    pub cache_hits: IntCounter,
    pub cache_misses: IntCounter,
    pub cache_bytes: IntGauge,
    pub store_up: IntGauge,
    /// By state.
    pub runs: IntGaugeVec,
    pub queue_seconds: Gauge,
    /// By schedule and state.
    pub awaited: IntGaugeVec,
    /// By schedule.
    pub arrival_seconds: GaugeVec,
    /// Of the workers in this process.
    pub step_seconds: Histogram,
    /// Of the workers in this process, where something counts them.
    pub joules: Counter,
    /// By device of this process.
    pub device_up: IntGaugeVec,
}

const LATENCY_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const TILE_BUCKETS: &[f64] = &[0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1];

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("vejr_requests_total", "Requests answered, by route and status."),
                &["route", "status"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::new("vejr_request_seconds", "From a request to the first byte of its answer.")
                    .buckets(LATENCY_BUCKETS.to_vec()),
                &["route"],
            )?,
            requests_in_flight: IntGauge::new("vejr_requests_in_flight", "Requests at work now.")?,
            requests_refused: IntCounter::new("vejr_requests_refused_total", "Requests refused at the limit.")?,
            answers_waiting: IntGauge::new("vejr_answers_waiting", "Answers that are being read by clients now.")?,
            readers_cut: IntCounter::new("vejr_readers_cut_total", "Answers cut off because nobody read them.")?,
            connections: IntGauge::new("vejr_connections", "Open connections.")?,
            tiles: IntCounterVec::new(Opts::new("vejr_tiles_total", "Tiles made, by format."), &["format"])?,
            tile_seconds: Histogram::with_opts(
                HistogramOpts::new("vejr_tile_seconds", "Projecting and encoding one tile, without reading.")
                    .buckets(TILE_BUCKETS.to_vec()),
            )?,
            cache_hits: IntCounter::new("vejr_cache_hits_total", "Blocks of fields found in memory.")?,
            cache_misses: IntCounter::new("vejr_cache_misses_total", "Blocks of fields read from the store.")?,
            cache_bytes: IntGauge::new("vejr_cache_bytes", "Decoded blocks held in memory.")?,
            store_up: IntGauge::new("vejr_store_up", "1 while the store can be listed, else 0.")?,
            runs: IntGaugeVec::new(Opts::new("vejr_runs", "Runs in the ledger, by state."), &["state"])?,
            queue_seconds: Gauge::new("vejr_queue_age_seconds", "Since the oldest waiting run was asked for.")?,
            awaited: IntGaugeVec::new(
                Opts::new("vejr_awaited_analyses", "Analyses of schedules, by schedule and state."),
                &["schedule", "state"],
            )?,
            arrival_seconds: GaugeVec::new(
                Opts::new(
                    "vejr_arrival_seconds",
                    "From its reference time until the last analysis was there, by schedule.",
                ),
                &["schedule"],
            )?,
            step_seconds: Histogram::with_opts(
                HistogramOpts::new("vejr_step_seconds", "Computing one step, of the workers in this process.")
                    .buckets(LATENCY_BUCKETS.to_vec()),
            )?,
            joules: Counter::new("vejr_joules_total", "What computing steps took, of the workers in this process.")?,
            device_up: IntGaugeVec::new(
                Opts::new("vejr_device_up", "1 while a device of this process computes right and in time, else 0."),
                &["device"],
            )?,
            registry,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.request_seconds.clone()))?;
        registry.register(Box::new(metrics.requests_in_flight.clone()))?;
        registry.register(Box::new(metrics.requests_refused.clone()))?;
        registry.register(Box::new(metrics.answers_waiting.clone()))?;
        registry.register(Box::new(metrics.readers_cut.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.tiles.clone()))?;
        registry.register(Box::new(metrics.tile_seconds.clone()))?;
        registry.register(Box::new(metrics.cache_hits.clone()))?;
        registry.register(Box::new(metrics.cache_misses.clone()))?;
        registry.register(Box::new(metrics.cache_bytes.clone()))?;
        registry.register(Box::new(metrics.store_up.clone()))?;
        registry.register(Box::new(metrics.runs.clone()))?;
        registry.register(Box::new(metrics.queue_seconds.clone()))?;
        registry.register(Box::new(metrics.awaited.clone()))?;
        registry.register(Box::new(metrics.arrival_seconds.clone()))?;
        registry.register(Box::new(metrics.step_seconds.clone()))?;
        registry.register(Box::new(metrics.joules.clone()))?;
        registry.register(Box::new(metrics.device_up.clone()))?;
        Ok(metrics)
    }

    /// In Prometheus' text format.
    pub fn text(&self) -> Result<(String, Vec<u8>), prometheus::Error> {
        let encoder = TextEncoder::new();
        let mut bytes = Vec::new();
        encoder.encode(&self.registry.gather(), &mut bytes)?;
        Ok((encoder.format_type().to_owned(), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every metric that the dashboard draws is one that a server has.
    #[test]
    fn the_dashboard_draws_metrics_that_there_are() {
        let metrics = Metrics::new().unwrap();
        // those with labels are told of only when they have values
        metrics.requests.with_label_values(&["route", "200"]).inc();
        metrics.request_seconds.with_label_values(&["route"]).observe(0.1);
        metrics.tiles.with_label_values(&["png"]).inc();
        metrics.runs.with_label_values(&["queued"]).set(1);
        metrics.awaited.with_label_values(&["hourly", "late"]).set(1);
        metrics.arrival_seconds.with_label_values(&["hourly"]).set(1.0);
        metrics.device_up.with_label_values(&["cpu:0"]).set(1);
        let text = String::from_utf8(metrics.text().unwrap().1).unwrap();
        let known: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let dashboard: serde_json::Value =
            serde_json::from_str(include_str!("../../deploy/grafana/vejr.json")).unwrap();
        let mut drawn = 0;
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let words = target["expr"].as_str().unwrap().split(|c| !is_letter(c));
                for name in words.filter(|word| word.starts_with("vejr_")) {
                    assert!(known.contains(&name.trim_end_matches("_bucket")), "{name} in {:?}", panel["title"]);
                    drawn += 1;
                }
            }
        }
        assert!(drawn > 10);
    }
}

//! Every route and every method, and what it needs. What is not here is refused.

use axum::http::Method;

use super::role::Need::{self, Metrics, Open, Probe};
use super::role::Role::{Read, Request};

const READ: Need = Need::Role(Read);
const REQUEST: Need = Need::Role(Request);

/// A route over HTTP: its method (HEAD goes with GET), its pattern as the router has it, and what it needs.
#[derive(Debug, Clone, Copy)]
pub struct HttpRule(pub &'static str, pub &'static str, pub Need);

/// A gRPC method: its full name, and what it needs.
#[derive(Debug, Clone, Copy)]
pub struct GrpcRule(pub &'static str, pub Need);

pub const HTTP: &[HttpRule] = &[
    HttpRule("GET", "/healthz", Probe),
    HttpRule("GET", "/readyz", Probe),
    HttpRule("GET", "/metrics", Metrics),
    // the page itself asks for the token that its data need; its files are the same for everybody
    HttpRule("GET", "/", READ),
    HttpRule("GET", "/assets/{name}", Open),
    HttpRule("GET", "/tiles/{forecast}/{variable}/{level}/{lead}/tile.json", READ),
    HttpRule("GET", "/tiles/{forecast}/{variable}/{level}/{lead}/{z}/{x}/{file}", READ),
    HttpRule("GET", "/tiles/{forecast}/{variable}/{level}/{lead}", READ),
    HttpRule("GET", "/tiles/{forecast}/{variable}/{level}/{lead}/{set}", READ),
    HttpRule("GET", "/tiles/{forecast}/{variable}/{level}/{lead}/{set}/{z}/{row}/{file}", READ),
    HttpRule("GET", "/tileMatrixSets", READ),
    HttpRule("GET", "/tileMatrixSets/{set}", READ),
    HttpRule("GET", "/contours/{forecast}/{variable}/{level}/{lead}", READ),
    HttpRule("GET", "/winds/{forecast}/{variable}/{level}/{lead}", READ),
    HttpRule("GET", "/wms", READ),
    HttpRule("GET", "/legends/{forecast}/{variable}/{level}", READ),
    HttpRule("GET", "/api/v1/forecasts", READ),
    HttpRule("GET", "/api/v1/forecasts/{forecast}", READ),
    HttpRule("GET", "/api/v1/forecasts/{forecast}/series", READ),
    HttpRule("GET", "/api", READ),
    HttpRule("GET", "/conformance", READ),
    HttpRule("GET", "/collections", READ),
    HttpRule("GET", "/collections/{collection}", READ),
    HttpRule("GET", "/collections/{collection}/instances", READ),
    HttpRule("GET", "/collections/{collection}/instances/{instance}", READ),
    HttpRule("GET", "/collections/{collection}/{query}", READ),
    HttpRule("GET", "/collections/{collection}/instances/{instance}/{query}", READ),
    HttpRule("GET", "/api/v1/models", READ),
    HttpRule("GET", "/api/v1/runs", READ),
    HttpRule("POST", "/api/v1/runs", REQUEST),
    HttpRule("GET", "/api/v1/runs/{forecast}", READ),
    HttpRule("DELETE", "/api/v1/runs/{forecast}", REQUEST),
    HttpRule("GET", "/api/v1/runs/{forecast}/events", READ),
];

pub const GRPC: &[GrpcRule] = &[
    GrpcRule("/vejr.v1.ForecastService/RequestForecast", REQUEST),
    GrpcRule("/vejr.v1.ForecastService/CancelForecast", REQUEST),
    GrpcRule("/vejr.v1.ForecastService/WatchForecast", READ),
    GrpcRule("/vejr.v1.ForecastService/ListForecasts", READ),
    GrpcRule("/vejr.v1.ForecastService/GetForecast", READ),
    GrpcRule("/vejr.v1.ForecastService/ListAwaitedAnalyses", READ),
    GrpcRule("/vejr.v1.DataService/GetTile", READ),
    GrpcRule("/vejr.v1.DataService/GetField", READ),
    GrpcRule("/vejr.v1.DataService/GetArea", READ),
    GrpcRule("/vejr.v1.DataService/GetSeries", READ),
    GrpcRule("/vejr.v1.ModelService/ListModels", READ),
    GrpcRule("/vejr.v1.ModelService/GetModel", READ),
    GrpcRule("/grpc.health.v1.Health/Check", Probe),
    GrpcRule("/grpc.health.v1.Health/Watch", Probe),
    GrpcRule("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", READ),
    GrpcRule("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", READ),
];

/// What is known of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    Needs(Need),
    /// The route is there, but only with these methods.
    OtherMethod(String),
    /// The service has no such method.
    NoSuchCall,
    /// No rule says who may use it.
    None,
}

/// The rule for an address: `pattern` is the router's, under which the services of gRPC are `/{service}/{*rest}`.
pub fn rule(method: &Method, pattern: &str, path: &str) -> Rule {
    if pattern.ends_with("/{*rest}") {
        return GRPC.iter().find(|rule| rule.0 == path).map_or(Rule::NoSuchCall, |rule| Rule::Needs(rule.1));
    }
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let mut there = HTTP.iter().filter(|rule| rule.1 == pattern);
    if let Some(rule) = there.clone().find(|rule| rule.0 == method) {
        return Rule::Needs(rule.2);
    }
    match there.next() {
        None => Rule::None,
        Some(first) => {
            let methods = std::iter::once(first).chain(there);
            let methods = methods.map(|rule| if rule.0 == "GET" { "GET, HEAD" } else { rule.0 });
            Rule::OtherMethod(methods.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// The routes as the router's source has them: one that is added without a rule fails here.
    #[test]
    fn every_route_has_a_rule_and_every_rule_a_route() {
        let source = include_str!("../http/mod.rs");
        let mut patterns: Vec<&str> =
            source.split(".route(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        assert!(patterns.len() > 20, "{patterns:?}");
        let mut ruled: Vec<&str> = HTTP.iter().map(|rule| rule.1).collect();
        patterns.sort_unstable();
        ruled.sort_unstable();
        ruled.dedup();
        assert_eq!(patterns, ruled);
    }

    #[test]
    fn every_method_of_every_service_has_a_rule() {
        let sets = [
            crate::serve::v1::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut methods = Vec::new();
        for set in sets {
            for file in FileDescriptorSet::decode(set).unwrap().file {
                for service in &file.service {
                    let name = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
                    methods.extend(service.method.iter().map(|method| name(method.name())));
                }
            }
        }
        methods.sort_unstable();
        methods.dedup();
        let mut ruled: Vec<String> = GRPC.iter().map(|rule| rule.0.to_owned()).collect();
        ruled.sort_unstable();
        assert_eq!(methods, ruled);
    }

    #[test]
    fn what_no_rule_names_is_refused() {
        let get = Method::GET;
        assert_eq!(rule(&get, "/new", "/new"), Rule::None);
        assert_eq!(rule(&Method::PUT, "/api/v1/runs", "/api/v1/runs"), Rule::OtherMethod("GET, HEAD, POST".to_owned()));
        assert_eq!(rule(&Method::HEAD, "/wms", "/wms"), Rule::Needs(READ));
        let service = "/vejr.v1.DataService/{*rest}";
        assert_eq!(rule(&Method::POST, service, "/vejr.v1.DataService/GetTile"), Rule::Needs(READ));
        assert_eq!(rule(&Method::POST, service, "/vejr.v1.DataService/GetTile/"), Rule::NoSuchCall);
        assert_eq!(rule(&Method::POST, service, "/vejr.v1.DataService/New"), Rule::NoSuchCall);
    }
}

//! The interface described: OpenAPI 3.0.3 for programs, and a page made of the same document for people.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::request::{Format, Kind};

pub fn document(base: &str) -> Value {
    let mut paths = Map::new();
    let mut get = |path: &str, id: &str, summary: &str, parameters: Vec<Value>, types: Vec<&str>| {
        let content: Map<String, Value> = types.into_iter().map(|kind| (kind.to_owned(), json!({}))).collect();
        let inside = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let all: Vec<Value> = inside.map(path_parameter).chain(parameters).collect();
        let operation = json!({
            "operationId": id,
            "summary": summary,
            "parameters": all,
            "responses": {
                "200": { "description": "The answer", "content": content },
                "default": {
                    "description": "What is wrong",
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/exception" } } },
                },
            },
        });
        paths.insert(path.to_owned(), json!({ "get": operation }));
    };
    let json_only = || vec!["application/json"];
    get("/conformance", "conformance", "Conformance classes", vec![], json_only());
    get("/collections", "collections", "Models with forecasts", vec![], json_only());
    get("/collections/{collection}", "collection", "A model, as its latest run has it", vec![], json_only());
    get("/collections/{collection}/instances", "instances", "Runs of a model", vec![], json_only());
    get("/collections/{collection}/instances/{instance}", "instance", "One run", vec![], json_only());
    for kind in Kind::ALL {
        let types = || Format::ALL.map(Format::content_type).to_vec();
        let (name, parameters) = (kind.name(), || query_parameters(kind));
        let summary = |of: &str| format!("Values {of}: {}", place(kind).1);
        let path = format!("/collections/{{collection}}/{name}");
        get(&path, name, &summary("of the latest run"), parameters(), types());
        let path = format!("/collections/{{collection}}/instances/{{instance}}/{name}");
        get(&path, &format!("{name}_of_instance"), &summary("of one run"), parameters(), types());
    }
    let mut document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "vejr",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Forecasts of machine-learning weather models, as OGC API - Environmental Data Retrieval 1.1. \
                            A dimension that a query leaves out is all that there is; the answer's axes and headers name it, and the run.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": {
                "exception": {
                    "type": "object",
                    "required": ["code", "description"],
                    "properties": {
                        "code": { "type": "string" },
                        "description": { "type": "string" },
                        "status": { "type": "integer" },
                        "title": { "type": "string" },
                        "detail": { "type": "string" },
                        "violations": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": { "field": { "type": "string" }, "description": { "type": "string" } },
                            },
                        },
                    },
                },
            },
        },
    });
    if !base.is_empty() {
        document["servers"] = json!([{ "url": base }]);
    }
    document
}

fn path_parameter(name: &str) -> Value {
    let description = match name {
        "collection" => "Name of a model",
        _ => "2026-01-31T060000Z, or exactly 2026-01-31T060000Z~RUNKEY",
    };
    json!({ "name": name, "in": "path", "required": true, "description": description, "schema": { "type": "string" } })
}

/// The parameter that says where, and for people.
fn place(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Position => ("coords", "POINT(longitude latitude) or MULTIPOINT; the nearest grid points answer"),
        Kind::Area => ("coords", "POLYGON or MULTIPOLYGON of longitude latitude"),
        Kind::Cube => ("bbox", "west,south,east,north, or west,south,low,east,north,high with levels"),
        Kind::Trajectory => ("coords", "LINESTRING at one datetime, or LINESTRINGM with seconds since 1970"),
    }
}

fn query_parameters(kind: Kind) -> Vec<Value> {
    let (name, description) = place(kind);
    let text = |name: &str, required: bool, description: &str| json!({ "name": name, "in": "query", "required": required, "description": description, "schema": { "type": "string" } });
    let mut parameters = vec![
        text(name, true, description),
        text("parameter-name", false, "Names, separated by commas; all where it is left out"),
        text(
            "datetime",
            false,
            "2026-01-31T06:00:00Z, or START/END in which .. is no bound; all published times where it is left out",
        ),
        text("z", false, "Levels: 850, 850,500 or 1000/500; all where it is left out"),
        text(
            "units",
            false,
            "Units of the answer: degC,kn,hPa, or of one parameter t2m:degC; the stored ones where it is left out",
        ),
        text(
            "member",
            false,
            "Of an ensemble the number of a member, or what is made of all: mean, spread, q90, …; 0, the control, where it is left out",
        ),
    ];
    let choice = |name: &str, default: &str, values: &[&str]| json!({ "name": name, "in": "query", "schema": { "type": "string", "enum": values, "default": default } });
    parameters.push(choice("crs", "crs84", &["crs84", "native"]));
    parameters.push(choice("f", "CoverageJSON", &Format::ALL.map(Format::name)));
    parameters
}

const STYLE: &str = "\
         body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         code{font-size:.95em}h2{font-size:1.05rem;margin-top:2rem}td{padding:.1rem 1rem .1rem 0;vertical-align:top}\
         @media(prefers-color-scheme:dark){body{background:#14171c;color:#e4e7eb}a{color:#8ab4f8}}";

/// What the page may load: its own style, and nothing else. No other page may frame it.
pub fn policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'")
}

/// Needs nothing from anywhere.
pub fn page(document: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>vejr: the interface</title><style>{STYLE}</style>\
         </head><body><h1>The interface</h1>"
    );
    let info = document["info"]["description"].as_str().unwrap_or_default();
    // writing to a string does not fail
    let _ = write!(
        page,
        "<p>{}</p><p><a href=\"/api?f=json\">OpenAPI 3.0</a> · <a href=\"/collections\">models</a> · <a href=\"/\">map</a></p>",
        escape(info)
    );
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let operation = &item["get"];
        let summary = operation["summary"].as_str().unwrap_or_default();
        let _ = write!(page, "<h2><code>{}</code></h2><p>{}</p><table>", escape(path), escape(summary));
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let text = |key: &str| escape(parameter[key].as_str().unwrap_or_default());
            let choices = parameter["schema"]["enum"].as_array().map(|values| {
                let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                escape(&values.join(", "))
            });
            let description = choices.unwrap_or_else(|| text("description"));
            let _ = write!(page, "<tr><td><code>{}</code></td><td>{description}</td></tr>", text("name"));
        }
        page.push_str("</table>");
    }
    page.push_str("</body></html>");
    page
}

/// Text for HTML and XML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

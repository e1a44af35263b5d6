//! Parts of a URL. Everything arrives as text, so that every error is told in the same words.

use std::collections::HashMap;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};

use crate::serve::catalog::Whose;
use crate::serve::error::{Error, Violation};
use crate::serve::names::quoted;

/// Percent-decoded parts of the path; text that is not UTF-8 is the client's error.
pub type PathParts<T> = Result<Path<T>, PathRejection>;
/// Pairs in the order given.
pub type QueryPairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub fn path<T>(parts: PathParts<T>) -> Result<T, Error> {
    match parts {
        Ok(Path(parts)) => Ok(parts),
        Err(rejection) => Err(Violation::new("path", rejection.body_text()).into()),
    }
}

/// The query's parameters. One that is not known, or comes twice, is an error: it would be ignored otherwise, and the
/// answer would be to another question.
pub struct Parameters(HashMap<&'static str, String>);

impl Parameters {
    pub fn read(query: QueryPairs, known: &[&'static str]) -> Result<Self, Error> {
        let Query(pairs) = query.map_err(|rejection| Violation::new("query", rejection.body_text()))?;
        let mut parameters = HashMap::new();
        let mut violations = Vec::new();
        for (name, value) in pairs {
            match known.iter().find(|&&other| other == name) {
                None => {
                    let expected = known.join(", ");
                    violations.push(Violation::new("query", format!("has {}; known are {expected}", quoted(&name))));
                }
                Some(&name) => {
                    if parameters.insert(name, value).is_some() {
                        violations.push(Violation::new(name, "is given twice"));
                    }
                }
            }
        }
        if violations.is_empty() { Ok(Self(parameters)) } else { Err(Error::Invalid(violations)) }
    }

    /// As they go behind a path again: empty, or with a question mark.
    pub fn encoded(&self) -> String {
        let mut pairs: Vec<_> = self.0.iter().collect();
        pairs.sort();
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }

    /// The text, empty where the parameter is not given.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// `member=`, where it is given: a number, or what is made of all members.
    pub fn whose(&self) -> Option<Whose> {
        Whose::parse(self.text("member"))
    }

    pub fn number(&self, name: &'static str, expected: &str) -> Result<f64, Violation> {
        match self.text(name) {
            "" => Err(Violation::missing(name, expected)),
            text => text
                .parse()
                .map_err(|_| Violation::new(name, format!("{} is no number; expected {expected}", quoted(text)))),
        }
    }
}

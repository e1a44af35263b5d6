//! Geometries of requests, as well-known text (OGC 06-103r4, clause 7): `POINT`, `MULTIPOINT`, `POLYGON`, `MULTIPOLYGON`,
//! `LINESTRING` and `LINESTRINGM`.

use crate::serve::places::{BoundingBox, Position};

#[derive(Debug, Clone, PartialEq)]
pub enum Geometry {
    Point(Position),
    MultiPoint(Vec<Position>),
    Polygons(Vec<Polygon>),
    /// Positions, each with its time in seconds since 1970 where the text has a measure.
    Line(Vec<(Position, Option<f64>)>),
}

/// The outer ring, then holes. The last position of a ring repeats the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    rings: Vec<Vec<Position>>,
}

/// A text that is none of the geometries; the reason for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WktError(String);

impl Polygon {
    /// Whether a position lies inside or on an edge (crossing number, with holes).
    pub fn contains(&self, (x, y): Position) -> bool {
        let mut inside = false;
        for ring in &self.rings {
            for edge in ring.windows(2) {
                let ((x0, y0), (x1, y1)) = (edge[0], edge[1]);
                let cross = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0);
                let span = (x1 - x0).abs().max((y1 - y0).abs());
                let between = |a: f64, b: f64, v: f64| v >= a.min(b) - 1e-9 && v <= a.max(b) + 1e-9;
                if cross.abs() <= 1e-9 * span && between(x0, x1, x) && between(y0, y1, y) {
                    return true;
                }
                if (y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0) {
                    inside = !inside;
                }
            }
        }
        inside
    }

    pub fn bounds(&self) -> BoundingBox {
        BoundingBox::around(self.rings.iter().flatten().copied())
    }
}

/// Reads a text, which is as long as a URL at the most.
pub fn parse(text: &str) -> Result<Geometry, WktError> {
    let mut scanner = Scanner { rest: text.trim() };
    let mut kind = scanner.word().to_ascii_uppercase();
    // a measure may be part of the name, or a word of its own
    let measure = scanner.word().to_ascii_uppercase();
    kind.push_str(&measure);
    let geometry = match kind.as_str() {
        "POINT" => Geometry::Point(scanner.one()?),
        "MULTIPOINT" => Geometry::MultiPoint(scanner.list(Scanner::point_of_many)?),
        "POLYGON" => Geometry::Polygons(vec![scanner.polygon()?]),
        "MULTIPOLYGON" => Geometry::Polygons(scanner.list(Scanner::polygon)?),
        "LINESTRING" => Geometry::Line(scanner.list(|s| Ok((s.position()?, None)))?),
        "LINESTRINGM" => Geometry::Line(scanner.list(|s| Ok((s.position()?, Some(s.number()?))))?),
        other => {
            let shown: String = other.chars().take(32).collect();
            return Err(WktError(format!(
                "{shown:?} is no geometry that is understood; expected POINT(x y), MULTIPOINT, POLYGON, MULTIPOLYGON, \
                 LINESTRING or LINESTRINGM"
            )));
        }
    };
    if !scanner.rest.is_empty() {
        return Err(scanner.expected("the end"));
    }
    match geometry {
        Geometry::Line(line) if line.len() < 2 => Err(WktError("a line has two positions at least".to_owned())),
        geometry => Ok(geometry),
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn word(&mut self) -> String {
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let word = word.to_owned();
        self.rest = rest.trim_start();
        word
    }

    fn expected(&self, what: &str) -> WktError {
        let found: String = self.rest.chars().take(24).collect();
        WktError(format!("expected {what}, found {found:?}"))
    }

    fn symbol(&mut self, symbol: char) -> Result<(), WktError> {
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest.trim_start();
                Ok(())
            }
            None => Err(self.expected(&format!("{symbol:?}"))),
        }
    }

    fn number(&mut self) -> Result<f64, WktError> {
        let end = self.rest.find(|c: char| c.is_whitespace() || ",()".contains(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                self.rest = rest.trim_start();
                Ok(value)
            }
            _ => Err(self.expected("a number")),
        }
    }

    fn position(&mut self) -> Result<Position, WktError> {
        Ok((self.number()?, self.number()?))
    }

    fn one(&mut self) -> Result<Position, WktError> {
        self.symbol('(')?;
        let position = self.position()?;
        self.symbol(')')?;
        Ok(position)
    }

    /// `MULTIPOINT((1 2), (3 4))`, or without the inner parentheses, as many write it.
    fn point_of_many(&mut self) -> Result<Position, WktError> {
        if self.rest.starts_with('(') { self.one() } else { self.position() }
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, WktError>) -> Result<Vec<T>, WktError> {
        self.symbol('(')?;
        let mut items = vec![item(self)?];
        while self.rest.starts_with(',') {
            self.symbol(',')?;
            items.push(item(self)?);
        }
        self.symbol(')')?;
        Ok(items)
    }

    fn polygon(&mut self) -> Result<Polygon, WktError> {
        let rings = self.list(|scanner| scanner.list(Self::position))?;
        for ring in &rings {
            if ring.len() < 4 || ring.first() != ring.last() {
                return Err(WktError("a ring has four positions at least, and ends where it begins".to_owned()));
            }
        }
        Ok(Polygon { rings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_write_is_understood() {
        for text in ["POINT(12.5 55.7)", "point (12.5  55.7)", " POINT ( 12.5 55.7 ) "] {
            assert_eq!(parse(text), Ok(Geometry::Point((12.5, 55.7))), "{text}");
        }
        let two = Geometry::MultiPoint(vec![(1.0, 2.0), (3.0, -4e1)]);
        assert_eq!(parse("MULTIPOINT((1 2),(3 -4e1))"), Ok(two.clone()));
        assert_eq!(parse("MULTIPOINT(1 2, 3 -40)"), Ok(two));
        assert_eq!(parse("LINESTRING(1 2, 3 4)"), Ok(Geometry::Line(vec![((1.0, 2.0), None), ((3.0, 4.0), None)])));
        let timed = Geometry::Line(vec![((1.0, 2.0), Some(0.0)), ((3.0, 4.0), Some(60.0))]);
        assert_eq!(parse("LINESTRINGM(1 2 0, 3 4 60)"), Ok(timed.clone()));
        assert_eq!(parse("LINESTRING M (1 2 0, 3 4 60)"), Ok(timed));
    }

    #[test]
    fn what_is_no_geometry_is_refused_with_a_short_reason() {
        let long = format!("POINT({} 1)", "9".repeat(10_000));
        let deep = "(".repeat(10_000);
        for text in [
            "",
            "POINT",
            "POINT(1)",
            "POINT(1 2",
            "POINT(1 2) x",
            "POINT(1,2)",
            "POINT(NaN 1)",
            "POINT Z (1 2 3)",
            "POLYGON((0 0, 1 0, 1 1))",
            "POLYGON((0 0, 1 0, 1 1, 2 2))",
            "LINESTRING(1 2)",
            "CIRCLE(1 2)",
            &long,
            &deep,
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().len() < 250, "{text}");
        }
    }

    #[test]
    fn holes_are_outside_and_edges_inside() {
        let Ok(Geometry::Polygons(polygons)) =
            parse("POLYGON((0 0, 10 0, 10 10, 0 10, 0 0), (4 4, 6 4, 6 6, 4 6, 4 4))")
        else {
            panic!("no polygon")
        };
        let polygon = &polygons[0];
        for (x, y, inside) in [
            (1.0, 1.0, true),
            (5.0, 5.0, false),
            (0.0, 5.0, true),
            (10.0, 10.0, true),
            (11.0, 5.0, false),
            (4.0, 5.0, true),
        ] {
            assert_eq!(polygon.contains((x, y)), inside, "{x} {y}");
        }
        assert_eq!(polygon.bounds(), BoundingBox { west: 0.0, south: 0.0, east: 10.0, north: 10.0 });
    }
}

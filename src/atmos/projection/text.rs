//! Projections as PROJ strings and as well-known text: both are turned into CF attributes, and read from those.
//!
//! WKT 1: OGC 01-009; WKT 2: OGC 18-010r7, <https://docs.ogc.org/is/18-010r7/18-010r7.html>.

use super::cf::{Attribute, Attributes};
use super::{Projection, ProjectionError};

const PROJ_NAMES: &str =
    "+proj=lcc, aea, stere, sterea, merc, tmerc, utm, laea, longlat or ob_tran with +o_proj=longlat";
const METHODS: &str = "Lambert conformal or azimuthal equal area, Albers, stereographic, Mercator or a pole rotation";
/// A description of a projection has a few hundred bytes, and brackets five deep.
const LONGEST: usize = 64 << 10;
const DEEPEST: usize = 16;

impl Projection {
    /// From a PROJ string, `+proj=lcc +lat_1=56.7 …`. Positions are metres: other `+units` are refused.
    pub fn from_proj_string(definition: &str) -> Result<Self, ProjectionError> {
        let words: Vec<(&str, &str)> = definition
            .split_whitespace()
            .map(|word| word.trim_start_matches('+').split_once('=').unwrap_or((word.trim_start_matches('+'), "")))
            .collect();
        let find = |names: &[&str]| words.iter().find(|(name, _)| names.contains(name)).map(|&(_, value)| value);
        let number = |names: &[&str]| match find(names) {
            None => Ok(None),
            Some(value) => value.parse::<f64>().map(Some).map_err(|_| ProjectionError::Invalid {
                attribute: format!("+{}", names[0]),
                found: format!("{value:?}"),
                expected: "a number".to_owned(),
            }),
        };
        let unsupported =
            |what, found: &str, expected| ProjectionError::Unsupported { what, found: found.to_owned(), expected };
        if let Some(units) = find(&["units"]).filter(|&units| units != "m") {
            return Err(unsupported("+units", units, "m"));
        }
        let name = find(&["proj"]).unwrap_or_default();
        if let Some(factor) = find(&["to_meter"]).filter(|&factor| factor != "1" && name != "ob_tran") {
            return Err(unsupported("+to_meter", factor, "1"));
        }
        if let Some(meridian) = find(&["pm"]).filter(|meridian| !["greenwich", "0"].contains(meridian)) {
            return Err(unsupported("+pm", meridian, "greenwich"));
        }
        let mut attributes = Attributes::new();
        let mut set = |name: &str, value: Option<f64>| {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), Attribute::Number(value));
            }
        };
        set("false_easting", number(&["x_0"])?);
        set("false_northing", number(&["y_0"])?);
        set("earth_radius", number(&["R"])?);
        set("semi_major_axis", number(&["a"])?);
        set("semi_minor_axis", number(&["b"])?);
        set("inverse_flattening", number(&["rf"])?);
        let (latitude, longitude) = (number(&["lat_0"])?.unwrap_or(0.0), number(&["lon_0"])?.unwrap_or(0.0));
        set("latitude_of_projection_origin", Some(latitude));
        set("longitude_of_projection_origin", Some(longitude));
        set("scale_factor", number(&["k_0", "k"])?);
        set("standard_parallel", number(&["lat_ts"])?);
        let mapping = match name {
            "lcc" | "aea" => {
                let first = number(&["lat_1"])?.unwrap_or(latitude);
                let parallels = vec![first, number(&["lat_2"])?.unwrap_or(first)];
                attributes.insert("standard_parallel".to_owned(), Attribute::Numbers(parallels));
                if name == "lcc" { "lambert_conformal_conic" } else { "albers_conical_equal_area" }
            }
            "stere" if latitude.abs() == 90.0 => "polar_stereographic",
            "stere" => "stereographic",
            "sterea" => "oblique_stereographic",
            "merc" => "mercator",
            "tmerc" | "etmerc" => "transverse_mercator",
            "utm" => {
                let zone = number(&["zone"])?.filter(|zone| (1.0..=60.0).contains(zone));
                let zone = zone.ok_or_else(|| unsupported("+zone", find(&["zone"]).unwrap_or_default(), "1 to 60"))?;
                set("longitude_of_projection_origin", Some(6.0 * zone - 183.0));
                set("scale_factor", Some(0.9996));
                set("false_easting", Some(500_000.0));
                set("false_northing", Some(if find(&["south"]).is_some() { 1e7 } else { 0.0 }));
                "transverse_mercator"
            }
            "laea" => "lambert_azimuthal_equal_area",
            "longlat" | "latlong" | "lonlat" | "latlon" => "latitude_longitude",
            "ob_tran" if matches!(find(&["o_proj"]), Some("longlat" | "latlong" | "lonlat" | "latlon")) => {
                set("grid_north_pole_latitude", number(&["o_lat_p"])?);
                set("grid_north_pole_longitude", Some(super::half_turn(longitude - 180.0)));
                set("north_pole_grid_longitude", number(&["o_lon_p"])?);
                "rotated_latitude_longitude"
            }
            other => return Err(unsupported("+proj", other, PROJ_NAMES)),
        };
        if let Some(ellipsoid) = find(&["ellps", "datum"]) {
            attributes.insert("reference_ellipsoid_name".to_owned(), Attribute::Text(ellipsoid.to_owned()));
        }
        attributes.insert("grid_mapping_name".to_owned(), Attribute::Text(mapping.to_owned()));
        Self::from_cf(&attributes)
    }

    /// From well-known text, WKT 1 or 2, of a projected or rotated coordinate system. Positions are metres and angles
    /// degrees: other units are refused.
    pub fn from_wkt(wkt: &str) -> Result<Self, ProjectionError> {
        let unreadable = |reason: String| ProjectionError::Unreadable { what: "well-known text", reason };
        if wkt.len() > LONGEST {
            return Err(unreadable(format!("{} bytes are no projection", wkt.len())));
        }
        let root = Node::parse(wkt).map_err(unreadable)?;
        let mut attributes = Attributes::new();
        let ellipsoid = root.find(&["ELLIPSOID", "SPHEROID"]);
        let ellipsoid = ellipsoid.ok_or_else(|| unreadable("it has no ELLIPSOID or SPHEROID".to_owned()))?;
        for (name, value) in ["semi_major_axis", "inverse_flattening"].into_iter().zip(&ellipsoid.numbers) {
            attributes.insert(name.to_owned(), Attribute::Number(*value));
        }
        if let Some(&meridian) = root.find(&["PRIMEM", "PRIMEMERIDIAN"]).and_then(|node| node.numbers.first()) {
            attributes.insert("longitude_of_prime_meridian".to_owned(), Attribute::Number(meridian));
        }
        let method = root.find(&["METHOD", "PROJECTION"]);
        let method = method.map_or("latitude_longitude".to_owned(), |method| plain(method.name()));
        let mapping = mapping_of(&method).ok_or_else(|| ProjectionError::Unsupported {
            what: "well-known text's method",
            found: method.clone(),
            expected: METHODS,
        })?;
        // WKT 1 has one unit for all lengths, WKT 2 one for each
        let lengths = root.children.iter().filter(|node| node.keyword == "UNIT").chain(root.all("LENGTHUNIT"));
        let angular = matches!(mapping, "latitude_longitude" | "rotated_latitude_longitude");
        if let Some(unit) = lengths.filter(|_| !angular).find(|unit| unit.numbers.first() != Some(&1.0)) {
            let (what, found) = ("unit of length", unit.name().to_owned());
            return Err(ProjectionError::Unsupported { what, found, expected: "metre" });
        }
        let mut parallels = [None, None];
        for parameter in root.all("PARAMETER") {
            let Some(&value) = parameter.numbers.first() else { continue };
            let name = plain(parameter.name());
            if name.contains("standardparallel") || name.ends_with("ofstandardparallel") {
                parallels[usize::from(name.contains('2'))] = Some(value);
            } else if let Some(name) = parameter_of(&name) {
                attributes.insert(name.to_owned(), Attribute::Number(value));
            }
        }
        let latitude = attributes.get("latitude_of_projection_origin").cloned();
        let parallels: Vec<f64> = parallels.into_iter().flatten().collect();
        match (mapping, &latitude) {
            _ if !parallels.is_empty() => {
                attributes.insert("standard_parallel".to_owned(), Attribute::Numbers(parallels));
            }
            ("lambert_conformal_conic", Some(latitude)) => {
                attributes.insert("standard_parallel".to_owned(), latitude.clone());
            }
            // GDAL's WKT 1 says the parallel of true scale by the latitude of origin
            ("polar_stereographic", Some(Attribute::Number(latitude))) if latitude.abs() < 90.0 => {
                attributes.insert("standard_parallel".to_owned(), Attribute::Number(*latitude));
                attributes.remove("latitude_of_projection_origin");
            }
            _ => {}
        }
        if let Some(lon_0) = attributes.remove("lon_0")
            && let Attribute::Number(lon_0) = lon_0
        {
            let pole = Attribute::Number(super::half_turn(lon_0 - 180.0));
            attributes.insert("grid_north_pole_longitude".to_owned(), pole);
        }
        attributes.insert("grid_mapping_name".to_owned(), Attribute::Text(mapping.to_owned()));
        Self::from_cf(&attributes)
    }
}

/// Letters and digits alone, in lower case: spellings differ in the rest.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// CF's name for a method of WKT.
fn mapping_of(method: &str) -> Option<&'static str> {
    Some(match method {
        "latitudelongitude" => "latitude_longitude",
        name if name.starts_with("lambertconformalconic") || name.starts_with("lambertconicconformal") => {
            "lambert_conformal_conic"
        }
        name if name.starts_with("albers") => "albers_conical_equal_area",
        name if name.starts_with("polarstereographic") || name.starts_with("stereographicnorthpole") => {
            "polar_stereographic"
        }
        "stereographic" => "stereographic",
        "obliquestereographic" | "doublestereographic" => "oblique_stereographic",
        name if name.starts_with("mercator") => "mercator",
        "transversemercator" => "transverse_mercator",
        name if name.starts_with("lambertazimuthalequalarea") => "lambert_azimuthal_equal_area",
        name if name.starts_with("polerotation") || name.starts_with("projobtran") => "rotated_latitude_longitude",
        _ => return None,
    })
}

/// CF's name for a parameter of WKT 1 or 2, of which [`plain`] is left.
fn parameter_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "latitudeoforigin" | "latitudeofcenter" | "latitudeofnaturalorigin" | "latitudeoffalseorigin" => {
            "latitude_of_projection_origin"
        }
        "centralmeridian"
        | "longitudeofcenter"
        | "longitudeofnaturalorigin"
        | "longitudeoffalseorigin"
        | "longitudeoforigin" => "longitude_of_projection_origin",
        "scalefactor" | "scalefactoratnaturalorigin" => "scale_factor",
        "falseeasting" | "eastingatfalseorigin" => "false_easting",
        "falsenorthing" | "northingatfalseorigin" => "false_northing",
        "olatp" => "grid_north_pole_latitude",
        "olonp" => "north_pole_grid_longitude",
        "lon0" => "lon_0",
        name if name.starts_with("gridnorthpolelatitude") => "grid_north_pole_latitude",
        name if name.starts_with("gridnorthpolelongitude") => "grid_north_pole_longitude",
        name if name.starts_with("northpolegridlongitude") => "north_pole_grid_longitude",
        _ => return None,
    })
}

/// `KEYWORD["text", number, CHILD[…], …]`
#[derive(Debug, Default)]
struct Node {
    keyword: String,
    texts: Vec<String>,
    numbers: Vec<f64>,
    children: Vec<Node>,
}

impl Node {
    fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        let node = Self::read(&mut rest, 0)?;
        if rest.trim().is_empty() { Ok(node) } else { Err(format!("it goes on after its last bracket: {rest:.40}")) }
    }

    fn read(rest: &mut &str, depth: usize) -> Result<Self, String> {
        let open = rest.find(['[', '(']).ok_or("a bracket is missing")?;
        let keyword = rest[..open].trim();
        if depth > DEEPEST || !keyword.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("{keyword:.40} is no keyword"));
        }
        let mut node = Self { keyword: keyword.to_ascii_uppercase(), ..Self::default() };
        *rest = rest[open + 1..].trim_start();
        loop {
            if let Some(quoted) = rest.strip_prefix('"') {
                let end = quoted.find('"').ok_or("a quotation mark is missing")?;
                node.texts.push(quoted[..end].to_owned());
                *rest = &quoted[end + 1..];
            } else {
                let end = rest.find(['[', '(', ',', ']', ')']).ok_or("a bracket is missing")?;
                if matches!(rest.as_bytes()[end], b'[' | b'(') {
                    node.children.push(Self::read(rest, depth + 1)?);
                } else {
                    // anything else is a word such as an axis's direction
                    node.numbers.extend(rest[..end].trim().parse::<f64>().ok());
                    *rest = &rest[end..];
                }
            }
            *rest = rest.trim_start();
            let mut characters = rest.chars();
            let separator = characters.next();
            *rest = characters.as_str().trim_start();
            match separator {
                Some(',') => {}
                Some(']' | ')') => return Ok(node),
                _ => return Err("a bracket is missing".to_owned()),
            }
        }
    }

    fn name(&self) -> &str {
        self.texts.first().map_or("", String::as_str)
    }

    /// The first of these keywords, depth first.
    fn find(&self, keywords: &[&str]) -> Option<&Self> {
        if keywords.contains(&self.keyword.as_str()) {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(keywords))
    }

    fn all<'a>(&'a self, keyword: &'a str) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        let own = self.children.iter().filter(move |child| child.keyword == keyword);
        Box::new(own.chain(self.children.iter().flat_map(move |child| child.all(keyword))))
    }
}

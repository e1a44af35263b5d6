//! How variables and levels are declared: `name[=standard_name][:units][@levelCoord]`, and `levelCoord:v1/v2/…`.

use std::fmt;

/// A variable of the input or of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub name: String,
    pub standard_name: Option<String>,
    pub units: Option<String>,
    /// Name of the level coordinate.
    pub level: Option<String>,
}

/// A level coordinate with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelCoordinate {
    pub name: String,
    pub values: Vec<f64>,
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let parts = [('=', &self.standard_name), (':', &self.units), ('@', &self.level)];
        parts
            .iter()
            .filter_map(|(sign, part)| Some((sign, part.as_ref()?)))
            .try_for_each(|(sign, part)| write!(f, "{sign}{part}"))
    }
}

impl fmt::Display for LevelCoordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.values.iter().map(ToString::to_string).collect();
        write!(f, "{}:{}", self.name, values.join("/"))
    }
}

fn is_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(first) && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_standard_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The entries of a list, blanks dropped.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// What `key` declares; what is wrong goes to `problems`.
pub fn parse_variables(key: &str, text: &str, levels: &[LevelCoordinate], problems: &mut Vec<String>) -> Vec<Declared> {
    let mut declared: Vec<Declared> = Vec::new();
    for entry in entries(text) {
        match parse_variable(entry, levels) {
            Ok(variable) if declared.iter().any(|other| other.name == variable.name) => {
                problems.push(format!("{key}: {:?} is declared twice", variable.name));
            }
            Ok(variable) => declared.push(variable),
            Err(reason) => problems.push(format!("{key}: {entry:?} {reason}")),
        }
    }
    if declared.is_empty() && entries(text).next().is_none() {
        problems.push(format!("{key} names no variable"));
    }
    declared
}

fn parse_variable(entry: &str, levels: &[LevelCoordinate]) -> Result<Declared, String> {
    fn cut(text: &str, sign: char) -> (&str, Option<&str>) {
        text.split_once(sign).map_or((text.trim(), None), |(head, tail)| (head.trim(), Some(tail.trim())))
    }
    let (rest, level) = cut(entry, '@');
    let (rest, units) = cut(rest, ':');
    let (name, standard_name) = cut(rest, '=');
    let expected = "expected name[=standard_name][:units][@levelCoord]";
    if !is_name(name) {
        return Err(format!("has {name:?} for a name; {expected}"));
    }
    if let Some(wrong) = standard_name.filter(|text| !is_standard_name(text)) {
        return Err(format!("has {wrong:?} for a CF standard name; {expected}"));
    }
    if units.is_some_and(str::is_empty) {
        return Err(format!("has empty units; {expected}"));
    }
    if let Some(level) = level {
        if !is_name(level) {
            return Err(format!("has {level:?} for a level coordinate; {expected}"));
        }
        if !levels.iter().any(|known| known.name == level) {
            return Err(format!("lies on the level coordinate {level:?}, which LEVEL_COORDS does not declare"));
        }
    }
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(Declared {
        name: name.to_owned(),
        standard_name: owned(standard_name),
        units: owned(units),
        level: owned(level),
    })
}

/// What LEVEL_COORDS declares.
pub fn parse_levels(text: &str, problems: &mut Vec<String>) -> Vec<LevelCoordinate> {
    let mut levels: Vec<LevelCoordinate> = Vec::new();
    for entry in entries(text) {
        let mut wrong = |reason: String| problems.push(format!("LEVEL_COORDS: {entry:?} {reason}"));
        let Some((name, values)) = entry.split_once(':').map(|(name, values)| (name.trim(), values)) else {
            wrong("has no values; expected name:v1/v2/…".to_owned());
            continue;
        };
        let texts: Vec<&str> = values.split('/').map(str::trim).filter(|text| !text.is_empty()).collect();
        let numbers: Vec<f64> =
            texts.iter().filter_map(|text| text.parse().ok()).filter(|value: &f64| value.is_finite()).collect();
        if !is_name(name) {
            wrong(format!("has {name:?} for a name; expected name:v1/v2/…"));
        } else if texts.is_empty() {
            wrong("has no values; expected name:v1/v2/…".to_owned());
        } else if numbers.len() < texts.len() {
            wrong("has values that are no numbers; expected name:v1/v2/…".to_owned());
        } else if numbers.iter().enumerate().any(|(i, value)| numbers[..i].contains(value)) {
            wrong("has a value twice".to_owned());
        } else if levels.iter().any(|level| level.name == name) {
            wrong("is declared twice".to_owned());
        } else {
            levels.push(LevelCoordinate { name: name.to_owned(), values: numbers });
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_optional_but_the_name() {
        let mut problems = Vec::new();
        let levels = parse_levels(" isobaricInhPa:850/500 , heightAboveGround: 10", &mut problems);
        let text = "t2m=air_temperature:K,u10=eastward_wind,,leewave,t:K@isobaricInhPa, z:m2 s-2@isobaricInhPa";
        let declared = parse_variables("INPUT_VARIABLES", text, &levels, &mut problems);
        assert_eq!(problems, [""; 0]);
        let told: Vec<String> = declared.iter().map(ToString::to_string).collect();
        assert_eq!(told.join(","), text.replace(",,", ",").replace(", ", ","));
        assert_eq!(levels[0].to_string(), "isobaricInhPa:850/500");
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let mut problems = Vec::new();
        let levels = parse_levels("a:1/2,a:3,b:,c:x,9:1,d:1/1,e", &mut problems);
        assert_eq!((levels.len(), problems.len()), (1, 6), "{problems:?}");
        problems.clear();
        let text = "t2m,t2m,t=Air,u:,v@,w@b,1x,t b";
        assert_eq!(parse_variables("OUTPUT_VARIABLES", text, &levels, &mut problems).len(), 1);
        assert_eq!(problems.len(), 7, "{problems:?}");
    }
}

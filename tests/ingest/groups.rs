//! NetCDF-4 groups (CF 2.7): what lies in them is read where it is clear what it is, and refused by name where it is not.

use std::path::PathBuf;

use crate::*;

/// Dimensions and coordinates at the root, `t` in the groups `a` and `b/c`; `b/c` has a level axis of its own.
struct Grouped {
    draft: Draft,
}

impl Grouped {
    fn new() -> Self {
        let mut draft = Draft::new();
        draft.file().add_group("a").unwrap();
        draft.file().add_group("b").unwrap();
        draft.file().add_group("b/c").unwrap();
        Self { draft }
    }

    /// In a group: values `from`, `from` + 1, …
    fn field(&mut self, path: &str, dimensions: &[&str], from: f32, attributes: &[(&str, &str)]) {
        let (group, name) = path.rsplit_once('/').unwrap();
        let mut group = self.draft.file().group_mut(group).unwrap().unwrap();
        let mut variable = group.add_variable::<f32>(name, dimensions).unwrap();
        let length: usize = variable.dimensions().iter().map(netcdf::Dimension::len).product();
        for (name, value) in attributes {
            variable.put_attribute(name, *value).unwrap();
        }
        variable.put_values(&(0..length).map(|i| from + i as f32).collect::<Vec<f32>>(), ..).unwrap();
    }

    fn axis(&mut self, path: &str, values: &[f64], attributes: &[(&str, &str)]) {
        let (group, name) = path.rsplit_once('/').unwrap();
        let mut group = self.draft.file().group_mut(group).unwrap().unwrap();
        group.add_dimension(name, values.len()).unwrap();
        let mut variable = group.add_variable::<f64>(name, &[name]).unwrap();
        for (name, value) in attributes {
            variable.put_attribute(name, *value).unwrap();
        }
        variable.put_values(values, ..).unwrap();
    }
}

const AXES: &[&str] = &["time", "level", "latitude", "longitude"];

#[test]
fn dimensions_and_coordinates_are_those_of_the_groups_around() {
    let mut grouped = Grouped::new();
    grouped.field("a/t", AXES, 200.0, TEMPERATURE);
    // nearer than the root's: other levels under the same name
    grouped.axis("b/c/level", &[250.0, 300.0, 400.0], &[("units", "hPa")]);
    grouped.field("b/c/u", AXES, 1.0, &[("units", "m s-1")]);
    let path = grouped.draft.done();
    let fields = &[("t", Level::Pressure(850.0)), ("u", Level::Pressure(400.0))];
    for isolation in [Isolation::None, Isolation::Process { program: env!("CARGO_BIN_EXE_vejr").into() }] {
        let inventory = Inventory::open(std::slice::from_ref(&path), &isolation).unwrap();
        let analysis = inventory.read(&request(fields, &["2020-01-05T18:00Z"])).unwrap();
        assert_eq!(values(&analysis, "t", fields[0].1)[..2], [236.0, 237.0]);
        assert_eq!(values(&analysis, "u", fields[1].1)[..2], [61.0, 62.0]);
    }
}

#[test]
fn coordinates_of_the_same_dimension_are_the_nearest() {
    let mut grouped = Grouped::new();
    // the root says 500 and 850 hPa along the same dimension
    let mut group = grouped.draft.file().group_mut("a").unwrap().unwrap();
    let mut level = group.add_variable::<f64>("level", &["level"]).unwrap();
    level.put_attribute("units", "hPa").unwrap();
    level.put_values(&[10.0, 20.0], ..).unwrap();
    grouped.field("a/t", AXES, 200.0, TEMPERATURE);
    grouped.field("b/c/t", AXES, 300.0, TEMPERATURE);
    let path = grouped.draft.done();
    let inventory = open(&[&path]).unwrap();
    let levels: Vec<(&str, Level)> =
        inventory.variables().map(|(_, variable)| (variable.name.as_str(), variable.levels[0])).collect();
    assert_eq!(levels, [("a/t", Level::Pressure(10.0)), ("b/c/t", Level::Pressure(500.0))]);
}

#[test]
fn what_attributes_name_is_found_in_other_groups() {
    let mut draft = Draft::empty();
    draft.axis("time", &[0.0], &[("units", "hours since 2020-01-05 12:00:00")]);
    draft.file().add_dimension("y", 2).unwrap();
    draft.file().add_dimension("x", 2).unwrap();
    for group in ["places", "data"] {
        draft.file().add_group(group).unwrap();
    }
    let mut grouped = Grouped { draft };
    grouped.field("places/lat", &["y", "x"], 40.0, &[("units", "degrees_north")]);
    grouped.field("places/lon", &["y", "x"], 10.0, &[("units", "degrees_east")]);
    let coordinates = [TEMPERATURE, &[("coordinates", "/places/lat ../places/lon")]].concat();
    grouped.field("data/t", &["time", "y", "x"], 250.0, &coordinates);
    let path = grouped.draft.done();
    let inventory = open(&[&path]).unwrap();
    let (_, variable) = inventory.variables().find(|(_, variable)| variable.name == "data/t").unwrap();
    assert_eq!(variable.grid.place(1, 0), (42.0, 12.0));
}

#[test]
fn the_same_field_in_two_groups_is_refused_by_name_unless_one_is_given() {
    let mut grouped = Grouped::new();
    grouped.field("a/t", AXES, 200.0, TEMPERATURE);
    grouped.field("b/c/t", AXES, 250.0, TEMPERATURE);
    let path = grouped.draft.done();
    let error = read(&path, T500, &[NOON]).unwrap_err();
    assert_said(&error, &["a/t", "b/c/t", "t 500hPa"]);
    let group = |name: &str| -> PathBuf { path.join(name) };
    for (name, first) in [("a", 200.0), ("b", 250.0), ("b/c", 250.0)] {
        for isolation in [Isolation::None, Isolation::Process { program: env!("CARGO_BIN_EXE_vejr").into() }] {
            let inventory = Inventory::open(&[group(name)], &isolation).unwrap();
            let analysis = inventory.read(&request(T500, &[NOON])).unwrap();
            assert_eq!(values(&analysis, "t", T500[0].1)[0], first, "{name}");
        }
    }
    let error = open(&[&group("d")]).unwrap_err();
    assert_said(&error, &["no group \"d\"", "a, b/c"]);
}

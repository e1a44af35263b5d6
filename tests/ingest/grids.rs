//! Grids that are not made of parallels and meridians.

use vejr::atmos::{GridKind, Method};

use crate::*;

const CONTENT: &[(&str, &str)] = &[("standard_name", "air_temperature"), ("units", "K"), ("grid_mapping", "crs")];

/// `t(y, x)` = 200, 201, … in the order of the file, on the plane of a projection: DMI's Lambert unless told otherwise.
struct Plane {
    draft: Draft,
}

impl Plane {
    fn new(y: &[f64], x: &[f64], attributes: [&[(&str, &str)]; 2]) -> Self {
        let mut draft = Draft::empty();
        draft.axis("y", y, attributes[0]);
        draft.axis("x", x, attributes[1]);
        draft.axis("time", &[0.0], &[("units", "hours since 2020-01-05 12:00:00")]);
        draft.counted("ta", &["time", "y", "x"], CONTENT);
        Self { draft }
    }

    fn metres(y: &[f64], x: &[f64]) -> Self {
        let axis = |name: &'static str| [("standard_name", name), ("units", "m")];
        Self::new(y, x, [&axis("projection_y_coordinate"), &axis("projection_x_coordinate")])
    }

    fn mapping(mut self, name: &str, numbers: &[(&str, f64)]) -> Self {
        self.draft.file().add_variable::<i32>("crs", &[]).unwrap().put_attribute("grid_mapping_name", name).unwrap();
        numbers.iter().for_each(|(name, value)| self.draft.number("crs", name, *value));
        self
    }

    fn lambert(self) -> Self {
        let numbers = [
            ("standard_parallel", 56.7),
            ("longitude_of_central_meridian", 25.0),
            ("latitude_of_projection_origin", 56.7),
            ("earth_radius", 6_367_470.0),
        ];
        self.mapping("lambert_conformal_conic", &numbers)
    }

    fn tables(mut self, latitude: &[f64], longitude: &[f64]) -> Self {
        self.draft.data("lat", &["y", "x"], latitude, &[("units", "degrees_north")]);
        self.draft.data("lon", &["y", "x"], longitude, &[("units", "degrees_east")]);
        self
    }

    /// Its one variable, or why it is not read.
    fn variable(mut self) -> Result<vejr::ingest::SourceVariable, String> {
        let path = self.draft.done();
        let (inventory, problems) = Inventory::survey(&[path], &Isolation::None);
        let found = inventory.variables().find(|(_, variable)| variable.name == "ta");
        let unread = inventory.files().iter().flat_map(|file| &file.unread).find(|(name, _)| name == "ta");
        let reason = || unread.map_or_else(|| format!("{problems:?}"), |(_, reason)| reason.clone());
        found.map(|(_, variable)| variable.clone()).ok_or_else(reason)
    }
}

const NEAR: f64 = 2500.0;

#[test]
fn a_projection_in_every_order_of_its_axes() {
    for (y, x) in [
        ([NEAR, 0.0, -NEAR], [-NEAR, 0.0]),
        ([-NEAR, 0.0, NEAR], [-NEAR, 0.0]),
        ([NEAR, 0.0, -NEAR], [0.0, -NEAR]),
        ([-NEAR, 0.0, NEAR], [0.0, -NEAR]),
    ] {
        let mut plane = Plane::metres(&y, &x).lambert();
        let path = plane.draft.done();
        let inventory = open(&[&path]).unwrap();
        let grid = inventory.grids()[0].clone();
        assert!(matches!(grid.kind(), GridKind::Projected(_)), "{grid}");
        assert_eq!(grid.shape(), (3, 2));
        let centre = grid.place(1, 1);
        assert!((centre.0 - 56.7).abs() < 1e-9 && (centre.1 - 25.0).abs() < 1e-9, "{centre:?}");
        assert!(grid.place(0, 0).0 > centre.0 && grid.place(0, 0).1 < centre.1);
        let level = inventory.variables().next().unwrap().1.levels[0];
        let wanted = Request {
            fields: vec![(Variable::new("ta", "air_temperature", "", "K"), level).into()],
            ..request(&[], &[NOON])
        };
        let analysis = inventory.read(&wanted).unwrap();
        let expected = |row: usize, column: usize| {
            let row = y.iter().position(|value| *value == [NEAR, 0.0, -NEAR][row]).unwrap();
            200.0 + (row * 2 + x.iter().position(|value| *value == [-NEAR, 0.0][column]).unwrap()) as f32
        };
        let values = values(&analysis, "ta", level);
        assert_eq!(values, (0..6).map(|i| expected(i / 2, i % 2)).collect::<Vec<f32>>(), "{y:?} {x:?}");
    }
}

#[test]
fn positions_in_kilometres_and_without_a_unit() {
    let named = [("standard_name", "projection_y_coordinate"), ("standard_name", "projection_x_coordinate")];
    let (y, x) = ([(named[0]), ("units", "km")], [(named[1]), ("units", "km")]);
    let kilometres = Plane::new(&[2.5, 0.0], &[0.0, 2.5], [&y, &x]).lambert().variable().unwrap();
    let unsaid = Plane::new(&[NEAR, 0.0], &[0.0, NEAR], [&named[..1], &named[1..]]).lambert().variable().unwrap();
    assert!(kilometres.grid.same_points(&unsaid.grid));
    let degrees = [[named[0], ("units", "degrees")], [named[1], ("units", "degrees")]];
    let wrong = Plane::new(&[2.5, 0.0], &[0.0, 2.5], [&degrees[0], &degrees[1]]).lambert().variable().unwrap_err();
    assert!(wrong.contains("degrees"), "{wrong}");
}

#[test]
fn a_rotated_pole_labelled_in_three_ways() {
    let numbers = [("grid_north_pole_latitude", 39.25), ("grid_north_pole_longitude", -162.0)];
    let mut grids = Vec::new();
    for (y, x, units) in [
        ("grid_latitude", "grid_longitude", ["degrees", "degrees"]),
        ("grid_latitude", "grid_longitude", ["degrees_north", "degrees_east"]),
        ("projection_y_coordinate", "projection_x_coordinate", ["", ""]),
    ] {
        let y = [("standard_name", y), ("units", units[0])];
        let x = [("standard_name", x), ("units", units[1])];
        let plane = Plane::new(&[0.11, 0.0, -0.11], &[-0.11, 0.0, 0.11], [&y, &x]);
        let variable = plane.mapping("rotated_latitude_longitude", &numbers).variable().unwrap();
        assert!(matches!(variable.grid.projection().unwrap().method(), Method::RotatedPole { .. }));
        grids.push(variable.grid);
    }
    // the rotated equator meets the rotated Greenwich at 90° - 39.25° N, 18° E
    let centre = grids[0].place(1, 1);
    assert!((centre.0 - 50.75).abs() < 1e-9 && (centre.1 - 18.0).abs() < 1e-9, "{centre:?}");
    assert!(grids.windows(2).all(|pair| pair[0].same_points(&pair[1])));
}

#[test]
fn tables_must_agree_with_the_projection_and_do_where_it_is_not_known() {
    let grid = Plane::metres(&[NEAR, 0.0], &[0.0, NEAR]).lambert().variable().unwrap().grid;
    let places = [grid.place(0, 0), grid.place(0, 1), grid.place(1, 0), grid.place(1, 1)];
    let latitude = places.map(|place| place.0);
    let longitude = places.map(|place| place.1);
    let plane = || Plane::metres(&[NEAR, 0.0], &[0.0, NEAR]);
    let agreed = plane().lambert().tables(&latitude, &longitude).variable().unwrap();
    assert!(matches!(agreed.grid.kind(), GridKind::Projected(_)));
    let elsewhere = latitude.map(|latitude| latitude + 0.01);
    let error = plane().lambert().tables(&elsewhere, &longitude).variable().unwrap_err();
    assert!(error.contains("disagree") && error.contains("56.7325"), "{error}");
    for plane in [plane(), plane().mapping("vertical_perspective", &[])] {
        let variable = plane.tables(&latitude, &longitude).variable().unwrap();
        assert_eq!(variable.grid.kind(), GridKind::Curvilinear);
        assert!(variable.grid.same_points(&grid));
    }
    let error = plane().mapping("vertical_perspective", &[]).variable().unwrap_err();
    assert!(error.contains("vertical_perspective"), "{error}");
    let error = plane().variable().unwrap_err();
    assert!(error.contains("no grid_mapping"), "{error}");
}

#[test]
fn winds_along_the_axes_of_a_projection_are_not_eastward() {
    let mut plane = Plane::metres(&[NEAR, 0.0], &[0.0, NEAR]).lambert();
    for (name, standard_name) in [("x_wind_10m", "x_wind"), ("u10m", "eastward_wind"), ("v10m", "")] {
        let attributes =
            [("standard_name", standard_name), ("units", "m s-1"), ("grid_mapping", "crs"), ("coordinates", "height")];
        plane.draft.data(name, &["y", "x"], &[1f32, 2.0, 3.0, 4.0], &attributes);
    }
    plane.draft.data("height", &[], &[10.0], &[("standard_name", "height"), ("units", "m")]);
    let path = plane.draft.done();
    let inventory = open(&[&path]).unwrap();
    let ours = |name: &str| {
        let (_, variable) = inventory.variables().find(|(_, variable)| variable.name == name).unwrap();
        variable.recognition.variable().map(|ours| ours.name.to_string())
    };
    // a name alone does not say which way is east
    assert_eq!((ours("x_wind_10m"), ours("u10m").as_deref(), ours("v10m")), (None, Some("u10"), None));
}

#[test]
fn a_list_of_places() {
    let mut draft = Draft::empty();
    draft.axis("time", &[0.0], &[("units", "hours since 2020-01-05 12:00:00")]);
    draft.file().add_dimension("values", 3).unwrap();
    draft.data("latitude", &["values"], &[10.0, 0.0, 55.0], &[("units", "degrees_north")]);
    draft.data("longitude", &["values"], &[0.0, 120.0, 12.5], &[("units", "degrees_east")]);
    draft.counted("t2m", &["time", "values"], &[("units", "K"), ("coordinates", "latitude longitude")]);
    let analysis = draft.read(&[("t2m", Level::Surface)], &[NOON]).unwrap();
    assert_eq!((analysis.grid().kind(), analysis.grid().shape()), (GridKind::Points, (1, 3)));
    assert_eq!(analysis.grid().place(0, 2), (55.0, 12.5));
    assert_eq!(values(&analysis, "t2m", Level::Surface), [200.0, 201.0, 202.0]);
}

/// A reduced grid of 2 + 3 points, whose rows are filled up to three.
fn filled_up(latitude: &[f64], longitude: &[f64]) -> Draft {
    let mut draft = Draft::empty();
    draft.axis("time", &[0.0], &[("units", "hours since 2020-01-05 12:00:00")]);
    draft.file().add_dimension("row", 2).unwrap();
    draft.file().add_dimension("column", 3).unwrap();
    draft.data("latitude", &["row", "column"], latitude, &[("units", "degrees_north")]);
    draft.data("longitude", &["row", "column"], longitude, &[("units", "degrees_east")]);
    draft.number("latitude", "missing_value", -9e9);
    draft.number("longitude", "missing_value", -9e9);
    draft.counted("t2m", &["time", "row", "column"], &[("units", "K"), ("coordinates", "latitude longitude")]);
    draft
}

#[test]
fn a_reduced_grid_whose_rows_are_filled_up_is_a_list_of_places() {
    let (latitude, longitude) = ([60.0, 60.0, -9e9, 20.0, 20.0, 20.0], [0.0, 180.0, -9e9, 0.0, 120.0, 240.0]);
    let analysis = filled_up(&latitude, &longitude).read(&[("t2m", Level::Surface)], &[NOON]).unwrap();
    assert_eq!((analysis.grid().kind(), analysis.grid().shape()), (GridKind::Points, (1, 5)));
    assert_eq!([1, 2].map(|point| analysis.grid().place(0, point)), [(60.0, 180.0), (20.0, 0.0)]);
    assert_eq!(values(&analysis, "t2m", Level::Surface), [200.0, 201.0, 203.0, 204.0, 205.0]);
    // a hole that is no end of a row; places with one coordinate alone; nothing at all
    for (latitude, longitude) in [
        ([60.0, -9e9, 60.0, 20.0, 20.0, 20.0], [0.0, -9e9, 180.0, 0.0, 120.0, 240.0]),
        ([60.0, 60.0, -9e9, 20.0, 20.0, 20.0], [0.0, 180.0, 90.0, 0.0, 120.0, 240.0]),
        ([-9e9; 6], [-9e9; 6]),
    ] {
        let path = filled_up(&latitude, &longitude).done();
        assert!(open(&[&path]).is_err());
    }
}

#[test]
fn numbers_of_points_on_parallels_make_a_reduced_grid() {
    let reduced = |name: &str, dimensions: &[&str]| {
        let mut draft = Draft::empty();
        draft.axis("time", &[0.0], &[("units", "hours since 2020-01-05 12:00:00")]);
        draft.axis("lat", &[60.0, 20.0], &[("units", "degrees_north")]);
        draft.file().add_dimension("column", 3).unwrap();
        draft.file().add_dimension("rgrid", 5).unwrap();
        draft.file().add_dimension("rows", 2).unwrap();
        draft.data(name, &["rows"], &[2i32, 3], &[]);
        let cdo = [("units", "K"), ("CDI_grid_latitudes", "lat"), ("CDI_grid_reduced_points", name)];
        draft.counted("t2m", dimensions, if name == "reduced_points" { &cdo[..1] } else { &cdo });
        draft.read(&[("t2m", Level::Surface)], &[NOON])
    };
    for (name, dimensions, expected) in [
        ("counts", &["time", "rgrid"][..], [200.0, 201.0, 202.0, 203.0, 204.0]),
        ("reduced_points", &["time", "rgrid"], [200.0, 201.0, 202.0, 203.0, 204.0]),
        ("reduced_points", &["time", "lat", "column"], [200.0, 201.0, 203.0, 204.0, 205.0]),
    ] {
        let analysis = reduced(name, dimensions).unwrap();
        assert_eq!(values(&analysis, "t2m", Level::Surface), expected, "{name} {dimensions:?}");
        let places = [1, 4].map(|point| analysis.grid().place(0, point));
        assert_eq!(places, [(60.0, 180.0), (20.0, 240.0)]);
    }
    assert!(reduced("counts", &["time", "lat", "rgrid"]).is_err());
}

#[test]
fn meshes_are_refused_by_name() {
    for (name, value, words) in [("mesh", "topology", "UGRID"), ("GRIB_gridType", "healpix", "HEALPix")] {
        let mut draft = Draft::new();
        draft.counted("t", &["time", "latitude", "longitude"], &[("units", "K"), (name, value)]);
        let path = draft.done();
        assert_said(&open(&[&path]).unwrap_err(), &[words]);
    }
}

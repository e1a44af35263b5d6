//! Pixel truth: tiles of analytic fields, against the field itself.

use super::*;
use crate::atmos::Projection;

/// The window of a field that a footprint asks for.
fn window(field: &Array2<f32>, footprint: &Footprint) -> Array2<f32> {
    let width = field.ncols();
    let columns: Vec<usize> = footprint.columns().indices(width).collect();
    let rows = footprint.rows();
    Array2::from_shape_fn((rows.len(), columns.len()), |(row, column)| field[[rows.start + row, columns[column]]])
}

fn field(grid: &Grid, value: impl Fn(f64, f64) -> f64) -> Array2<f32> {
    Array2::from_shape_fn(grid.shape(), |(row, column)| {
        let (latitude, longitude) = grid.place(row, column);
        value(latitude, longitude) as f32
    })
}

fn regular(first: f64, last: f64, rows: usize, columns: usize) -> Grid {
    let latitude = (0..rows).map(|i| first + (last - first) * i as f64 / (rows - 1) as f64).collect();
    let longitude = (0..columns).map(|i| 360.0 * i as f64 / columns as f64).collect();
    Grid::new(latitude, longitude).unwrap()
}

/// Every tile of the first zoom levels, and three random-looking ones of each deeper level.
fn tiles() -> Vec<TileId> {
    let mut tiles = Vec::new();
    for zoom in 0..=3u32 {
        for x in 0..1 << zoom {
            tiles.extend((0..1 << zoom).map(|y| TileId::new(zoom, x, y).unwrap()));
        }
    }
    for zoom in 4..=10u32 {
        let last = (1 << zoom) - 1;
        for (x, y) in [(0, 0), (last, last), (last / 3, last / 5), (last / 2, last / 2), (last / 2 + 1, 1)] {
            tiles.push(TileId::new(zoom, x, y).unwrap());
        }
    }
    tiles
}

#[test]
fn linear_in_latitude_and_periodic_in_longitude_is_reproduced_at_every_pixel() {
    // A tent in longitude with its kinks on grid points, times a line in latitude: bilinear interpolation is exact.
    let tent = |longitude: f64| 1.0 - ((longitude.rem_euclid(360.0) - 180.0) / 90.0).abs();
    let truth = |latitude: f64, longitude: f64| 270.0 + 0.3 * latitude * tent(longitude) - 20.0 * tent(longitude);
    let mut gaussian: Vec<f64> = vec![88.57, 85.76, 82.31, 75.0, 61.0, 44.2, 30.1, 11.0];
    gaussian.extend(gaussian.clone().into_iter().rev().map(|latitude| -latitude));
    let uneven = Grid::new(gaussian, (0..96).map(|i| 3.75 * f64::from(i)).collect()).unwrap();
    let shifted =
        Grid::new((0..181).map(|i| 90.0 - f64::from(i)).collect(), (0..360).map(|i| -180.0 + f64::from(i)).collect())
            .unwrap();
    for grid in [regular(90.0, -90.0, 73, 144), uneven, shifted] {
        let field = field(&grid, truth);
        for tile in tiles() {
            let footprint = Footprint::of_tile(&grid, tile).unwrap();
            let samples = footprint.sample(&window(&field, &footprint));
            let Raster { latitudes, longitudes } = tile.raster(TILE_SIZE);
            for row in 0..TILE_SIZE {
                for column in 0..TILE_SIZE {
                    let expected = truth(latitudes[row], longitudes[column]) as f32;
                    let found = samples[row * TILE_SIZE + column];
                    assert!((found - expected).abs() < 1e-3, "{grid} {tile:?} {row},{column}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn the_seam_between_last_and_first_column_is_like_any_other() {
    // Values known only at the columns beside the seam: 0 at the last one, 8 at the first.
    let grid = regular(90.0, -90.0, 19, 36);
    let field = field(&grid, |_, longitude| if longitude == 0.0 { 8.0 } else { 0.0 });
    let at = |longitude: f64| {
        let footprint = Footprint::of_point(&grid, 12.3, longitude).unwrap();
        footprint.sample(&window(&field, &footprint))[0]
    };
    for (longitude, expected) in
        [(350.0, 0.0), (352.5, 2.0), (355.0, 4.0), (-5.0, 4.0), (360.0, 8.0), (0.0, 8.0), (-360.0, 8.0), (2.5, 6.0)]
    {
        assert_eq!(at(longitude), expected, "{longitude}");
    }
    assert_eq!(at(-1e-300), 8.0);
}

#[test]
fn a_tile_reads_only_what_it_shows() {
    let grid = regular(90.0, -90.0, 721, 1440);
    let whole = Footprint::of_tile(&grid, TileId::new(0, 0, 0).unwrap()).unwrap();
    assert!(whole.columns().count <= 1441 && whole.rows().len() <= 721);
    // across Greenwich: 2 columns west of it, about 1 east
    let seam = Footprint::of_tile(&grid, TileId::new(10, 511, 300).unwrap()).unwrap();
    assert!(seam.columns().count <= 4 && seam.rows().len() <= 4, "{:?}", seam.columns());
    let wide = Footprint::of_tile(&grid, TileId::new(3, 3, 2).unwrap()).unwrap();
    assert!(wide.columns().count <= 182);
}

#[test]
fn outside_a_regional_grid_pixels_are_missing() {
    let grid = Grid::new(vec![60.0, 55.0, 50.0], vec![350.0, 355.0, 360.0, 365.0]).unwrap();
    let field = field(&grid, |latitude, longitude| latitude + longitude / 1000.0);
    assert!(Footprint::of_tile(&grid, TileId::new(3, 0, 7).unwrap()).is_none());
    let inside =
        |latitude, longitude| Footprint::of_point(&grid, latitude, longitude).map(|f| f.sample(&window(&field, &f))[0]);
    assert_eq!(inside(60.0, -10.0), Some(60.35));
    assert!((inside(52.5, 2.5).unwrap() - 52.8625).abs() < 1e-4);
    for (latitude, longitude) in
        [(60.1, 0.0), (49.9, 0.0), (55.0, 5.1), (55.0, -10.1), (f64::NAN, 0.0), (55.0, f64::INFINITY)]
    {
        assert_eq!(inside(latitude, longitude), None, "{latitude} {longitude}");
    }
    let world = TileId::new(0, 0, 0).unwrap();
    let footprint = Footprint::of_tile(&grid, world).unwrap();
    let samples = footprint.sample(&window(&field, &footprint));
    let shown = samples.iter().filter(|value| value.is_finite()).count();
    // 15° of longitude are 10.7 pixels, 50° to 60° N 12.5
    assert!((10 * 12..=11 * 13).contains(&shown), "{shown}");
}

#[test]
fn poles_of_a_global_grid_take_the_outermost_row() {
    // Cell centres: the outermost rows lie half a cell from the poles, south of what the map shows.
    let grid = regular(80.0, -80.0, 9, 36);
    let field = field(&grid, |latitude, _| latitude);
    let footprint = Footprint::of_tile(&grid, TileId::new(0, 0, 0).unwrap()).unwrap();
    let samples = footprint.sample(&window(&field, &footprint));
    assert_eq!(samples[0], 80.0);
    assert_eq!(samples[TILE_SIZE * TILE_SIZE - 1], -80.0);
}

#[test]
fn a_missing_value_stays_between_its_neighbours() {
    let grid = regular(90.0, -90.0, 19, 36);
    let mut field = field(&grid, |_, _| 1.0);
    field[[9, 18]] = f32::NAN;
    let at = |latitude: f64, longitude: f64| {
        let footprint = Footprint::of_point(&grid, latitude, longitude).unwrap();
        footprint.sample(&window(&field, &footprint))[0]
    };
    assert!(at(0.0, 180.0).is_nan() && at(3.0, 177.0).is_nan());
    assert_eq!(at(0.0, 190.0), 1.0);
    assert_eq!(at(10.0, 180.0), 1.0);
}

#[test]
fn grids_of_one_row_or_column_give_their_point() {
    let grid = Grid::new(vec![55.0], vec![12.0]).unwrap();
    let footprint = Footprint::of_point(&grid, 55.0, 12.0).unwrap();
    assert_eq!(footprint.sample(&Array2::from_elem((1, 1), 7.0)), [7.0]);
    assert!(Footprint::of_point(&grid, 55.5, 12.0).is_none());
}

/// Two projections over Denmark: metres and degrees.
fn projected() -> [Grid; 2] {
    let axis = |first: f64, n: i32, step: f64| (0..n).map(|i| first + step * f64::from(i)).collect::<Vec<f64>>();
    let grid =
        |definition: &str, y, x| Grid::projected(Projection::from_proj_string(definition).unwrap(), y, x).unwrap();
    let lambert = "+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470";
    let rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229";
    [
        grid(lambert, axis(300e3, 60, -10e3), axis(-1200e3, 80, 10e3)),
        grid(rotated, axis(10.0, 80, -0.125), axis(350.0, 90, 0.125)),
    ]
}

#[test]
fn a_plane_of_a_projection_is_a_plane_on_the_tile() {
    for grid in projected() {
        let projection = grid.projection().unwrap().clone();
        let scale = if projection.is_angular() { 0.1 } else { 1e-5 };
        let plane = |latitude: f64, longitude: f64| {
            let (x, y) = projection.forward(latitude, longitude).unwrap();
            // the axis goes on past 360
            let x = if projection.is_angular() && x < 180.0 { x + 360.0 } else { x };
            scale * (3.0 * x + y)
        };
        let field = field(&grid, plane);
        let (mut inside, mut outside) = (0, 0);
        for tile in [(6, 33, 20), (5, 16, 9), (7, 67, 40)] {
            let tile = TileId::new(tile.0, tile.1, tile.2).unwrap();
            let footprint = Footprint::of_tile(&grid, tile).unwrap();
            let samples = footprint.sample(&window(&field, &footprint));
            let raster = tile.raster(TILE_SIZE);
            for (i, &sample) in samples.iter().enumerate() {
                let (latitude, longitude) = (raster.latitudes[i / TILE_SIZE], raster.longitudes[i % TILE_SIZE]);
                match grid.between(latitude, longitude) {
                    Some(_) => {
                        inside += 1;
                        assert!((f64::from(sample) - plane(latitude, longitude)).abs() < 5e-4, "{sample}");
                    }
                    None => {
                        outside += 1;
                        assert!(sample.is_nan(), "{latitude} {longitude}: {sample}");
                    }
                }
            }
        }
        assert!(inside > 10_000 && outside > 10_000, "{inside} {outside}");
        assert!(Footprint::of_tile(&grid, TileId::new(3, 1, 5).unwrap()).is_none());
        assert!(Footprint::of_point(&grid, 0.0, 12.0).is_none());
    }
}

#[test]
fn points_colour_their_cells_and_nothing_else() {
    let [grid, _] = projected();
    let places = grid.coordinates();
    let [latitude, longitude] = [&places.latitude, &places.longitude].map(|v| v.iter().copied().collect::<Vec<f64>>());
    let points = Grid::points(latitude, longitude).unwrap();
    let field = field(&points, |latitude, longitude| latitude + 10.0 * longitude);
    let tile = TileId::new(6, 33, 20).unwrap();
    let footprint = Footprint::of_tile(&points, tile).unwrap();
    let raster = tile.raster(TILE_SIZE);
    for (i, sample) in footprint.sample(&window(&field, &footprint)).into_iter().enumerate() {
        let (latitude, longitude) = (raster.latitudes[i / TILE_SIZE], raster.longitudes[i % TILE_SIZE]);
        let nearest = points.nearest(latitude, longitude).map(|(row, column)| field[[row, column]]);
        assert_eq!(nearest, Some(sample).filter(|sample| !sample.is_nan()));
        if grid.between(latitude, longitude).is_some() {
            assert!(nearest.is_some(), "no hole at {latitude} {longitude}");
        }
    }
}

/// Half of the quantum that forecasters cannot tell apart (0.01 K).
const HALF_A_QUANTUM: f64 = 0.005;

/// Equally distributed, the same in every run (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }

    /// A tile of a zoom level: one in four beside the date line, one in four in the outermost row, at ±85°.
    fn tile(&mut self, zoom: u32) -> TileId {
        let last = (1 << zoom) - 1;
        let (mut x, mut y) = (self.below(last + 1), self.below(last + 1));
        match self.below(4) {
            0 => x = if self.below(2) == 0 { 0 } else { last },
            1 => y = if self.below(2) == 0 { 0 } else { last },
            _ => {}
        }
        TileId::new(zoom, x, y).unwrap()
    }
}

#[test]
fn ten_thousand_random_pixels_of_a_field_linear_in_latitude_and_longitude_are_right_to_half_a_quantum() {
    let tent = |longitude: f64| 1.0 - ((longitude.rem_euclid(360.0) - 180.0) / 90.0).abs();
    let truth = |latitude: f64, longitude: f64| 270.0 + 0.3 * latitude + 20.0 * tent(longitude);
    let grid = regular(90.0, -90.0, 361, 720);
    let field = field(&grid, truth);
    let (mut random, mut pixels) = (Random(7), 0);
    while pixels < 10_000 {
        let tile = random.tile(pixels % 11);
        let footprint = Footprint::of_tile(&grid, tile).unwrap();
        let samples = footprint.sample(&window(&field, &footprint));
        let Raster { latitudes, longitudes } = tile.raster(TILE_SIZE);
        for _ in 0..11 {
            let (row, column) = (random.below(256) as usize, random.below(256) as usize);
            let expected = truth(latitudes[row], longitudes[column]);
            let found = f64::from(samples[row * TILE_SIZE + column]);
            assert!((found - expected).abs() <= HALF_A_QUANTUM, "{tile:?} {row} {column}: {found} {expected}");
            pixels += 1;
        }
    }
}

#[test]
fn ten_thousand_random_pixels_of_a_lambert_grid_across_the_date_line_are_right_to_half_a_quantum() {
    // a cone about the date line, up to 89 °N
    let definition = "+proj=lcc +lat_1=60 +lat_2=75 +lat_0=70 +lon_0=180 +R=6371229";
    let projection = Projection::from_proj_string(definition).unwrap();
    let axis = |n: i32| (0..n).map(|i| 25e3 * f64::from(i - n / 2)).collect::<Vec<f64>>();
    let grid = Grid::projected(projection.clone(), axis(161).into_iter().rev().collect(), axis(161)).unwrap();
    let plane = |latitude: f64, longitude: f64| {
        projection.forward(latitude, longitude).map(|(x, y)| 270.0 + 1e-5 * (3.0 * x - 2.0 * y))
    };
    let field = field(&grid, |latitude, longitude| plane(latitude, longitude).unwrap());
    let (mut random, mut pixels, mut seams) = (Random(11), 0, 0);
    let mut zoom = 0;
    while pixels < 10_000 {
        zoom = (zoom + 1) % 11;
        // where the grid is: the tile of a random place within it
        let (longitude, latitude) =
            (180.0 + f64::from(random.below(600)) * 0.1 - 30.0, 56.0 + f64::from(random.below(290)) * 0.1);
        let side = f64::from(1u32 << zoom);
        let x = ((longitude + 180.0).rem_euclid(360.0) / 360.0 * side) as u32;
        let y = ((1.0 - latitude.to_radians().tan().asinh() / std::f64::consts::PI) / 2.0 * side) as u32;
        let tile = TileId::new(zoom, x.min(side as u32 - 1), y.min(side as u32 - 1)).unwrap();
        let Some(footprint) = Footprint::of_tile(&grid, tile) else { continue };
        let samples = footprint.sample(&window(&field, &footprint));
        let Raster { latitudes, longitudes } = tile.raster(TILE_SIZE);
        for _ in 0..110 {
            let (row, column) = (random.below(256) as usize, random.below(256) as usize);
            let (latitude, longitude) = (latitudes[row], longitudes[column]);
            let found = f64::from(samples[row * TILE_SIZE + column]);
            if grid.between(latitude, longitude).is_none() {
                assert!(found.is_nan());
                continue;
            }
            let expected = plane(latitude, longitude).unwrap();
            assert!((found - expected).abs() <= HALF_A_QUANTUM, "{tile:?} {row} {column}: {found} {expected}");
            pixels += 1;
            seams += u32::from(longitude.abs() > 178.0);
        }
    }
    assert!(seams > 100, "{seams}");
}

#[test]
fn columns_are_cut_where_they_pass_the_last_one() {
    let cut = |start, count| {
        Columns { start, count }.runs(10).into_iter().map(|run| (run.columns, run.offset)).collect::<Vec<_>>()
    };
    assert_eq!(cut(2, 3), [(2..5, 0)]);
    assert_eq!(cut(8, 4), [(8..10, 0), (0..2, 2)]);
    assert_eq!(cut(0, 11), [(0..10, 0), (0..1, 10)]);
    assert!(cut(3, 0).is_empty());
}

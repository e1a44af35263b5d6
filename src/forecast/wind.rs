//! Winds along the axes of a projected grid, turned to east and north; and back.

use std::sync::Arc;

use ndarray::Array2;

use crate::atmos::{Field, Grid, Level, Variable};
use crate::model::ChannelLayout;

/// By how much the axes of a grid are turned at each point.
#[derive(Debug)]
pub struct AxisAngles {
    /// Of the angle from true north to the grid's north, clockwise.
    sine: Array2<f32>,
    cosine: Array2<f32>,
}

impl AxisAngles {
    /// The error says why they are not known.
    pub fn of(grid: &Grid) -> Result<Self, String> {
        let Some(projection) = grid.projection() else {
            return Err(format!("winds are turned on projected grids; this is {grid}"));
        };
        let places = grid.coordinates();
        let angle = |(latitude, longitude): (&f64, &f64)| projection.convergence(*latitude, *longitude);
        let angles: Option<Vec<f64>> = places.latitude.iter().zip(&places.longitude).map(angle).collect();
        let angles = angles.and_then(|angles| Array2::from_shape_vec(grid.shape(), angles).ok());
        let angles = angles.ok_or("the projection has no direction of north at some points")?;
        let part = |f: fn(f64) -> f64| angles.mapv(|angle| f(angle.to_radians()) as f32);
        Ok(Self { sine: part(f64::sin), cosine: part(f64::cos) })
    }

    /// Components along x and y → to the east and to the north.
    pub fn to_true(&self, x: &mut [f32], y: &mut [f32]) {
        self.turn(x, y, 1.0);
    }

    /// Components to the east and to the north → along x and y.
    pub fn to_grid(&self, east: &mut [f32], north: &mut [f32]) {
        self.turn(east, north, -1.0);
    }

    fn turn(&self, first: &mut [f32], second: &mut [f32], sign: f32) {
        let angles = self.sine.iter().zip(&self.cosine);
        for ((a, b), (sine, cosine)) in first.iter_mut().zip(second).zip(angles) {
            (*a, *b) = (*a * cosine + *b * sine * sign, *b * cosine - *a * sine * sign);
        }
    }
}

/// Which channels are the components of one wind, and by how much each point's wind is turned.
#[derive(Debug)]
pub struct WindRotation {
    /// Channels along x and along y.
    pairs: Vec<(usize, usize)>,
    angles: AxisAngles,
}

impl WindRotation {
    /// The error says why winds cannot be turned.
    pub fn new(layout: &ChannelLayout, grid: &Grid) -> Result<Self, String> {
        let angles = AxisAngles::of(grid)?;
        let channels: Vec<Component<'_>> = layout.iter().map(|channel| (&channel.variable, channel.level)).collect();
        let [xs, ys] = [X_WIND, Y_WIND]
            .map(|name| channels.iter().filter(|(variable, _)| *variable.standard_name == *name).count());
        let pairs: Vec<(usize, usize)> = pairs(&channels, (X_WIND, Y_WIND)).collect();
        if pairs.is_empty() || pairs.len() != xs || xs != ys {
            return Err(format!("{xs} channels along x and {ys} along y are no pairs of winds along the grid"));
        }
        Ok(Self { pairs, angles })
    }

    /// Turns the winds among `fields`, which are in the layout's order.
    pub fn turn(&self, fields: &[Field]) -> Vec<Field> {
        let mut turned = fields.to_vec();
        for &(x, y) in &self.pairs {
            let (mut east, mut north) = (fields[x].values().clone(), fields[y].values().clone());
            if let (Some(x), Some(y)) = (east.as_slice_mut(), north.as_slice_mut()) {
                self.angles.to_true(x, y);
            }
            for (n, values) in [(x, east), (y, north)] {
                let field = &fields[n];
                let variable = true_wind(field.variable());
                if let Ok(field) = Field::new(variable, field.level(), field.valid_time(), field.grid().clone(), values)
                {
                    turned[n] = field;
                }
            }
        }
        turned
    }
}

/// The variable of a wind's component after turning; others stay what they are.
pub fn true_wind(variable: &Variable) -> Variable {
    let name = match &*variable.standard_name {
        "x_wind" => "eastward_wind",
        "y_wind" => "northward_wind",
        _ => return variable.clone(),
    };
    let long_name: Arc<str> = variable.long_name.replace(" (along the grid)", "").into();
    Variable { standard_name: name.into(), long_name, ..variable.clone() }
}

/// A component of a wind.
pub type Component<'a> = (&'a Variable, Level);

pub const X_WIND: &str = "x_wind";
pub const Y_WIND: &str = "y_wind";
pub const EASTWARD: &str = "eastward_wind";
pub const NORTHWARD: &str = "northward_wind";

/// Components of one wind lie on one level; of several winds on one level, the names tell: they differ in u and v. Their
/// places, of standard names (u, v).
pub fn pairs<'a>(
    components: &'a [Component<'a>],
    (first, second): (&'a str, &'a str),
) -> impl Iterator<Item = (usize, usize)> + 'a {
    let of = move |name: &'a str| (0..components.len()).filter(move |&n| *components[n].0.standard_name == *name);
    let partner = move |u: usize| {
        let (ours, level) = components[u];
        let beside: Vec<usize> = of(second).filter(|&v| components[v].1 == level).collect();
        let name = ours.name.replacen('u', "v", 1);
        let named = beside.iter().find(|&&v| *components[v].0.name == *name);
        named.or(beside.first().filter(|_| beside.len() == 1)).map(|&v| (u, v))
    };
    of(first).filter_map(partner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atmos::{Projection, ValidTime};
    use crate::model::{Channel, Clamp, Role};

    fn channel(name: &str, standard_name: &str, level: Level) -> Channel {
        Channel {
            variable: Variable::new(name, standard_name, name, "m s-1"),
            level,
            role: Role::Prognostic,
            mean: 0.0,
            std: 1.0,
            diff_mean: 0.0,
            diff_std: 1.0,
            plausible: (-100.0, 100.0),
            told_plausible: None,
            clamp: Clamp::default(),
            formula: None,
        }
    }

    /// On a Lambert cone, the grid's north is turned by n (λ − λ₀), n the sine of the one standard parallel
    /// (Snyder 1987, Map Projections: A Working Manual, eq. 14-4, <https://doi.org/10.3133/pp1395>).
    #[test]
    fn a_wind_from_the_south_stays_one_on_a_lambert_cone() {
        let projection = Projection::from_proj_string("+proj=lcc +lat_1=60 +lat_0=60 +lon_0=10 +R=6371000").unwrap();
        let grid = Arc::new(Grid::projected(projection, vec![4e5, 0.0, -4e5], vec![-6e5, 0.0, 3e5, 9e5]).unwrap());
        let n = 60f64.to_radians().sin();
        let layout = ChannelLayout::new(vec![
            channel("v10m", "y_wind", Level::Surface),
            channel("u10m", "x_wind", Level::Surface),
            channel("u", "x_wind", Level::Pressure(500.0)),
            channel("v", "y_wind", Level::Pressure(500.0)),
            channel("t", "air_temperature", Level::Pressure(500.0)),
        ]);
        let time: ValidTime = "2020-01-01T00:00Z".parse().unwrap();
        let places = grid.coordinates();
        let angle = places.longitude.mapv(|longitude| (n * (longitude - 10.0)).to_radians());
        // 10 m s-1 to the north, 3 to the east, seen along the grid
        let (east, north) = (3.0, 10.0);
        let x = angle.mapv(|a| (east * a.cos() - north * a.sin()) as f32);
        let y = angle.mapv(|a| (east * a.sin() + north * a.cos()) as f32);
        let values = [&y, &x, &x, &y, &x];
        let fields: Vec<Field> = layout
            .iter()
            .zip(values)
            .map(|(c, values)| Field::new(c.variable.clone(), c.level, time, grid.clone(), values.clone()).unwrap())
            .collect();
        let turned = WindRotation::new(&layout, &grid).unwrap().turn(&fields);
        for (field, expected) in [(1, east), (0, north), (2, east), (3, north)] {
            let worst = turned[field].values().iter().map(|v| (f64::from(*v) - expected).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-5, "{}: {worst}", turned[field].variable().name);
        }
        assert_eq!(&*turned[0].variable().standard_name, "northward_wind");
        assert_eq!(turned[4].values(), fields[4].values());
        let single = ChannelLayout::new(vec![channel("u", "x_wind", Level::Surface)]);
        assert!(WindRotation::new(&single, &grid).unwrap_err().contains("no pairs"));
    }
}

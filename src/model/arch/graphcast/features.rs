//! What the network is told of places: of a node its latitude and longitude; of an edge its length, and its direction as seen
//! from its receiver, turned to the equator and Greenwich.
//!
//! Angles and positions are float32, turning is float64, as in the reference.

use std::f32::consts::FRAC_PI_2;

use rayon::prelude::*;

use super::config::{EDGE_FEATURES, NODE_FEATURES};
use crate::model::numpy::{degrees, radians, sin_cos};

/// A node's place, as the reference computes with it: azimuth and polar angle.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    phi: f32,
    theta: f32,
}

impl Place {
    /// Degrees north and east.
    pub fn new(latitude: f32, longitude: f32) -> Self {
        Self { phi: radians(longitude), theta: radians(90.0 - latitude) }
    }

    /// Of a mesh node, by way of degrees.
    pub fn of_vertex([x, y, z]: [f32; 3]) -> Self {
        Self::new(90.0 - degrees(z.acos()), degrees(y.atan2(x)).rem_euclid(360.0))
    }

    /// On the unit sphere.
    pub fn position(self) -> [f32; 3] {
        let ((sin_phi, cos_phi), (sin_theta, cos_theta)) = (sin_cos(self.phi), sin_cos(self.theta));
        [cos_phi * sin_theta, sin_phi * sin_theta, cos_theta]
    }

    /// Sine of the latitude, cosine and sine of the longitude.
    pub fn features(self) -> [f32; NODE_FEATURES] {
        let (sin_phi, cos_phi) = sin_cos(self.phi);
        [sin_cos(self.theta).1, cos_phi, sin_phi]
    }

    /// Turns about the z axis and then the y axis, which bring this place to the equator and Greenwich.
    fn turn(self) -> [[f64; 3]; 3] {
        let (s, c) = f64::from(-self.phi).sin_cos();
        let (t, d) = f64::from(-self.theta + FRAC_PI_2).sin_cos();
        [[d * c, -d * s, t], [s, c, 0.0], [-t * c, t * s, d]]
    }
}

/// Length and direction of each edge, in units of `unit`, or of the longest edge.
pub fn of_edges(
    (senders, receivers): (&[u32], &[u32]),
    (from, to): (&[Place], &[Place]),
    unit: Option<f64>,
) -> Vec<[f32; EDGE_FEATURES]> {
    let position = |places: &[Place]| -> Vec<[f64; 3]> {
        places.par_iter().map(|place| place.position().map(f64::from)).collect()
    };
    let (sent, received) = (position(from), position(to));
    let direction = |(&sender, &receiver): (&u32, &u32)| {
        let turn = to[receiver as usize].turn();
        let turned = |p: &[f64; 3]| turn.map(|row| row[0] * p[0] + row[1] * p[1] + row[2] * p[2]);
        let (a, b) = (turned(&sent[sender as usize]), turned(&received[receiver as usize]));
        let [x, y, z] = [0, 1, 2].map(|i| a[i] - b[i]);
        [(x * x + y * y + z * z).sqrt(), x, y, z]
    };
    let edges: Vec<[f64; EDGE_FEATURES]> = senders.par_iter().zip(receivers).map(direction).collect();
    let unit = unit.unwrap_or_else(|| edges.iter().map(|edge| edge[0]).fold(0.0, f64::max));
    edges.into_par_iter().map(|edge| edge.map(|value| (value / unit) as f32)).collect()
}

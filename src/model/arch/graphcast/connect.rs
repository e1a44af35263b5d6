//! Edges between the points of a grid and the mesh: from each point to the mesh nodes within a radius, and to each point
//! from the corners of the triangle that it is in.
//!
//! Points on an edge are in two triangles, and points at the radius are in or out by a rounding: both follow the reference
//! (`scipy.spatial.cKDTree.query_ball_point`, `trimesh.proximity.closest_point` of <https://github.com/mikedh/trimesh>)
//! operation by operation.

use std::collections::HashMap;

use rayon::prelude::*;

use super::candidates::{Bounds, Tree, Vector, network_sort};
use super::mesh::Multimesh;

/// Distances that are the same to trimesh (`tol.merge`), and numbers that are zero to it (`tol.zero`).
const MERGE: f64 = 1e-8;
const ZERO: f64 = 1e-13;

/// Mesh and grid, ready to be connected.
pub struct Connections<'a> {
    mesh: &'a Multimesh,
    points: Vec<Vector>,
    vertices: Vec<Vector>,
    /// Size of the cells that vertices are looked for in: an edge's length.
    cell: f64,
    near: HashMap<[i32; 3], Vec<u32>>,
}

impl<'a> Connections<'a> {
    /// `points`: positions of the grid's points on the unit sphere, in their order.
    pub fn new(mesh: &'a Multimesh, points: &[[f32; 3]]) -> Self {
        let wide = |point: &[f32; 3]| point.map(f64::from);
        let vertices: Vec<Vector> = mesh.vertices.iter().map(wide).collect();
        let mut this = Self {
            points: points.iter().map(wide).collect(),
            cell: f64::from(mesh.longest_edge()),
            near: HashMap::new(),
            mesh,
            vertices,
        };
        for (n, vertex) in this.vertices.iter().enumerate() {
            this.near.entry(this.cell_of(vertex)).or_default().push(n as u32);
        }
        this
    }

    fn cell_of(&self, point: &Vector) -> [i32; 3] {
        point.map(|x| (x / self.cell).floor() as i32)
    }

    fn corners(&self, face: &[u32; 3]) -> [Vector; 3] {
        face.map(|vertex| self.vertices[vertex as usize])
    }

    /// Vertices in all cells that are `reach` or less from a point.
    fn around(&self, point: &Vector, reach: f64) -> impl Iterator<Item = u32> {
        let (low, high) = (point.map(|x| x - reach), point.map(|x| x + reach));
        cells(self.cell_of(&low), self.cell_of(&high)).filter_map(|cell| self.near.get(&cell)).flatten().copied()
    }

    fn square_distance(&self, point: &Vector, vertex: u32) -> f64 {
        square(&minus(point, &self.vertices[vertex as usize]))
    }

    /// `(point, mesh node)` wherever the two are no further apart than `radius`, point by point.
    pub fn within(&self, radius: f32) -> (Vec<u32>, Vec<u32>) {
        let radius = f64::from(radius);
        let of = |(n, point): (usize, &Vector)| {
            let near = |vertex: &u32| self.square_distance(point, *vertex) <= radius * radius;
            let mut nodes: Vec<u32> = self.around(point, radius).filter(near).collect();
            nodes.sort_unstable();
            nodes.into_iter().map(move |node| (n as u32, node))
        };
        self.points.par_iter().enumerate().flat_map_iter(of).unzip()
    }

    /// For each point the triangle of the finest level that is nearest to it.
    pub fn triangles(&self) -> Vec<[u32; 3]> {
        let faces = self.mesh.finest();
        let bounds: Vec<Bounds> = faces.iter().map(|face| Bounds::of(&self.corners(face))).collect();
        let tree = Tree::new(&bounds);
        self.points.par_iter().map(|point| faces[self.nearest_face(&tree, point) as usize]).collect()
    }

    fn nearest_face(&self, tree: &Tree, point: &Vector) -> u32 {
        // some vertex is nearer than an edge's length
        let to_vertex = self.around(point, self.cell).map(|vertex| self.square_distance(point, vertex));
        let reach = to_vertex.fold(f64::INFINITY, f64::min).sqrt() + MERGE;
        let bounds = Bounds { low: point.map(|x| x - reach), high: point.map(|x| x + reach) };
        let corners = |face: u32| self.corners(&self.mesh.finest()[face as usize]);
        let candidate = |face: u32| {
            let away = minus(point, &closest(&corners(face), point));
            (square(&away), face, away)
        };
        let mut candidates: Vec<(f64, u32, Vector)> = tree.meeting(&bounds).into_iter().map(candidate).collect();
        network_sort(&mut candidates, |candidate| candidate.0);
        let [first, second, ..] = candidates.as_slice() else { return candidates.first().map_or(0, |only| only.1) };
        let tied = (first.0 - second.0).abs() < MERGE && first.0 > MERGE && second.0 > MERGE;
        // the one that the point is above, rather than beside
        let above = |(distance, face, away): &(f64, u32, Vector)| {
            let (normal, length) = (normal(&corners(*face)), distance.sqrt());
            sum(&[0, 1, 2].map(|i| normal[i] * (away[i] / length)))
        };
        if tied && above(second) > above(first) { second.1 } else { first.1 }
    }
}

fn cells(low: [i32; 3], high: [i32; 3]) -> impl Iterator<Item = [i32; 3]> {
    let [x, y, z] = [0, 1, 2].map(|i| low[i]..=high[i]);
    x.flat_map(move |i| {
        let z = z.clone();
        y.clone().flat_map(move |j| z.clone().map(move |k| [i, j, k]))
    })
}

fn minus(a: &Vector, b: &Vector) -> Vector {
    [0, 1, 2].map(|i| a[i] - b[i])
}

fn sum(a: &Vector) -> f64 {
    a[0] + a[1] + a[2]
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    sum(&[0, 1, 2].map(|i| a[i] * b[i]))
}

fn square(a: &Vector) -> f64 {
    dot(a, a)
}

fn normal([a, b, c]: &[Vector; 3]) -> Vector {
    let (p, q) = (minus(b, a), minus(c, b));
    let cross = [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
    let scale = 1.0 / square(&cross).sqrt();
    cross.map(|x| x * scale)
}

/// The point of a triangle that is closest to `p` (Ericson, Real-Time Collision Detection, 5.1.5).
fn closest([a, b, c]: &[Vector; 3], p: &Vector) -> Vector {
    let along = |from: &Vector, by: f64, direction: &Vector| [0, 1, 2].map(|i| from[i] + by * direction[i]);
    let (ab, ac, ap) = (minus(b, a), minus(c, a), minus(p, a));
    let (d1, d2) = (dot(&ab, &ap), dot(&ac, &ap));
    if d1 < ZERO && d2 < ZERO {
        return *a;
    }
    let bp = minus(p, b);
    let (d3, d4) = (dot(&ab, &bp), dot(&ac, &bp));
    if d3 > -ZERO && d4 <= d3 {
        return *b;
    }
    let vc = d1 * d4 - d3 * d2;
    if vc < ZERO && d1 > -ZERO && d3 < ZERO {
        return along(a, d1 / (d1 - d3), &ab);
    }
    let cp = minus(p, c);
    let (d5, d6) = (dot(&ab, &cp), dot(&ac, &cp));
    if d6 > -ZERO && d5 <= d6 {
        return *c;
    }
    let vb = d5 * d2 - d1 * d6;
    if vb < ZERO && d2 > -ZERO && d6 < ZERO {
        return along(a, d2 / (d2 - d6), &ac);
    }
    let va = d3 * d6 - d5 * d4;
    if va < ZERO && d4 - d3 > -ZERO && d5 - d6 > -ZERO {
        let w = d4 - d3;
        return along(b, w / (w + (d5 - d6)), &minus(c, b));
    }
    let scale = 1.0 / (va + vb + vc);
    let (v, w) = (vb * scale, vc * scale);
    [0, 1, 2].map(|i| a[i] + ab[i] * v + ac[i] * w)
}

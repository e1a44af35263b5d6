//! The icosahedral multi-mesh: an icosahedron with two faces parallel to the equator, each face of which is divided into
//! four again and again, and the faces of all levels together.
//!
//! Vertices are float32 and rounded where the reference rounds them.

use std::collections::HashMap;

/// Nested meshes on the unit sphere.
#[derive(Debug, Clone)]
pub struct Multimesh {
    /// Those of a coarse level come first; all are on the finest.
    pub vertices: Vec<[f32; 3]>,
    /// By level, the coarsest first; corners counter-clockwise as seen from outside.
    pub faces: Vec<Vec<[u32; 3]>>,
}

/// Faces of the icosahedron by its corners.
#[rustfmt::skip]
const ICOSAHEDRON: [[u32; 3]; 20] = [
    [0, 1, 2], [0, 6, 1], [8, 0, 2], [8, 4, 0], [3, 8, 2], [3, 2, 7], [7, 2, 1], [0, 4, 6], [4, 11, 6], [6, 11, 5],
    [1, 5, 7], [4, 10, 11], [4, 8, 10], [10, 8, 3], [10, 3, 9], [11, 10, 9], [11, 9, 5], [5, 9, 7], [9, 3, 7], [1, 6, 5],
];

impl Multimesh {
    /// The icosahedron divided `refinements` times.
    pub fn new(refinements: usize) -> Self {
        let mut mesh = Self { vertices: icosahedron(), faces: vec![ICOSAHEDRON.to_vec()] };
        for _ in 0..refinements {
            mesh.refine();
        }
        mesh
    }

    fn refine(&mut self) {
        let mut middles: HashMap<(u32, u32), u32> = HashMap::new();
        let Self { vertices, faces } = self;
        let mut middle = |a: u32, b: u32| {
            *middles.entry((a.min(b), a.max(b))).or_insert_with(|| {
                let (p, q) = (vertices[a as usize], vertices[b as usize]);
                let mean = [0, 1, 2].map(|i| (p[i] + q[i]) / 2.0);
                // numpy's `dot`: float32 products, summed in float64
                let squares = mean.map(|x| f64::from(x * x));
                let length = ((squares[0] + squares[1] + squares[2]) as f32).sqrt();
                vertices.push(mean.map(|x| x / length));
                vertices.len() as u32 - 1
            })
        };
        let mut finer = Vec::new();
        for &[a, b, c] in faces.last().map_or(&[][..], Vec::as_slice) {
            let (ab, bc, ca) = (middle(a, b), middle(b, c), middle(c, a));
            finer.extend([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]);
        }
        faces.push(finer);
    }

    /// Faces of the finest level.
    pub fn finest(&self) -> &[[u32; 3]] {
        self.faces.last().map_or(&[], Vec::as_slice)
    }

    /// Senders and receivers along the faces of all levels: each neighbour of each vertex, both ways.
    pub fn edges(&self) -> (Vec<u32>, Vec<u32>) {
        self.faces.iter().flatten().flat_map(|&[a, b, c]| [(a, b), (b, c), (c, a)]).unzip()
    }

    /// Length of the longest edge of the finest level, in radii.
    pub fn longest_edge(&self) -> f32 {
        let edges = self.finest().iter().flat_map(|&[a, b, c]| [(a, b), (b, c), (c, a)]);
        let length = |(a, b): (u32, u32)| {
            let (p, q) = (self.vertices[a as usize], self.vertices[b as usize]);
            length([0, 1, 2].map(|i| p[i] - q[i]))
        };
        edges.map(length).fold(0.0, f32::max)
    }
}

/// The corners: turned about the y axis, so that no corner is a pole.
fn icosahedron() -> Vec<[f32; 3]> {
    let golden = (1.0 + 5f64.sqrt()) / 2.0;
    let radius = (1.0 + golden * golden).sqrt();
    let between_faces = 2.0 * (golden / 3f64.sqrt()).asin();
    let (sine, cosine) = ((std::f64::consts::PI - between_faces) / 2.0).sin_cos();
    let mut vertices = Vec::new();
    for one in [1.0, -1.0] {
        for other in [golden, -golden] {
            for corner in [[one, other, 0.0], [0.0, one, other], [other, 0.0, one]] {
                let [x, y, z] = corner.map(|x| f64::from((f64::from(x as f32) / radius) as f32));
                vertices.push([(x * cosine - z * sine) as f32, y as f32, (x * sine + z * cosine) as f32]);
            }
        }
    }
    vertices
}

fn length([x, y, z]: [f32; 3]) -> f32 {
    (x * x + y * y + z * z).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_nested_and_closed() {
        let mesh = Multimesh::new(4);
        assert_eq!(mesh.vertices.len(), 10 * 4usize.pow(4) + 2);
        for (level, faces) in mesh.faces.iter().enumerate() {
            assert_eq!(faces.len(), 20 * 4usize.pow(level as u32));
            let vertices = 10 * 4u32.pow(level as u32) + 2;
            assert!(faces.iter().flatten().all(|&corner| corner < vertices), "level {level}");
        }
        let (senders, receivers) = mesh.edges();
        let mut edges: Vec<(u32, u32)> = senders.into_iter().zip(receivers).collect();
        let mut back: Vec<(u32, u32)> = edges.iter().map(|&(a, b)| (b, a)).collect();
        edges.sort_unstable();
        back.sort_unstable();
        assert_eq!(edges, back, "each edge goes both ways");
        edges.dedup();
        assert_eq!(edges.len(), back.len(), "and once");
        for vertex in &mesh.vertices {
            assert!((length(*vertex) - 1.0).abs() < 2e-7);
        }
    }
}

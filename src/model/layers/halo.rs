//! A graph divided over devices: each holds a part of every set of nodes and the edges that lead to them, and asks the others
//! for the senders that it does not hold (its halo) when messages pass.

use candle_core::{Device, Result, Tensor};

use super::graph::{Edges, Features, Graph};
use crate::device::Peer;

/// What a device gives to the others before messages pass along a set of edges, and takes from them.
#[derive(Debug, Clone)]
pub struct Halo {
    peer: Peer,
    /// Of the nodes that it holds, those that others need: device, and their places here.
    give: Vec<(usize, Vec<u32>)>,
    /// Nodes that it takes: device, and how many.
    take: Vec<(usize, usize)>,
}

impl Halo {
    /// Nodes that are not held here; they come after those that are.
    pub fn len(&self) -> usize {
        self.take.iter().map(|(_, count)| count).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.take.is_empty()
    }

    /// Devices that hold the graph together.
    pub fn parts(&self) -> usize {
        self.peer.count()
    }

    pub fn to_device(&self, device: &Device) -> Result<HaloExchange> {
        let places = |(rank, places): &(usize, Vec<u32>)| Ok((*rank, Tensor::new(places.as_slice(), device)?));
        Ok(HaloExchange {
            peer: self.peer.clone(),
            give: self.give.iter().map(places).collect::<Result<_>>()?,
            take: self.take.iter().map(|&(rank, _)| rank).collect(),
        })
    }
}

/// The same, ready to be done.
#[derive(Debug)]
pub struct HaloExchange {
    peer: Peer,
    give: Vec<(usize, Tensor)>,
    take: Vec<usize>,
}

impl HaloExchange {
    /// Nodes held here, `[N, D]` → with the halo behind them. All devices do so at the same place of a step.
    pub fn reach(&self, nodes: &Tensor) -> Result<Tensor> {
        let rows = self.give.iter().map(|(rank, places)| Ok((*rank, nodes.index_select(places, 0)?)));
        let taken = self.peer.exchange(rows.collect::<Result<_>>()?, &self.take, nodes.device())?;
        let all: Vec<&Tensor> = std::iter::once(nodes).chain(&taken).collect();
        Tensor::cat(&all, 0)
    }
}

/// Which device holds each node of a set.
#[derive(Debug, Clone)]
struct Held {
    device: Vec<u32>,
    /// Its place among those of the device.
    place: Vec<u32>,
    counts: Vec<usize>,
}

impl Held {
    fn new(device: Vec<u32>, parts: usize) -> Self {
        let mut counts = vec![0; parts];
        let place = device.iter().map(|&device| {
            let count = &mut counts[device as usize];
            *count += 1;
            *count as u32 - 1
        });
        Self { place: place.collect(), device, counts }
    }

    /// Each node goes where most of its neighbours are; one without any, where its place in the order is. No device stays
    /// without a node, if there are enough.
    fn near(neighbours: &[(&[u32], &[u32], &Self)], count: usize, parts: usize) -> Self {
        let mut votes = vec![0u32; count * parts];
        for (nodes, others, held) in neighbours {
            for (&node, &other) in nodes.iter().zip(*others) {
                votes[node as usize * parts + held.device[other as usize] as usize] += 1;
            }
        }
        let device = votes.chunks_exact(parts).enumerate().map(|(node, votes)| {
            let most = votes.iter().copied().max().unwrap_or_default();
            match votes.iter().position(|&votes| votes == most && most > 0) {
                Some(device) => device as u32,
                None => (node * parts / count) as u32,
            }
        });
        let mut device: Vec<u32> = device.collect();
        let mut counts = Self::new(device.clone(), parts).counts;
        while count >= parts
            && let Some(empty) = counts.iter().position(|&count| count == 0)
            && let Some(fullest) = (0..parts).max_by_key(|&device| counts[device])
            && let Some(node) = device.iter().position(|&device| device as usize == fullest)
        {
            device[node] = empty as u32;
            counts[fullest] -= 1;
            counts[empty] += 1;
        }
        Self::new(device, parts)
    }

    /// The nodes of a device, in their order.
    fn of(&self, device: usize) -> Vec<u32> {
        let all = self.device.iter().enumerate();
        all.filter(|(_, of)| **of as usize == device).map(|(node, _)| node as u32).collect()
    }
}

/// A device's part of a graph.
#[derive(Debug)]
pub struct GraphPart {
    /// Its nodes with indices of their own; senders that it does not hold come after all that it holds.
    pub graph: Graph,
    /// The nodes of the boundary that it holds, by their places in the whole.
    pub boundary: Vec<u32>,
    pub peer: Peer,
}

impl Graph {
    /// Divides the graph among as many devices as `parts` says; `grid` says which of them holds each of the grid's nodes. The
    /// nodes of mesh and boundary go where their neighbours are. Edges keep their order, and so does what arrives at a node.
    pub fn divide(&self, grid: Vec<u32>, parts: usize) -> Vec<GraphPart> {
        let points = Held::new(grid.clone(), parts);
        let bottom = {
            let (g2m, m2g) = (&self.grid_to_mesh, &self.mesh_to_grid);
            let inside = g2m.senders.iter().zip(&g2m.receivers).filter(|(sender, _)| (**sender as usize) < grid.len());
            let (senders, receivers): (Vec<u32>, Vec<u32>) = inside.unzip();
            let neighbours = [
                (receivers.as_slice(), senders.as_slice(), &points),
                (m2g.senders.as_slice(), m2g.receivers.as_slice(), &points),
            ];
            Held::near(&neighbours, self.mesh[0].rows(), parts)
        };
        let mut mesh = vec![bottom];
        for (up, nodes) in self.mesh_up.iter().zip(self.mesh.iter().skip(1)) {
            let neighbours = [(up.receivers.as_slice(), up.senders.as_slice(), &mesh[mesh.len() - 1])];
            mesh.push(Held::near(&neighbours, nodes.rows(), parts));
        }
        let boundary = {
            let g2m = &self.grid_to_mesh;
            let outside = g2m.senders.iter().zip(&g2m.receivers);
            let outside =
                outside.filter_map(|(&sender, &receiver)| Some((sender.checked_sub(grid.len() as u32)?, receiver)));
            let (nodes, receivers): (Vec<u32>, Vec<u32>) = outside.unzip();
            Held::near(&[(&nodes, &receivers, &mesh[0])], self.boundary_nodes, parts)
        };
        // the boundary's nodes come after the grid's, here as in the whole
        let mut senders = Held::new(grid.iter().chain(&boundary.device).copied().collect(), parts);
        for node in grid.len()..senders.place.len() {
            let device = boundary.device[node - grid.len()] as usize;
            senders.place[node] = (points.counts[device] as u32) + boundary.place[node - grid.len()];
        }
        let peers = Peer::group(parts);
        let many = |sets: &[Edges], ends: &dyn Fn(usize) -> (usize, usize)| -> Vec<Vec<Edges>> {
            let divided = sets.iter().enumerate().map(|(level, edges)| {
                let (from, to) = ends(level);
                edges.divide(&mesh[from], &mesh[to], &peers)
            });
            transposed(divided.collect(), parts)
        };
        let g2m = self.grid_to_mesh.divide(&senders, &mesh[0], &peers);
        let m2g = self.mesh_to_grid.divide(&mesh[0], &points, &peers);
        let same = many(&self.mesh_to_mesh, &|level| (level, level));
        let up = many(&self.mesh_up, &|level| (level, level + 1));
        let down = many(&self.mesh_down, &|level| (level + 1, level));
        let sets = g2m.into_iter().zip(m2g).zip(same.into_iter().zip(up).zip(down));
        sets.zip(peers)
            .map(|(((grid_to_mesh, mesh_to_grid), ((mesh_to_mesh, mesh_up), mesh_down)), peer)| {
                let rank = peer.rank();
                let nodes = |(features, held): (&Features, &Held)| features.rows_at(&held.of(rank));
                let graph = Graph {
                    grid_nodes: points.counts[rank],
                    boundary_nodes: boundary.counts[rank],
                    mesh: self.mesh.iter().zip(&mesh).map(nodes).collect(),
                    grid_to_mesh,
                    mesh_to_grid,
                    mesh_to_mesh,
                    mesh_up,
                    mesh_down,
                };
                GraphPart { graph, boundary: boundary.of(rank), peer }
            })
            .collect()
    }
}

/// By set, then by device → by device, then by set.
fn transposed(sets: Vec<Vec<Edges>>, parts: usize) -> Vec<Vec<Edges>> {
    let mut all: Vec<Vec<Edges>> = (0..parts).map(|_| Vec::new()).collect();
    for set in sets {
        all.iter_mut().zip(set).for_each(|(part, edges)| part.push(edges));
    }
    all
}

impl Features {
    fn rows_at(&self, places: &[u32]) -> Self {
        let rows = places.iter().flat_map(|&place| &self.values[place as usize * self.width..][..self.width]);
        Self { width: self.width, values: rows.copied().collect() }
    }
}

impl Edges {
    /// Each device's edges: those that lead to nodes that it holds.
    fn divide(&self, senders: &Held, receivers: &Held, peers: &[Peer]) -> Vec<Self> {
        let parts = peers.len();
        let edges: Vec<Vec<u32>> = {
            let mut edges: Vec<Vec<u32>> = (0..parts).map(|_| Vec::new()).collect();
            for (edge, &receiver) in (0..).zip(&self.receivers) {
                edges[receivers.device[receiver as usize] as usize].push(edge);
            }
            edges
        };
        // for each device, whom it lacks: by device that holds it, then in order
        let lacking: Vec<Vec<u32>> = edges
            .iter()
            .enumerate()
            .map(|(rank, edges)| {
                let all = edges.iter().map(|&edge| self.senders[edge as usize]);
                let mut lacking: Vec<u32> =
                    all.filter(|&node| senders.device[node as usize] as usize != rank).collect();
                lacking.sort_unstable_by_key(|&node| (senders.device[node as usize], node));
                lacking.dedup();
                lacking
            })
            .collect();
        let from = |device: usize, lacking: &[u32]| -> Vec<u32> {
            let held = lacking.iter().filter(|&&node| senders.device[node as usize] as usize == device);
            held.map(|&node| senders.place[node as usize]).collect()
        };
        let part = |(edges, peer): (&Vec<u32>, &Peer)| {
            let rank = peer.rank();
            let give = (0..parts).map(|other| (other, from(rank, &lacking[other])));
            let take = (0..parts).map(|other| (other, from(other, &lacking[rank]).len()));
            let halo = Halo {
                peer: peer.clone(),
                give: give.filter(|(_, places)| !places.is_empty()).collect(),
                take: take.filter(|(_, count)| *count > 0).collect(),
            };
            let place = |&edge: &u32| {
                let node = self.senders[edge as usize];
                if senders.device[node as usize] as usize == rank {
                    return senders.place[node as usize];
                }
                let key = |&node: &u32| (senders.device[node as usize], node);
                // it is there: the list was made of these edges
                let behind = lacking[rank].binary_search_by_key(&key(&node), key).unwrap_or_default();
                (senders.counts[rank] + behind) as u32
            };
            Self {
                senders: edges.iter().map(place).collect(),
                receivers: edges.iter().map(|&e| receivers.place[self.receivers[e as usize] as usize]).collect(),
                features: self.features.rows_at(edges),
                halo: Some(halo),
            }
        };
        edges.iter().zip(peers).map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six points in a row, three mesh nodes with edges to both neighbours, one node of a boundary.
    fn graph() -> Graph {
        let edges = |pairs: &[[u32; 2]]| Edges {
            senders: pairs.iter().map(|pair| pair[0]).collect(),
            receivers: pairs.iter().map(|pair| pair[1]).collect(),
            features: Features::new(pairs.iter().map(|pair| [pair[0] as f32, pair[1] as f32]).collect()),
            halo: None,
        };
        Graph {
            grid_nodes: 6,
            boundary_nodes: 1,
            mesh: vec![Features::new(vec![[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])],
            grid_to_mesh: edges(&[[0, 0], [1, 0], [2, 1], [3, 1], [4, 2], [5, 2], [6, 2], [2, 0]]),
            mesh_to_grid: edges(&[[0, 0], [0, 1], [1, 2], [1, 3], [2, 4], [2, 5]]),
            mesh_to_mesh: vec![edges(&[[0, 1], [1, 0], [1, 2], [2, 1]])],
            mesh_up: vec![],
            mesh_down: vec![],
        }
    }

    #[test]
    fn parts_hold_every_node_and_edge_once() {
        let whole = graph();
        let parts = whole.divide(vec![0, 0, 0, 1, 1, 1], 2);
        let [first, second] = &parts[..] else { panic!("{} parts", parts.len()) };
        assert_eq!((first.graph.grid_nodes, second.graph.grid_nodes), (3, 3));
        // the middle node has as many neighbours on both sides: the first of them holds it
        assert_eq!((first.graph.mesh[0].rows(), second.graph.mesh[0].rows()), (2, 1));
        let none: &[u32] = &[];
        assert_eq!((first.boundary.as_slice(), second.boundary.as_slice()), (none, [0].as_slice()));
        assert_eq!(first.graph.grid_to_mesh.features.rows() + second.graph.grid_to_mesh.features.rows(), 8);
        first.graph.check(1, (2, 2)).unwrap();
        second.graph.check(1, (2, 2)).unwrap();
        // point 3 sends to the middle node, which lies elsewhere; the boundary's node comes after the second's three points
        assert_eq!(first.graph.grid_to_mesh.senders, [0, 1, 2, 3, 2]);
        assert_eq!(second.graph.grid_to_mesh.senders, [1, 2, 3]);
        assert_eq!(second.graph.grid_to_mesh.receivers, [0, 0, 0]);
        let halo = |edges: &Edges| edges.halo.as_ref().map(|halo| (halo.give.clone(), halo.take.clone()));
        assert_eq!(halo(&first.graph.grid_to_mesh), Some((vec![], vec![(1, 1)])));
        assert_eq!(halo(&second.graph.grid_to_mesh), Some((vec![(0, vec![0])], vec![])));
        assert_eq!(halo(&second.graph.mesh_to_grid), Some((vec![], vec![(0, 1)])));
    }
}

"""Mesh and edges as GraphCast makes them.

    python graphs.py OUT.npz --mesh 4 --resolution 2 [--radius 0.6]
    python graphs.py tests/fixtures/graphcast/graphs.json

Latitudes from -90 to 90, longitudes from 0, both float32; a grid point's index is latitude index × longitudes + longitude
index. In the archive `vertices` and `faces` (of all levels, one after another) are the mesh, `grid2mesh`, `mesh` and
`mesh2grid` the edges [2, edge], senders first, `radius` what a grid point reaches; `*_features` and `*_nodes` are what the
network is told of edges and nodes. The JSON holds many graphs by the SHA-256 of their edges alone: senders and receivers side
by side as little-endian uint32, sorted. Needs weathernext 0.3 (google-deepmind/graphcast) and xarray_jax 0.1.1 on PYTHONPATH.
"""

import argparse
import hashlib
import json
import pathlib

import haiku as hk
import numpy as np
import xarray as xr
from weathernext.utils import icosahedral_mesh
from weathernext.weathernext1_graph import graphcast

EDGES = ["grid2mesh", "mesh", "mesh2grid"]
# mesh, resolution, radius
KEPT = [(mesh, resolution, 0.6) for mesh in (2, 3, 4, 5) for resolution in (10, 5, 2, 1)]
KEPT += [(0, 15, 0.6), (1, 6, 0.9), (3, 4, 1.0), (4, 1.5, 0.75), (6, 1, 0.6), (6, 0.25, 0.6)]


def graph(mesh_size, resolution, radius):
    """All that the reference derives from the places of the grid, as arrays."""
    config = graphcast.ModelConfig(
        resolution=resolution, mesh_size=mesh_size, latent_size=1, gnn_msg_steps=1, hidden_layers=1,
        radius_query_fraction_edge_length=radius,
    )  # fmt: skip
    grid = xr.Dataset(coords=coordinates(resolution))

    def build():
        model = graphcast.GraphCast(config, graphcast.TASK_13)
        model._maybe_init(grid)
        return model

    model = hk.transform(build).apply({}, None)
    mesh = icosahedral_mesh.merge_meshes(model._meshes)
    arrays = {"vertices": mesh.vertices, "faces": mesh.faces, "radius": model._query_radius}
    for name in EDGES:
        edges = getattr(model, f"_{name}_graph_structure").edge_by_name(name)
        arrays[name] = np.stack([edges.indices.senders, edges.indices.receivers]).astype(np.int32)
        arrays[f"{name}_features"] = edges.features.astype(np.float32)
    for name in ["grid_nodes", "mesh_nodes"]:
        arrays[name] = model._grid2mesh_graph_structure.nodes[name].features.astype(np.float32)
    return arrays


def coordinates(resolution):
    """A global grid with both poles."""
    return {
        "lat": np.linspace(-90, 90, round(180 / resolution) + 1, dtype=np.float32),
        "lon": (np.arange(round(360 / resolution)) * resolution).astype(np.float32),
    }


def digest(edges):
    ordered = edges[:, np.lexsort(edges[::-1])].T
    return hashlib.sha256(np.ascontiguousarray(ordered, "<u4").tobytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--mesh", type=int, help="how often the icosahedron is refined")
    parser.add_argument("--resolution", type=float, help="degrees")
    parser.add_argument("--radius", type=float, default=0.6, help="of the longest edge of the finest mesh")
    args = parser.parse_args()
    if args.output.suffix != ".json":
        np.savez_compressed(args.output, **graph(args.mesh, args.resolution, args.radius))
        return
    kept = []
    for mesh, resolution, radius in KEPT:
        arrays = graph(mesh, resolution, radius)
        digests = {name: digest(arrays[name]) for name in EDGES}
        kept.append({"mesh_size": mesh, "resolution": resolution, "radius": radius, **digests})
    args.output.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()

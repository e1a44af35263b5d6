"""Graphs as Neural-LAM makes them, as raw arrays: `python graphs.py FOLDER`.

`FOLDER/cases.json` lists grids: {"nx", "ny", "spacing", "x0", "y0", "dtype", "hierarchical", "levels"}.
Case 0 goes to `FOLDER/0`: `xy` (float64, [nx * ny, 2]), and for each tensor that `create_graph` saves a file of its name:
`g2m_features` (float32), `g2m_edge_index` (uint32); of those with one tensor a level `m2m_features_0`, `m2m_features_1`, ..
All little-endian. Needs neural-lam 0.7.0.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from neural_lam.create_graph import create_graph


def grid(case: dict) -> np.ndarray:
    """Coordinates as a datastore gives them, [nx, ny, 2]."""
    x = case["x0"] + case["spacing"] * np.arange(case["nx"])
    y = case["y0"] + case["spacing"] * np.arange(case["ny"])
    return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).astype(case["dtype"])


def write(tensor: torch.Tensor, path: Path) -> None:
    tensor.numpy().astype("<f4" if tensor.is_floating_point() else "<u4").tofile(path)


def main() -> None:
    folder = Path(sys.argv[1])
    for number, case in enumerate(json.loads((folder / "cases.json").read_text())):
        out = folder / str(number)
        out.mkdir()
        xy = grid(case)
        xy.astype("<f8").tofile(out / "xy")
        with tempfile.TemporaryDirectory() as made:
            create_graph(made, xy, n_max_levels=case["levels"], hierarchical=case["hierarchical"])
            for file in Path(made).glob("*.pt"):
                saved = torch.load(file, weights_only=True)
                if isinstance(saved, torch.Tensor):
                    write(saved, out / file.stem)
                else:
                    for level, tensor in enumerate(saved):
                        write(tensor, out / f"{file.stem}_{level}")


if __name__ == "__main__":
    main()

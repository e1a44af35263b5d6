"""SFNO packages of any size with random weights, and analyses for them."""

import sys
import tomllib

from common import ROOT

ARCH = dict(
    grid="legendre-gauss", grid_internal="legendre-gauss", scale_factor=1, embed_dim=96, num_layers=4, in_chans=24, out_chans=24,
    normalization_layer="none", hard_thresholding_fraction=0.7, pos_embed="learnable lat", bias=True,
)  # fmt: skip


def make(folder, rows):
    """The bundled network's make on a grid of `rows` parallels: package and analysis in `folder`."""
    sys.path.insert(0, str(ROOT / "models/sfno"))
    import netCDF4
    import numpy as np
    import package

    folder.mkdir(parents=True)
    name, init = folder / f"sfno-{rows}", folder / "init.nc"
    package.write_random_package(name, ARCH | {"img_size": [rows, 2 * rows]}, seed=1)
    manifest = name / "model.toml"
    # a random network's states would grow; small tendencies do not
    text = manifest.read_text().replace('predicts = "state"', 'predicts = "tendency"')
    manifest.write_text(text.replace("std = 10.0", "std = 10.0\ndiff_std = 0.001"))
    grid = tomllib.loads(text)["grid"]
    random = np.random.default_rng(1)
    with netCDF4.Dataset(init, "w") as file:
        longitude = grid["longitude"]["first"] + grid["longitude"]["step"] * np.arange(grid["longitude"]["count"])
        for axis, units, values in [
            ("time", "hours since 2001-01-01", [0.0]),
            ("pressure", "hPa", np.arange(1.0, ARCH["out_chans"] + 1)),
            ("latitude", "degrees_north", grid["latitude"]),
            ("longitude", "degrees_east", longitude),
        ]:
            file.createDimension(axis, len(values))
            variable = file.createVariable(axis, "f8", (axis,))
            variable.units = units
            variable[:] = values
        field = file.createVariable("t", "f4", ("time", "pressure", "latitude", "longitude"))
        field.units, field.standard_name = "K", "air_temperature"
        field[:] = 250 + 10 * random.standard_normal(field.shape)
    return name, init

"""States as CF NetCDF files."""

import netCDF4
import numpy as np
from dataset import CHANNELS, LATITUDE, LEVELS, LONGITUDE

# name: standard name, units, packing step, packing offset
VARIABLES = {
    "u": ("eastward_wind", "m s-1", 0.02, 0.0),
    "v": ("northward_wind", "m s-1", 0.02, 0.0),
    "t": ("air_temperature", "K", 0.02, 250.0),
    "z": ("geopotential", "m2 s-2", 2.0, 62000.0),
    "sp": ("surface_air_pressure", "Pa", 2.0, 100000.0),
    "t_low": ("air_temperature", "K", 0.02, 250.0),
    "u_low": ("eastward_wind", "m s-1", 0.02, 0.0),
    "v_low": ("northward_wind", "m s-1", 0.02, 0.0),
}
SOURCE = "dinosaur dynamical core, T31 with 8 sigma layers, forcing of Held and Suarez (1994)"
COMMENT = (
    "An idealised dry planet without seasons, days, land or moisture. "
    "Its dates only number its hours; this is not the Earth's weather."
)


def write(path, title, states, hours=None, levels=LEVELS, variables=VARIABLES, packed=True):
    """Write states[time, channel, lat, lon] at hours since 2001, or one state without time."""
    with netCDF4.Dataset(path, "w") as file:
        file.Conventions = "CF-1.11"
        file.title, file.source, file.comment = title, SOURCE, COMMENT
        file.institution = "vejr authors"
        file.license = "Apache-2.0 OR MIT"
        file.references = "https://doi.org/10.1175/1520-0477(1994)075<1825:APFTIO>2.0.CO;2"

        def axis(name, values, **attributes):
            file.createDimension(name, len(values))
            variable = file.createVariable(name, "f8", (name,))
            variable.setncatts(attributes)
            variable[:] = values

        dims = ()
        if hours is not None:
            dims = ("time",)
            axis(
                "time",
                hours,
                standard_name="time",
                axis="T",
                units="hours since 2001-01-01 00:00:00",
                calendar="proleptic_gregorian",
            )
        axis(
            "pressure",
            levels,
            standard_name="air_pressure",
            axis="Z",
            units="hPa",
            positive="down",
        )
        axis("latitude", LATITUDE, standard_name="latitude", axis="Y", units="degrees_north")
        axis("longitude", LONGITUDE, standard_name="longitude", axis="X", units="degrees_east")
        if any(name.endswith("_low") for name in variables):
            layer = file.createVariable("model_level", "i4")
            layer.standard_name, layer.positive = "model_level_number", "down"
            layer.long_name = "number of the sigma layer, counted from the top; 8 is the lowest"
            layer[...] = 8

        for name in variables:
            standard_name, units, step, offset = VARIABLES[name]
            on_levels = name in "uvtz"
            shape = dims + (("pressure",) if on_levels else ()) + ("latitude", "longitude")
            chunk = [48 if d == "latitude" else 96 if d == "longitude" else 1 for d in shape]
            variable = file.createVariable(
                name,
                "i2" if packed else "f4",
                shape,
                zlib=True,
                complevel=9,
                shuffle=True,
                chunksizes=chunk,
                fill_value=-32768 if packed else np.float32(9.96921e36),
            )
            variable.standard_name, variable.units = standard_name, units
            if name.endswith("_low"):
                variable.coordinates = "model_level"
            if packed:
                variable.scale_factor, variable.add_offset = step, offset
            if on_levels:
                index = [CHANNELS.index(f"{name}{level}") for level in levels]
            else:
                index = CHANNELS.index(name)
            variable[:] = np.float64(states[..., index, :, :])


def read(path):
    """States and hours of a file that holds every channel."""
    with netCDF4.Dataset(path) as file:
        parts = [file[name][:] if name in "uvtz" else file[name][:][:, None] for name in VARIABLES]
        states = np.ma.filled(np.ma.concatenate(parts, axis=1), np.nan)
        return states.astype(np.float32), file["time"][:].filled()

"""Simulates a dry atmosphere under Held-Suarez forcing and writes 6-hourly states on pressure levels.

Held, I. M. and M. J. Suarez (1994), https://doi.org/10.1175/1520-0477(1994)075<1825:APFTIO>2.0.CO;2

Two planets are spun up from rest with different random perturbations. The first one is split into the training members
(tiny perturbations, then a stretch long enough to forget each other), the second one gives the test year.
Every member runs at the same time: one batch fills the processor better than one member after the other.

    python simulate.py OUTPUT_FOLDER --members 8 --days 365

Writes OUTPUT_FOLDER/train_{member}.npy and test.npy, float32 [time, channel, latitude, longitude], north to south,
and grid.npz with latitude, longitude (degrees) and the channels' names.
"""

import argparse
import dataclasses
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np
from dinosaur import (
    coordinate_systems,
    held_suarez,
    primitive_equations,
    primitive_equations_states,
    scales,
    sigma_coordinates,
    spherical_harmonic,
    time_integration,
    xarray_utils,
)

LEVELS_HPA = (200, 300, 500, 700, 850)
CHANNELS = [f"{name}{level}" for name in "uvtz" for level in LEVELS_HPA] + ["sp", "t_low", "u_low", "v_low"]
SPIN_UP_DAYS = 200
SPLIT_DAYS = 40
units = scales.units


def build(layers, minutes):
    """The model: one 6-hour step, initial states, and the states' fields on pressure levels."""
    coords = coordinate_systems.CoordinateSystem(
        horizontal=spherical_harmonic.Grid.T31(),
        vertical=sigma_coordinates.SigmaCoordinates.equidistant(layers),
    )
    specs = primitive_equations.PrimitiveEquationsSpecs.from_si()
    initial_state, features = primitive_equations_states.isothermal_rest_atmosphere(
        coords, specs, p0=1e5 * units.pascal, p1=5e3 * units.pascal
    )
    reference = features[xarray_utils.REF_TEMP_KEY]
    orography = primitive_equations.truncated_modal_orography(features[xarray_utils.OROGRAPHY], coords)
    dynamics = primitive_equations.PrimitiveEquations(reference, orography, coords, specs)
    forcing = held_suarez.HeldSuarezForcing(coords, specs, reference)
    equation = time_integration.compose_equations([dynamics, forcing])
    dt = specs.nondimensionalize(minutes * units.minute)
    # the scale-selective damping of the paper's own experiments: smallest scale in 0.1 days
    diffusion = time_integration.horizontal_diffusion_step_filter(
        coords.horizontal, dt, tau=specs.nondimensionalize(0.1 * units.day), order=4
    )
    step = time_integration.step_with_filters(time_integration.imex_rk_sil3(equation, dt), [diffusion])
    six_hours = time_integration.repeated(step, round(360 / minutes))

    grid = coords.horizontal
    to_metres_per_second = specs.dimensionalize(1.0, units.meter / units.second).magnitude
    to_kelvin = specs.dimensionalize(1.0, units.degK).magnitude
    to_geopotential = specs.dimensionalize(1.0, units.meter**2 / units.second**2).magnitude
    to_pascal = specs.dimensionalize(1.0, units.pascal).magnitude
    sigma = jnp.asarray(coords.vertical.centers)

    def fields(state):
        """State -> [channel, latitude (north to south), longitude], SI units."""
        diagnostic = primitive_equations.compute_diagnostic_state(state, coords)
        u, v = (c / grid.cos_lat * to_metres_per_second for c in diagnostic.cos_lat_u)
        t = (reference[:, None, None] + diagnostic.temperature_variation) * to_kelvin
        z = primitive_equations.get_geopotential(
            state.temperature_variation, reference, orography, coords.vertical, specs.g, specs.R
        )
        z = grid.to_nodal(z) * to_geopotential
        pressure = jnp.exp(grid.to_nodal(state.log_surface_pressure)) * to_pascal  # [1, lon, lat]
        targets = jnp.log(jnp.asarray(LEVELS_HPA) * 100.0)

        log_p = jnp.log(sigma[:, None, None] * pressure)
        # linear in log p, as a sum of clipped ramps from layer to layer: no search, so it runs as wide as the processor
        ramp = jnp.clip((targets[:, None, None, None] - log_p[:-1]) / (log_p[1:] - log_p[:-1]), 0.0, 1.0)
        on_levels = [x[0] + (ramp * (x[1:] - x[:-1])).sum(1) for x in (u, v, t, z)]
        out = jnp.concatenate(on_levels + [pressure, t[-1:], u[-1:], v[-1:]])
        return out.transpose(0, 2, 1)[:, ::-1].astype(jnp.float32)

    def initial(seed):
        return initial_state(rng_key=jax.random.PRNGKey(seed))

    latitude = np.degrees(np.arcsin(grid.nodal_axes[1]))[::-1]
    longitude = np.degrees(grid.nodal_axes[0])
    return initial, six_hours, fields, latitude, longitude


def stack(states):
    return jax.tree.map(lambda *x: jnp.stack(x), *states)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--members", type=int, default=8, help="training members")
    parser.add_argument("--days", type=int, default=365, help="days kept of each member")
    parser.add_argument("--layers", type=int, default=8, help="sigma layers")
    parser.add_argument("--minutes", type=float, default=40, help="time step")
    parser.add_argument("--seeds", type=int, nargs=3, default=(1, 2, 3), help="first planet, second planet, split")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    initial, six_hours, fields, latitude, longitude = build(args.layers, args.minutes)
    np.savez(args.output / "grid.npz", latitude=latitude, longitude=longitude, channels=CHANNELS)

    def run(days):
        """Jitted: `days` of all members, nothing kept."""
        return jax.jit(lambda s: jax.lax.fori_loop(0, 4 * days, lambda _, x: jax.vmap(six_hours)(x), s))

    started = time.time()

    def log(text):
        print(f"[{time.time() - started:7.0f} s] {text}", flush=True)

    two = run(SPIN_UP_DAYS)(stack([initial(args.seeds[0]), initial(args.seeds[1])]))
    jax.block_until_ready(two)
    log(f"spun up {SPIN_UP_DAYS} days")

    keys = jax.random.split(jax.random.PRNGKey(args.seeds[2]), args.members + 1)
    pick = [0] * args.members + [1]

    def split(i, key):
        state = jax.tree.map(lambda x: x[i], two)
        noise = 1.0 + 1e-3 * jax.random.normal(key, state.vorticity.shape)
        return dataclasses.replace(state, vorticity=state.vorticity * noise)

    states = run(SPLIT_DAYS)(stack([split(i, key) for i, key in zip(pick, keys)]))
    log(f"split into {args.members} training members and one for testing")

    names = [f"train_{m}" for m in range(args.members)] + ["test"]
    shape = (4 * args.days, len(CHANNELS), len(latitude), len(longitude))
    arrays = [
        np.lib.format.open_memmap(args.output / f"{name}.npy", "w+", np.float32, shape) for name in names
    ]

    @jax.jit
    def day(s):
        def body(s, _):
            s = jax.vmap(six_hours)(s)
            return s, jax.vmap(fields)(s)

        return jax.lax.scan(body, s, None, length=4)

    for d in range(args.days):
        states, out = day(states)
        out = np.asarray(out)  # [4, member, channel, lat, lon]
        if not np.isfinite(out).all():
            raise SystemExit(f"the simulation blew up on day {d}")
        for m, array in enumerate(arrays):
            array[4 * d : 4 * d + 4] = out[:, m]
        if d % 10 == 9:
            (args.output / "days").write_text(str(d + 1))
            log(f"day {d + 1} of {args.days}")
    for array in arrays:
        array.flush()


if __name__ == "__main__":
    main()

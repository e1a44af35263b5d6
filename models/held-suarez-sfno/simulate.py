"""Simulate an idealised dry planet (Held and Suarez, 1994) with the dinosaur dynamical core.

One run makes one trajectory: an isothermal atmosphere at rest with a random disturbance, a
spin-up that is thrown away, and the kept days.  The seed alone makes trajectories differ.

Each finished chunk is written as OUT/chunk<n>.npy, float32
[time, channel, latitude (north to south), longitude], one state every 6 hours.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

LEVELS = (200, 300, 500, 700, 850)  # hPa
CHANNELS = [f"{v}{p}" for v in "uvtz" for p in LEVELS] + ["sp", "t_low", "u_low", "v_low"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--days", type=int, default=1830, help="kept days")
    parser.add_argument("--spinup", type=int, default=200, help="days thrown away")
    parser.add_argument("--chunk", type=int, default=10, help="days in each file")
    parser.add_argument("--steps", type=int, default=6, help="time steps in 6 hours")
    args = parser.parse_args()

    import jax
    import jax.numpy as jnp
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

    units = scales.units
    coords = coordinate_systems.CoordinateSystem(
        spherical_harmonic.Grid.T31(), sigma_coordinates.SigmaCoordinates.equidistant(8)
    )
    specs = primitive_equations.PrimitiveEquationsSpecs.from_si()
    initial, aux = primitive_equations_states.isothermal_rest_atmosphere(
        coords, specs, p0=1e5 * units.pascal, p1=5e3 * units.pascal
    )
    t_ref = aux[xarray_utils.REF_TEMP_KEY]
    orography = coords.horizontal.to_modal(aux[xarray_utils.OROGRAPHY])

    dt = specs.nondimensionalize(6.0 / args.steps * units.hour)
    dynamics = primitive_equations.PrimitiveEquations(t_ref, orography, coords, specs)
    forcing = held_suarez.HeldSuarezForcing(coords, specs, t_ref, p0=1e5 * units.pascal)
    # Drag and relaxation act over days, so they are split from the dynamics and applied
    # exactly once per step; the drag on wind is the same factor on vorticity and divergence.
    drag = np.exp(-dt * forcing.kv())
    relaxation = 1.0 - np.exp(-dt * forcing.kt())

    def physics(_, state):
        to_nodal = coords.horizontal.to_nodal
        pressure = jnp.exp(to_nodal(state.log_surface_pressure))
        excess = to_nodal(state.temperature_variation) + t_ref[:, None, None]
        excess -= forcing.equilibrium_temperature(pressure)
        change = coords.horizontal.to_modal(relaxation * excess)
        return primitive_equations.State(
            vorticity=drag * state.vorticity,
            divergence=drag * state.divergence,
            temperature_variation=coords.horizontal.clip_wavenumbers(
                state.temperature_variation - change
            ),
            log_surface_pressure=state.log_surface_pressure,
        )

    diffusion = time_integration.horizontal_diffusion_step_filter(
        coords.horizontal, dt, specs.nondimensionalize(6 * units.hour), order=2
    )
    step = time_integration.step_with_filters(
        time_integration.imex_rk_sil3(dynamics, dt), [physics, diffusion]
    )
    six_hours = time_integration.repeated(step, args.steps)

    pascal = specs.dimensionalize(1.0, units.pascal).magnitude
    speed = specs.dimensionalize(1.0, units.m / units.s).magnitude
    kelvin = specs.dimensionalize(1.0, units.degK).magnitude
    log_sigma = np.log(coords.vertical.centers).astype(np.float32)

    def to_levels(fields, pressure):
        """Linear in log p, the outermost layers' slope beyond them."""
        want = jnp.log(jnp.array(LEVELS, jnp.float32)[:, None, None] * 100.0 / pressure)
        below = jnp.clip(jnp.searchsorted(log_sigma, want), 1, len(log_sigma) - 1)
        x = jnp.asarray(log_sigma)
        weight = (want - x[below - 1]) / (x[below] - x[below - 1])
        layer = jnp.arange(len(log_sigma))[:, None, None]
        matrix = weight[:, None] * (layer == below[:, None])
        matrix += (1.0 - weight[:, None]) * (layer == below[:, None] - 1)
        return jnp.einsum("plxy,flxy->fpxy", matrix, fields)

    def output(state):
        diagnostic = primitive_equations.compute_diagnostic_state(state, coords)
        cos_lat = coords.horizontal.cos_lat
        u = diagnostic.cos_lat_u[0] / cos_lat * speed
        v = diagnostic.cos_lat_u[1] / cos_lat * speed
        t = diagnostic.temperature_variation + t_ref[:, None, None]
        z = primitive_equations.get_geopotential_diff(t, coords.vertical, specs.R) * speed**2
        t = t * kelvin
        sp = jnp.exp(coords.horizontal.to_nodal(state.log_surface_pressure)) * pascal
        levels = to_levels(jnp.stack([u, v, t, z]), sp)
        levels = levels.reshape(-1, *levels.shape[2:])
        out = jnp.concatenate([levels, sp, t[-1:], u[-1:], v[-1:]])
        return jnp.flip(jnp.swapaxes(out, -1, -2), -2).astype(jnp.float32)

    def run_steps(state, length):
        return jax.lax.scan(lambda s, _: ((s := six_hours(s)), output(s)), state, None, length)

    def skip_steps(state, length):
        return jax.lax.scan(lambda s, _: (six_hours(s), None), state, None, length)[0]

    run = jax.jit(lambda s: run_steps(s, 4 * args.chunk))
    skip = jax.jit(lambda s: skip_steps(s, 4 * args.chunk))

    args.out.mkdir(parents=True, exist_ok=True)
    state = initial(jax.random.PRNGKey(args.seed))
    start = time.time()
    for n in range(args.spinup // args.chunk):
        state = jax.block_until_ready(skip(state))
        print(f"spin-up day {(n + 1) * args.chunk}, {time.time() - start:.0f} s", flush=True)
    for n in range(args.days // args.chunk):
        state, out = run(state)
        out = np.asarray(out)
        if not np.isfinite(out).all():
            raise SystemExit("the simulation became unstable")
        # Renamed when complete, because training may read while this runs.
        np.save(args.out / "part.npy", out)
        os.replace(args.out / "part.npy", args.out / f"chunk{n:03d}.npy")
        print(f"day {(n + 1) * args.chunk}, {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()

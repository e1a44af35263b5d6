"""Draw the spread of an ensemble and the error of its mean: ensemble.py FORECAST SCORES.json CLIMATOLOGY.nc OUT.png

Prints the model card's table. Means are weighted by area. Climatology is that of the members themselves around
CLIMATOLOGY.nc in the last days: what the spread would saturate at if they had nothing in common any more.
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

PANELS = {
    ("z", 500): ("geopotential at 500 hPa", "m² s⁻²"),
    ("t", 850): ("temperature at 850 hPa", "K"),
    ("u", 200): ("zonal wind at 200 hPa", "m s⁻¹"),
    ("v", 500): ("meridional wind at 500 hPa", "m s⁻¹"),
    ("sp", None): ("surface pressure", "Pa"),
}
# Of the table.
DAYS = [0, 1, 3, 5, 10, 20, 30, 45]


def at(data, level):
    return data if level is None else data.sel(pressure=level)


def main():
    forecast, scores, climatology, out = sys.argv[1:]
    members = xr.open_zarr(forecast).isel(reference_time=0)
    statistics = xr.open_zarr(forecast + "/statistics").isel(reference_time=0)
    climate = xr.open_dataset(climatology, engine="netcdf4")
    scores = json.load(open(scores))["scores"]
    days = members.lead_time.values / 24
    area = np.cos(np.radians(members.latitude))
    mean = lambda field: field.weighted(area).mean(("latitude", "longitude"))
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.5), layout="constrained", sharex=True)
    rows = []
    for axis, ((name, level), (title, units)) in zip(axes.flat, PANELS.items()):
        spread = np.sqrt(mean(at(statistics[f"{name}_spread"], level) ** 2)).values
        normal = at(climate[name], level).isel(time=0).values
        # the members' anomalies in the last ten days: all of what the model makes of its climate
        late = at(members[name].sel(lead_time=slice((days[-1] - 10) * 24, None)), level)
        anomaly = float(np.sqrt(mean(((late - normal) ** 2).mean(("lead_time", "member")))))
        text = "surface" if level is None else f"{level}hPa"
        mine = [s for s in scores if s["variable"] == name and s["level"] == text and "ensemble" in s]
        lead = [s["lead_hours"] / 24 for s in mine]
        axis.axhline(anomaly, ls="--", color="0.45", label="standard deviation of the climate")
        axis.plot(lead, [s["rmse"] for s in mine], color="tab:orange", label="RMSE of the control")
        axis.plot(lead, [s["ensemble"]["mean_rmse"] for s in mine], color="tab:blue", label="RMSE of the mean")
        axis.plot(lead, [s["ensemble"]["crps_fair"] for s in mine], color="tab:green", label="CRPS, fair")
        axis.plot(days, spread, color="k", lw=2, label="spread")
        axis.set_title(title, fontsize=10)
        axis.set_ylabel(units)
        axis.set_yscale("log")
        axis.grid(alpha=0.3, which="both")
        pick = [4 * day for day in DAYS]
        rows.append((f"{name}{level or ''}, {units}", [spread[k] for k in pick], anomaly))
    axes.flat[0].legend(frameon=False, fontsize=8)
    axis = axes.flat[5]
    for name, level in PANELS:
        text = "surface" if level is None else f"{level}hPa"
        mine = [s for s in scores if s["variable"] == name and s["level"] == text and "ensemble" in s]
        axis.plot([s["lead_hours"] / 24 for s in mine], [s["ensemble"]["spread_skill"] for s in mine], label=f"{name}{level or ''}")
    axis.set_title("spread over RMSE of the mean", fontsize=10)
    axis.set_yscale("log")
    axis.axhline(1.0, ls=":", color="0.3")
    axis.legend(frameon=False, fontsize=8)
    axis.grid(alpha=0.3, which="both")
    for axis in axes[1]:
        axis.set_xlabel("lead time, days")
        axis.set_xlim(0, days[-1])
    figure.suptitle(f"{members.sizes['member']} members from one analysis, area-weighted")
    figure.savefig(out, dpi=110)
    print("| spread of | start | " + " | ".join(f"day {day}" for day in DAYS[1:]) + " | climate |")
    print("|---" * (len(DAYS) + 2) + "|")
    for name, spread, anomaly in rows:
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in spread) + f" | {anomaly:.3g} |")


if __name__ == "__main__":
    main()

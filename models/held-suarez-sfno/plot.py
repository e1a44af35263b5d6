"""Draw PACKAGE/scores.json as PACKAGE/scores.png and print the model card's table."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

PANELS = {
    "z500": ("geopotential at 500 hPa", "m² s⁻²"),
    "t850": ("temperature at 850 hPa", "K"),
    "u200": ("zonal wind at 200 hPa", "m s⁻¹"),
    "v500": ("meridional wind at 500 hPa", "m s⁻¹"),
    "sp": ("surface pressure", "Pa"),
}


def main():
    package = Path(sys.argv[1])
    scores = json.loads((package / "scores.json").read_text())
    days = np.array(scores["hours"]) / 24
    rmse = {k[5:]: np.array(v) for k, v in scores.items() if k.startswith("rmse_")}
    acc = np.array(scores["acc"])
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.5), layout="constrained", sharex=True)
    for axis, (name, (title, units)) in zip(axes.flat, PANELS.items()):
        i = scores["channels"].index(name)
        axis.plot(days, rmse["climatology"][:, i], "--", color="0.45", label="climatology")
        axis.plot(days, rmse["persistence"][:, i], color="tab:orange", label="persistence")
        axis.plot(days, rmse["model"][:, i], color="tab:blue", lw=2, label="model")
        axis.set_title(f"RMSE of {title}", fontsize=10)
        axis.set_ylabel(units)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes.flat[0].legend(frameon=False)
    axis = axes.flat[5]
    axis.plot(days, acc[:, scores["channels"].index("z500")], color="tab:blue", lw=2)
    axis.axhline(0.6, ls=":", color="0.3")
    axis.set_title("anomaly correlation of z500", fontsize=10)
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.3)
    for axis in axes[1]:
        axis.set_xlabel("lead time, days")
        axis.set_xlim(0, 10)
    figure.suptitle(f"{scores['forecasts']} forecasts of the test year, area-weighted")
    figure.savefig(package / "scores.png", dpi=110)

    print("| | 6 h | day 1 | day 3 | day 5 | day 7 | day 10 | climatology |")
    print("|---|---|---|---|---|---|---|---|")
    leads = [0] + [4 * d - 1 for d in (1, 3, 5, 7, 10)]
    for name, (_, units) in PANELS.items():
        i = scores["channels"].index(name)
        for kind in ("model", "persistence"):
            cells = " | ".join(f"{rmse[kind][k, i]:.3g}" for k in leads)
            print(f"| {name} {kind}, {units} | {cells} | {rmse['climatology'][:, i].mean():.3g} |")
    for name in ("z500", "t850"):
        i = scores["channels"].index(name)
        print(f"| ACC of {name} | " + " | ".join(f"{acc[k, i]:.3f}" for k in leads) + " | |")


if __name__ == "__main__":
    main()

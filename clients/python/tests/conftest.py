"""A real server of the bundled model, on a free port of this machine.

`VEJR_BIN` names the program; without it, it is the repository's `target/release/vejr`.
"""

import os
import pathlib
import re
import subprocess

import pytest
import vejr

ROOT = pathlib.Path(os.environ.get("VEJR_ROOT", pathlib.Path(__file__).resolve().parents[3]))
MODEL = "held-suarez-sfno"
SAMPLE = ROOT / "data-samples/held-suarez-init.nc"


class Site:
    """A store, a ledger and their server, which may be stopped and started again at the same address."""

    def __init__(self, folder: pathlib.Path, init: str = str(SAMPLE)):
        self.folder, self.init, self.address, self.process = folder, init, "127.0.0.1:0", None

    def start(self):
        configuration = self.folder / "vejr.toml"
        configuration.write_text(
            f'store = "{self.folder}/forecasts"\nlisten = "{self.address}"\nmodels = ["{ROOT}/models"]\n'
            f'[runs]\nledger = "sqlite:{self.folder}/ledger.sqlite"\ndevices = ["cpu"]\nlease = "2s"\n'
            f'[[inputs]]\nmodel = "{MODEL}"\ninit = ["{self.init}"]\n'
        )
        program = os.environ.get("VEJR_BIN", str(ROOT / "target/release/vejr"))
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--config", str(configuration)], stdout=subprocess.PIPE, stderr=log, text=True
            )
        line = self.process.stdout.readline()
        found = re.search(r"http://([^/]+)/", line)
        assert found, f"the server does not say where it serves: {line}{(self.folder / 'log').read_text()}"
        self.address = found[1]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    site.start()
    yield site
    site.kill()


@pytest.fixture(scope="session")
def client(site):
    with vejr.Client(site.address) as client:
        yield client


@pytest.fixture(scope="session")
def forecast(client):
    """Two days of the bundled model, complete."""
    return client.request(MODEL, "2d", reference_time="2001-01-01T00:00", wait=True)

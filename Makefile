# make demo   forecast with the bundled model and look at it
# make test   everything that must hold before a change lands
SHELL := /bin/bash
CARGO ?= cargo
# cmake and node may come from a folder of our own, see deploy/build-tools.sh
export PATH := $(CURDIR)/.tools/bin:$(PATH)

.PHONY: demo build cuda test bench skill clean build-tools test-tools grib-tools

demo: build
	target/release/vejr demo

build: build-tools
	$(CARGO) build --release --locked

# for NVIDIA GPUs, too: deploy/cuda.md
cuda:
	@deploy/cuda-build.sh

test: build-tools test-tools grib-tools
	tests/run.sh

# time and memory against the reference implementations, in one run
bench: build test-tools
	.venv/bin/python -m pip install --quiet -r models/sfno/requirements.txt -r models/neural-lam/requirements.txt
	.venv/bin/python benches/sfno.py
	.venv/bin/python benches/limited_area.py
	.venv/bin/python benches/limited_area.py --model hi_lam
	.venv/bin/python benches/ingest.py --rounds 3
	@if .venv/bin/python -c 'import weathernext, xarray_jax' 2>/dev/null; then .venv/bin/python benches/graphcast.py; \
		else echo 'GraphCast: not measured, its reference is not installed (models/graphcast/README.md)'; fi
	@if .venv/bin/python -c 'import xpublish_tiles, xpublish_edr' 2>/dev/null; then .venv/bin/python benches/tiles.py; \
		else echo 'tiles and points: not measured, xpublish-tiles and xpublish-edr are not installed (benches/tiles.py)'; fi

# scores of the bundled model on its test year
skill: build
	models/held-suarez-sfno/skill.sh

build-tools:
	@deploy/build-tools.sh

test-tools:
	@tests/tools.sh

# ECMWF's ecCodes, for GRIB
grib-tools:
	@deploy/grib-tools.sh

clean:
	$(CARGO) clean
	rm -rf .tools .venv

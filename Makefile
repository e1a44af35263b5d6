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

# what vejr costs, beside the reference implementations: benches/RESULTS.md; `make bench BENCH="--only sfno,tiles"`
bench: build test-tools
	$(CARGO) bench --locked --no-run --bench ingest --bench kernels --bench limited_area_scale --bench tiles
	.venv/bin/python -m pip install --quiet -r benches/requirements.txt
	.venv/bin/python benches/run.py $(BENCH)

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

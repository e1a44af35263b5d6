#!/usr/bin/env bash
# Installs what the tests use: real clients in Python (.venv), and Debian's Chromium for the map page.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null && as_root="sudo -n" || as_root="none"
fi
updated=""
package() { # package NAME...: from Debian or Ubuntu, where that is allowed
    [ "$as_root" != none ] && command -v apt-get >/dev/null || return 1
    [ -n "$updated" ] || { $as_root apt-get update -qq && updated=yes; }
    echo "installing $* (Debian package)"
    $as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if [ ! -x .venv/bin/python ] || ! cmp -s tests/requirements.txt .venv/requirements.txt; then
    command -v python3 >/dev/null || package python3
    python3 -c 'import ensurepip' 2>/dev/null || package python3-venv
    echo "installing Python clients for the tests into .venv"
    python3 -m venv .venv
    .venv/bin/pip install --quiet -r tests/requirements.txt
    # the validator of the exchange format asks for a newer Python than Debian 12 has, and runs on it all the same
    .venv/bin/pip install --quiet --no-deps --ignore-requires-python mlwp-data-specs==0.1.0
    # for OGC's schemas, which come with its tests; nothing of it is run
    .venv/bin/pip install --quiet --no-deps MapProxy==7.0.0
    cp tests/requirements.txt .venv/requirements.txt
fi
# Ubuntu's package chromium only fetches a snap, which does not start in a container: the browser test says so and skips
command -v chromium >/dev/null || package chromium || echo "no Chromium could be installed: the browser test will be skipped"
[ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || package postgresql || echo "no PostgreSQL could be installed: ledgers will be tested in files only"
command -v cdo >/dev/null || package cdo || echo "no cdo could be installed: regridding will not be compared with it"
# its daemons are started by the tests, with a configuration of their own
command -v slurmctld >/dev/null || package slurmctld slurmd slurm-client munge || echo "no Slurm could be installed: workers as its jobs will not be tested"
command -v gdalinfo >/dev/null || package gdal-bin || echo "no GDAL could be installed: WMS and XYZ will not be read with it"

#!/usr/bin/env bash
# Measures clusterd beside the machine's limits and beside other systems, and prints one table with
# the goals.
#   tests/bench/run.sh             installs what is missing, builds the `release` preset
#   tests/bench/run.sh --short     few jobs, one round, only what needs no further packages
#   --rounds N                     instead of five
#   --json FILE, --markdown FILE   write the figures, and the tables of docs/performance.md
# Where $CLUSTERD and $CLUSTERD_BENCH_PROGRAMS (the folder of spawn_loop) are set, nothing is built.
set -euo pipefail
bench="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$bench/../.." && pwd)"

short=false
options=()
while (( $# > 0 )); do
  case "$1" in
    --short)
      short=true
      options+=(--short)
      ;;
    --rounds | --json | --markdown)
      if (( $# < 2 )); then
        echo "run.sh: $1 needs a value" >&2
        exit 64
      fi
      options+=("$1" "$2")
      shift
      ;;
    *)
      echo "usage: tests/bench/run.sh [--short] [--rounds N] [--json FILE] [--markdown FILE]" >&2
      exit 64
      ;;
  esac
  shift
done

if ! $short; then bash "$root/tests/install_packages.sh" program test bench; fi
if [[ -z "${CLUSTERD:-}" || -z "${CLUSTERD_BENCH_PROGRAMS:-}" ]]; then
  cd "$root"
  export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1
  cmake --preset release -DCLUSTERD_TESTS=ON >&2
  cmake --build --preset release --target bench_programs >&2
  cd - > /dev/null # where --json and --markdown mean their files
  export CLUSTERD="$root/build/release/clusterd"
  export CLUSTERD_BENCH_PROGRAMS="$root/build/release/tests/bench"
fi
# Not /tmp, which may be memory: what is durable has to wait for a disk.
export TMPDIR="${TMPDIR:-/var/tmp}" PYTHONDONTWRITEBYTECODE=1

python=/usr/bin/python3 # Debian's
if [[ ! -x "$python" ]]; then python=python3; fi
exec "$python" "$bench/compare.py" "${options[@]}"

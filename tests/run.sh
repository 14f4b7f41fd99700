#!/usr/bin/env bash
# Installs what is missing, builds the `dev` preset and runs its tests.
#   tests/run.sh          everything but the tests labelled `long`
#   tests/run.sh --full   those too (some in a real browser), AddressSanitizer, ThreadSanitizer,
#                         clang-tidy, script checks, fuzzers, the packages and counts of instructions
# Ends with CTest's summary; fails where a test leaves a process behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

full=false
case "${1:-}" in
  '') ;;
  --full) full=true ;;
  *)
    echo "usage: tests/run.sh [--full]" >&2
    exit 64
    ;;
esac

# The same sources in another folder are the same to ccache.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

groups=(program test)
if $full; then groups+=(full); fi
bash tests/install_packages.sh "${groups[@]}"

# Whatever the tests make is below this folder, so that what they leave running can be told by it.
# Short, because the path of a Unix socket has at most 107 bytes.
scratch="$(mktemp -d /tmp/ctest.XXXXXX)"
trap 'rm -rf "$scratch"' EXIT
status=0

# build PRESET [ARGUMENT…]
build() {
  local preset="$1"
  shift
  cmake --preset "$preset" -DCLUSTERD_TESTS=ON > "$scratch/configure.log" \
    || { cat "$scratch/configure.log"; return 1; }
  cmake --build --preset "$preset" "$@"
}

# Names each living process that was started by this run, or runs, works or prints in its folder.
left_behind() {
  local pid
  for pid in $({ grep -lzxF "TMPDIR=$scratch/tmp" /proc/[0-9]*/environ
                 find /proc/[0-9]*/{cwd,exe,fd/0,fd/1,fd/2} -maxdepth 0 -lname "$scratch/*"
               } 2> /dev/null | cut -d / -f 3 | sort -un); do
    echo "$pid: $({ tr '\0' ' ' < "/proc/$pid/cmdline"; } 2> /dev/null)"
  done
}

failure() {
  echo "FAILED: $*"
  status=1
}

# run_tests PRESET [CTEST-ARGUMENT…]
run_tests() {
  local preset="$1" survivors='' try
  shift
  mkdir -p "$scratch/tmp"
  TMPDIR="$scratch/tmp" ctest --preset "$preset" --output-on-failure --parallel "$(nproc)" "$@" \
    < /dev/null || status=1
  for (( try = 0; try < 20; try++ )); do  # what is on its way out may take a moment
    survivors="$(left_behind)"
    if [[ -z "$survivors" ]]; then break; fi
    sleep 0.1
  done
  if [[ -n "$survivors" ]]; then failure "left behind by the tests of $preset:" $'\n'"$survivors"; fi
  rm -rf "$scratch/tmp"
}

if $full; then
  shellcheck .ci/run tests/*.sh tests/*/*.sh examples/*.sh examples/*/*.sh examples/deploy/*/*.sh \
    src/cmake/packaging/debian/p* || failure shellcheck
  build tidy || failure clang-tidy
  for preset in asan tsan; do
    if build "$preset"; then run_tests "$preset" --label-exclude browser; else failure "build of $preset"; fi
  done
  if compgen -G 'tests/fuzz/*_fuzz.cc' > /dev/null; then
    build fuzz || failure 'build of fuzz'
    for fuzzer in build/fuzz/tests/fuzz/*_fuzz; do
      name="${fuzzer##*/}"
      mkdir -p "$scratch/corpus"
      known="tests/fuzz/corpus/${name%_fuzz}"
      if [[ ! -d "$known" ]]; then known=''; fi
      "$fuzzer" -max_total_time=10 -artifact_prefix=build/fuzz/ "$scratch/corpus" ${known:+"$known"} \
        || failure "$name"
      rm -rf "$scratch/corpus"
    done
  fi
  build dev  # is upgraded to
  if build release --target packages hot_paths; then
    run_tests release --tests-regex '^(packages|hardened|e2e: two builds|bench: instruction counts)$'
  else
    failure 'build of the packages'
  fi
fi

build dev
if $full; then run_tests dev; else run_tests dev --label-exclude long; fi
exit "$status"

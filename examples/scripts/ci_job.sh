#!/usr/bin/env bash
# Fetches one commit and runs the program `ci` in its top folder:  ci_job.sh REPOSITORY COMMIT
# The copy lies in the job's scratch folder and goes with it.
set -euo pipefail
repository="$1" commit="$2"
cd "$CLUSTERD_SCRATCH"
git init --quiet
git fetch --quiet --depth 1 "$repository" "$commit"
git -c advice.detachedHead=false checkout --quiet FETCH_HEAD
git log -1 --format='testing %s'
./ci
echo "passed"

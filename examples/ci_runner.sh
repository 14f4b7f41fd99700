#!/usr/bin/env bash
# Tests the newest commit of a branch on any worker:  ci_runner.sh REPOSITORY [BRANCH]
# Prints the output and exits as the test does. Call it from a hook, or every minute: a commit that
# was tested is not tested again, its output is shown once more.
set -euo pipefail
repository="$1" branch="${2:-main}"
read -r commit _ < <(git ls-remote "$repository" "refs/heads/$branch") \
  || { echo "ci_runner: $repository has no branch $branch" >&2; exit 66; }
exec clusterd run --request-id "ci-$commit" --name ci --label "commit=${commit:0:12}" \
  --timeout 30m --command bash ci_job.sh "$repository" "$commit"

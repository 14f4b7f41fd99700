#!/usr/bin/env bash
# Works until it is asked to stop, then tidies up:  clusterd job stop JOB-ID
tidy_up() {
  echo "asked to stop: tidying up"
  kill "$step" 2> /dev/null
  exit 0
}
trap tidy_up TERM
echo "working"
while true; do
  sleep 1 &
  step=$!
  wait "$step"
done

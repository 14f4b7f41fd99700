#!/usr/bin/env bash
# Has the cluster make a report each night, however often this is run:
#   nightly_schedule.sh FOLDER [TIME_ZONE]
# What was missed while no scheduler was there is made up for until the morning. Where the worker is
# lost or the script fails, it is tried again, three times in all.
set -euo pipefail
exec clusterd schedule create nightly-report --replace --cron "7 2 * * *" \
  --time-zone "${2:-UTC}" --catch-up last --catch-up-within 6h \
  --name nightly-report --timeout 1h --max-attempts 3 --backoff 5m nightly_report.rb "$1"

#!/usr/bin/env bash
# Starts one report a day, however often and on however many machines it is called:
#   nightly_report.sh FOLDER
# For cron:  7 2 * * *  nightly_report.sh /srv/data
# Where the worker is lost or the script fails, it is tried again, three times in all.
set -euo pipefail
exec clusterd job start --request-id "nightly-report-$(date -u +%F)" --name nightly-report \
  --timeout 1h --max-attempts 3 --backoff 5m nightly_report.rb "$1"

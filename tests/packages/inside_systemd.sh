#!/usr/bin/env bash
# Runs in a Debian with the package installed and systemd running; see package_test.py. Says what it
# does, and at the end "all held".
set -euxo pipefail
trap 'systemctl status --no-pager "clusterd-*"; journalctl --no-pager -n 100' ERR
export LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin

within() { # within SECONDS COMMAND…: tries until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS > end)); then
      return 1
    fi
    sleep 0.2
  done
}
worker_is_alive() { clusterd cluster status | grep -Eq 'ALIVE +1'; }
runs() { clusterd job query "$1" | grep -Eq 'state +RUNNING'; }
main_pid() { systemctl show --value -p MainPID "$1"; }

cat > /var/lib/clusterd/scripts/gated.sh << 'SCRIPT'
echo begun as "$(id -un)"
until [ -e "/tmp/$1" ]; do sleep 0.1; done
echo done
exit 37
SCRIPT
chmod 755 /var/lib/clusterd/scripts/gated.sh

systemctl start clusterd-scheduler clusterd-worker
within 60 worker_is_alive
clusterd doctor || [ $? = 1 ]

# A job, as the jobs' user and not the service's.
touch /tmp/first
[ "$(clusterd run -q --command sh gated.sh first | head -n 1)" = "begun as clusterd-jobs" ]

# Its entries in the journal have fields of their own.
within 30 sh -c 'journalctl -q --no-pager -u clusterd-worker CLUSTERD_COMPONENT=worker | grep -q .'

# A restart of the worker's service leaves its jobs, limited ones too, where limits can be had.
limits=()
if grep -qw memory /sys/fs/cgroup/cgroup.controllers; then limits=(--limit-memory 64MiB); fi
job="$(clusterd job start "${limits[@]}" --command sh gated.sh second)"
within 30 runs "$job"
before="$(main_pid clusterd-worker)"
systemctl restart clusterd-worker
[ "$(main_pid clusterd-worker)" != "$before" ]
within 60 worker_is_alive
runs "$job"
touch /tmp/second
[ "$(clusterd job wait "$job" > /dev/null && echo 0 || echo $?)" = 37 ]

# An upgrade of the package keeps the job, its status and its output.
job="$(clusterd job start --command sh gated.sh third)"
within 30 runs "$job"
before="$(main_pid clusterd-scheduler)"
dpkg -i /newer.deb
[ "$(main_pid clusterd-scheduler)" != "$before" ]
within 60 worker_is_alive
runs "$job"
touch /tmp/third
[ "$(clusterd job wait "$job" > /dev/null && echo 0 || echo $?)" = 37 ]
[ "$(clusterd job logs "$job" | tail -n 1)" = "done" ]

# Purged, nothing of it runs, and nothing is left; the caller looks for files.
job="$(clusterd job start --command sh gated.sh never)"
within 30 runs "$job"
dpkg --purge clusterd
if pgrep -l 'clusterd|gated'; then exit 1; fi
if systemctl --no-legend --all list-units 'clusterd*' | grep -w active; then exit 1; fi
left="$(find / -xdev \( -nouser -o -nogroup -o -path '*clusterd*' \) -not -path '/proc/*' \
  -not -path '/newer.deb' -not -path '/clusterd.deb' -not -path '/var/cache/*' \
  -not -path '/var/log/*' -not -path '/tmp/*' 2> /dev/null | head -n 20)"
[ -z "$left" ] || { echo "left: $left"; exit 1; }
echo "all held"

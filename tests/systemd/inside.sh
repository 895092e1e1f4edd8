#!/bin/bash
# inside.sh - the tests of the units, run as root in a booted system with fcached in /usr/local and its
# user. Prints `ok NAME` or `FAIL NAME` for each test. `--list` prints the names. Each test is a
# function, run in a shell of its own under `set -e`, in the order below. Each starts with a stopped
# service and a listening socket; `reset` removes its changes.
set -uo pipefail
SOCKET=/run/fcached/fcached.sock
CONF=/etc/fcached/fcached.conf
DROP=/run/systemd/system/fcached.service.d
TESTS=(
  units_verify_without_findings
  service_exposure_is_within_the_threshold
  socket_first_client_activates_the_service
  start_returns_once_it_serves
  start_with_wrong_options_fails
  service_runs_as_its_own_user
  socket_has_mode_and_group
  socket_group_of_a_drop_in_stays
  socket_other_users_are_refused
  configuration_file_is_used
  options_typo_is_mended_by_one_restart
  options_typo_under_load_is_mended_by_one_restart
  options_beyond_memory_are_mended_by_one_restart
  options_with_other_socket_are_refused
  reload_reopens_the_trace
  reload_applies_the_configuration
  reload_of_a_mistake_fails_and_changes_nothing
  template_instance_is_a_daemon_of_its_own
  trace_of_client_is_below_the_log_directory
  watchdog_healthy_daemon_runs_on
  watchdog_stopped_daemon_is_restarted
  killed_daemon_is_restarted
  stop_is_clean_and_keeps_the_socket
  shutdown_by_command_is_clean
  user_units_activate_and_stop
  killed_daemon_keeps_its_entries
  restart_keeps_its_entries
  restart_with_another_size_keeps_its_entries
  stop_and_start_reads_the_snapshot
  state_directory_is_private
  descriptor_store_is_flat_over_twenty_restarts
  crash_loop_is_bounded
  user_service_keeps_its_entries
  exporter_serves_metrics_without_rights
  tier_is_closed_without_the_drop_in
  tier_drop_in_opens_the_tier_alone
  tier_on_a_unix_socket_needs_its_group_alone
)
[ "${1:-}" != --list ] || {
  printf '%s\n' "${TESTS[@]//_/ }"
  exit
}
[ $# = 0 ] || TESTS=("$@") # only these

# shellcheck source=tests/systemd/lab_functions.sh
. "$(dirname "$0")/lab_functions.sh"
export FCACHE_SOCKET=$SOCKET
ping() { fcachectl ping; }
differs() { # differs PROPERTY VALUE: of the service
  local now
  now=$(show "$1")
  [ -n "$now" ] && [ "$now" != 0 ] && [ "$now" != "$2" ]
}
conf() { # conf LINE...: the configuration file
  mkdir -p /etc/fcached
  printf '%s\n' "$@" >$CONF
}
# has_max_bytes BYTES: the daemon at $FCACHE_SOCKET. grep reads to the end: fcachectl reports a closed pipe.
has_max_bytes() { fcachectl stats --json | grep -E "\"max_bytes\": ?$1\b" >/dev/null; }
drop() { # drop LINE...: for the [Service] section
  mkdir -p $DROP
  { echo '[Service]' && printf '%s\n' "$@"; } >$DROP/test.conf
  systemctl daemon-reload
}
reset() {
  systemctl stop fcached.socket fcached.service 'fcached@*'
  rm -rf $DROP /run/systemd/system/fcached.socket.d /etc/fcached /var/lib/fcached /var/lib/fcached-* /var/log/fcached-*
  systemctl daemon-reload
  systemctl reset-failed
  systemctl start fcached.socket
} >/dev/null 2>&1

units_verify_without_findings() {
  local user=/usr/local/lib/systemd/user
  # A minimal system has no manual pages. XDG_RUNTIME_DIR as after a login.
  systemd-analyze --man=no verify fcached.service fcached.socket fcached@team.service fcached@team.socket \
    fcached-exporter.service
  XDG_RUNTIME_DIR=/run systemd-analyze --man=no --user verify $user/fcached.service $user/fcached.socket
  cp $user/fcached@.service /tmp/fcached@team.service
  cp $user/fcached@.socket /tmp/fcached@team.socket
  XDG_RUNTIME_DIR=/run systemd-analyze --man=no --user verify /tmp/fcached@team.service /tmp/fcached@team.socket
}
service_exposure_is_within_the_threshold() {
  systemd-analyze security --offline=true --threshold=10 --no-pager \
    /usr/local/lib/systemd/system/fcached.service
}
# Bash's own HTTP client: a minimal system has no other.
scrape() {
  exec 9<>/dev/tcp/127.0.0.1/9121 || return
  printf 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n' >&9
  cat <&9
}
exporter_serves_metrics_without_rights() {
  systemd-analyze security --offline=true --threshold=15 --no-pager \
    /usr/local/lib/systemd/system/fcached-exporter.service >/dev/null
  ! systemctl is-enabled fcached-exporter || return 1
  systemctl start fcached-exporter || {
    journalctl -u fcached-exporter -n 20 --no-pager
    return 1
  }
  trap 'systemctl stop fcached-exporter' EXIT
  scrape | grep '^fcached_up 1'
  systemctl restart fcached.service
  scrape | grep '^fcached_up 1'
  local user
  user=$(ps -o user= -p "$(systemctl show -P MainPID fcached-exporter)")
  [ "$user" != root ] && [ "$user" != fcached ]
  systemctl stop fcached-exporter
  is success systemctl show -P Result fcached-exporter
}
socket_first_client_activates_the_service() {
  is inactive show ActiveState
  ping
  is active show ActiveState
}
start_returns_once_it_serves() {
  is notify show Type
  systemctl start fcached.service
  is active show ActiveState
  ping
  differs MainPID ''
}
failed_starts() { journalctl -q --no-pager -o cat -u fcached.service --since "$SINCE" | grep -c "$CONF:1: "; }
start_with_wrong_options_fails() {
  local n
  conf 'max-bytes = nonsense'
  ! systemctl start fcached.service || return 1
  ! ping || return 1
  within 5 is failed show ActiveState
  n=$(failed_starts)
  sleep 3 # nothing may happen: the client was refused, and no other one starts the service again
  is "$n" failed_starts
}
service_runs_as_its_own_user() {
  ping
  is fcached ps -o user= -p "$(show MainPID)"
  is '' find /run/fcached -maxdepth 1 -type f -perm /0022
}
socket_has_mode_and_group() {
  ping
  is '660 fcached fcached' stat -c '%a %U %G' $SOCKET
}
socket_group_of_a_drop_in_stays() {
  systemctl stop fcached.socket
  mkdir -p /run/systemd/system/fcached.socket.d
  printf '[Socket]\nSocketGroup=users\n' >/run/systemd/system/fcached.socket.d/test.conf
  systemctl daemon-reload
  systemctl start fcached.socket
  ping
  is 'users' stat -c %G $SOCKET
  systemctl restart fcached.service
  is 'users' stat -c %G $SOCKET
}
socket_other_users_are_refused() {
  local status=0
  ping
  setpriv --reuid=nobody --regid=fcached --clear-groups fcachectl ping
  setpriv --reuid=nobody --regid=nogroup --clear-groups fcachectl ping || status=$?
  [ $status = 3 ] || { echo "ping by another user: status $status" && return 1; }
  status=0
  setpriv --reuid=nobody --regid=fcached --clear-groups fcachectl shutdown || status=$?
  [ $status = 1 ] || { echo "shutdown by a user of the socket: status $status" && return 1; }
  ping
}
configuration_file_is_used() {
  conf 'max-bytes = 32M' 'trace = /var/log/fcached/trace.jsonl'
  ping
  journal_names "configuration: $CONF"
  has_max_bytes $((32 << 20))
  within 5 test -e /var/log/fcached/trace.jsonl
  is fcached stat -c %U /var/log/fcached/trace.jsonl
}
# The journal gets a line a moment after it was written.
journal_has() { journalctl -q --no-pager -o cat -u fcached.service --since "$SINCE" | grep -F -- "$1" >/dev/null; }
journal_names() { within 10 journal_has "$1"; } # journal_names TEXT: since this test began
restarted_twice() { [ "$(show NRestarts)" -ge 2 ]; }
mended() {
  conf 'max-bytes = 32M'
  systemctl restart fcached.service
  ping
  is active show ActiveState
  is active systemctl is-active fcached.socket
  is '660 fcached fcached' stat -c '%a %U %G' $SOCKET
}
options_typo_is_mended_by_one_restart() {
  local typo
  # Several in a row: no limit on starts may refuse the restart.
  for typo in 'max-byts = 32M' 'max-bytes = 32X' 'max-clients = none'; do
    conf "$typo"
    ! systemctl restart fcached.service || return 1
    ! ping || return 1
    journal_names "$CONF:1: "
    journal_names "${typo%% *}"
    mended
  done
}
has_failed() { [ "$(failed_starts)" -ge "$1" ]; } # has_failed N: starts, since this test began
# Clients start the service again and again. The restart after the correction must succeed at any time: directly after
# the failed one, and when many starts have failed.
options_typo_under_load_is_mended_by_one_restart() {
  local load n=0 more began
  python3 /root/hammer.py $SOCKET /tmp/hammer.stop &
  load=$!
  # shellcheck disable=SC2064 # the number of this process
  trap "touch /tmp/hammer.stop; wait $load; rm /tmp/hammer.stop" EXIT
  ping
  began=$SECONDS
  for more in 1 2 1 4 1; do
    conf 'max-byts = 32M'
    ! systemctl restart fcached.service || return 1
    within 20 has_failed $((n + more))
    mended
    is running systemctl show -P SubState fcached.socket
    n=$(failed_starts)
  done
  # One in a second, and one more for each restart.
  [ "$n" -le $((SECONDS - began + 6)) ] || { echo "$n starts in $((SECONDS - began)) s" && return 1; }
}
options_beyond_memory_are_mended_by_one_restart() {
  conf 'max-bytes = 1000T'
  ! ping || return 1
  journal_names '--max-bytes'
  within 20 restarted_twice
  mended
}
options_with_other_socket_are_refused() {
  conf 'socket = /run/fcached/other.sock'
  ! systemctl start fcached.service || return 1
  is 2 show ExecMainStatus
  journal_names '/run/fcached/other.sock'
  conf "socket = $SOCKET"
  systemctl restart fcached.service
  ping
}
reload_reopens_the_trace() {
  conf 'trace = /var/log/fcached/trace.jsonl'
  ping
  within 5 test -e /var/log/fcached/trace.jsonl
  mv /var/log/fcached/trace.jsonl /var/log/fcached/trace.jsonl.1
  systemctl reload fcached.service
  within 5 test -e /var/log/fcached/trace.jsonl
  ping
}
reload_applies_the_configuration() {
  local pid
  conf 'max-bytes = 32M'
  ping
  pid=$(show MainPID)
  conf 'max-bytes = 64M'
  systemctl reload fcached.service
  within 10 has_max_bytes $((64 << 20))
  journal_names 'reload: max-bytes: 32M -> 64M'
  mkdir /etc/fcached/fcached.conf.d
  echo 'max-bytes = 16M' >/etc/fcached/fcached.conf.d/10-small.conf
  systemctl reload fcached.service
  within 10 has_max_bytes $((16 << 20))
  is "$pid" show MainPID
  is active show ActiveState
}
has_refused() { # has_refused N: reloads
  [ "$(journalctl -q --no-pager -o cat -u fcached.service --since "$SINCE" |
    grep -cF 'reload: the configuration stays as it was')" = "$1" ]
}
reload_of_a_mistake_fails_and_changes_nothing() {
  local pid mistake n=0
  conf 'max-bytes = 32M'
  ping
  pid=$(show MainPID)
  for mistake in 'max-byts = 64M' 'max-bytes = 64X' 'max-bytes = 1000T' 'trace = /etc/fcached/x.jsonl'; do
    conf 'max-clients = 7' "$mistake"
    ! systemctl reload fcached.service || return 1
    within 5 has_refused "$((++n))"
  done
  journal_names '"64X" is not a size'
  journal_names 'not enough memory'
  journal_names '/etc/fcached/x.jsonl'
  journal_names "$CONF:2: there is no key \"max-byts\": did you mean max-bytes?"
  is "$pid" show MainPID
  is active show ActiveState
  has_max_bytes $((32 << 20))
  conf 'max-bytes = 64M'
  systemctl reload fcached.service
  within 10 has_max_bytes $((64 << 20))
}
template_instance_is_a_daemon_of_its_own() {
  local team=/run/fcached/fcached-team.sock
  mkdir -p /etc/fcached/team
  echo 'max-bytes = 16M' >/etc/fcached/team/fcached.conf
  systemctl start fcached@team.socket
  is '660 fcached fcached' stat -c '%a %U %G' $team
  FCACHE_SOCKET=$team has_max_bytes $((16 << 20))
  ping
  has_max_bytes $((256 << 20))
  is active systemctl is-active fcached@team.service
  FCACHE_SOCKET=$team fcachectl trace on today.jsonl
  test -e /var/log/fcached-team/today.jsonl
  echo 'max-bytes = 32M' >/etc/fcached/team/fcached.conf
  systemctl reload fcached@team.service
  FCACHE_SOCKET=$team within 10 has_max_bytes $((32 << 20))
  systemctl stop fcached@team.socket fcached@team.service
  is '700 fcached' stat -c '%a %U' /var/lib/fcached-team
  is '' find /run/fcached -name fcached-team.sock
  ping
}
trace_of_client_is_below_the_log_directory() {
  ping
  ! fcachectl trace on sub/today.jsonl || return 1 # the folder is missing
  fcachectl trace on --mkdir sub/today.jsonl
  is fcached stat -c %U /var/log/fcached/sub/today.jsonl
  fcachectl trace off
  ! fcachectl trace on /run/fcached/today.jsonl || return 1
  ! test -e /run/fcached/today.jsonl
}
watchdog_healthy_daemon_runs_on() {
  local pid
  drop WatchdogSec=4s # fcached notifies every 2 s: a busy machine may be late by as much
  ping
  pid=$(show MainPID)
  sleep 9 # nothing may happen in more than two terms of the watchdog
  is "$pid" show MainPID
  is 0 show NRestarts
}
watchdog_stopped_daemon_is_restarted() {
  local pid
  drop WatchdogSec=1s TimeoutAbortSec=2s
  ping
  pid=$(show MainPID)
  kill -STOP "$pid"
  within 15 differs MainPID "$pid"
  within 10 ping
  differs NRestarts 0
}
killed_daemon_is_restarted() {
  local pid
  ping
  pid=$(show MainPID)
  kill -KILL "$pid"
  within 10 differs MainPID "$pid"
  within 10 ping
  is 1 show NRestarts
}
stop_is_clean_and_keeps_the_socket() {
  ping
  systemctl stop fcached.service
  is inactive show ActiveState
  is success show Result
  is 0 show ExecMainStatus
  test -S $SOCKET
  is active systemctl is-active fcached.socket
  ping
  is active show ActiveState
}
shutdown_by_command_is_clean() {
  ping
  fcachectl shutdown
  within 10 is inactive show ActiveState
  is success show Result
  is 0 show NRestarts
  ping
}
as_user() {
  setpriv --reuid=lab --regid=lab --init-groups env -u FCACHE_SOCKET HOME=/home/lab \
    XDG_RUNTIME_DIR="/run/user/$(id -u lab)" "$@"
}
user_units_activate_and_stop() {
  local run
  id lab >/dev/null 2>&1 || useradd --create-home lab
  run=/run/user/$(id -u lab)
  systemctl start "user@$(id -u lab).service"
  within 10 test -S "$run/systemd/private"
  as_user mkdir -p /home/lab/.config/fcached
  echo 'max-bytes = 16M' >/home/lab/.config/fcached/fcached.conf
  as_user systemctl --user start fcached.socket
  is '600 lab' stat -c '%a %U' "$run/fcached.sock"
  as_user fcachectl ping
  is active as_user systemctl --user is-active fcached.service
  as_user fcachectl stats --json | grep -E '"max_bytes": ?16777216\b' >/dev/null
  as_user fcachectl trace on today.jsonl
  find /home/lab -path '*/log/fcached/today.jsonl' -user lab | grep . >/dev/null
  as_user systemctl --user stop fcached.service
  test -S "$run/fcached.sock"
  as_user systemctl --user start fcached.service
  as_user fcachectl ping
  as_user systemctl --user stop fcached.socket fcached.service
  systemctl stop "user@$(id -u lab).service"
}

# ---- entries and memory that outlive the daemon

SURVIVOR=/root/survivor
killed_daemon_keeps_its_entries() {
  ping
  echo "killed: $($SURVIVOR kept 2000 3100 kill "$(show MainPID)")" >>/tmp/notes
  journal_names 'adopted 2000 entries'
  is 1 show NRestarts
}
restart_keeps_its_entries() {
  ping
  echo "restarted: $($SURVIVOR kept 2000 3100 systemctl restart fcached.service)" >>/tmp/notes
  journal_names 'adopted 2000 entries'
}
restart_with_another_size_keeps_its_entries() {
  conf 'max-bytes = 64M'
  ping
  conf 'max-bytes = 100M' 'max-clients = 50'
  $SURVIVOR kept 2000 3100 systemctl restart fcached.service
  conf 'max-bytes = 4M' 'max-value = 1M'
  SURVIVOR_HITS=500 $SURVIVOR kept 2000 3100 systemctl restart fcached.service
}
stop_and_start_reads_the_snapshot() {
  ping
  echo "stopped and started: $($SURVIVOR kept 2000 3100 \
    sh -c 'systemctl stop fcached.service; systemctl start fcached.service')" >>/tmp/notes
  journal_names 'restored 2000 entries'
}
state_directory_is_private() {
  ping
  systemctl stop fcached.service
  is '700 fcached' stat -c '%a %U' /var/lib/fcached
  is '' find /var/lib/fcached -perm /0077 ! -type d
}
# All entries have left the memory of the daemon before.
moved() { fcachectl stats --json | grep -E '"migrating_bytes": ?0\b' >/dev/null; }
# systemd has no more removals to do.
is_steady() {
  local n
  n=$(show NFileDescriptorStore)
  sleep 0.3 # between two samples
  is "$n" show NFileDescriptorStore
}
descriptor_store_is_flat_over_twenty_restarts() {
  local n
  ping
  $SURVIVOR kept 2000 3100 kill "$(show MainPID)"
  within 10 moved
  within 10 is_steady
  n=$(show NFileDescriptorStore)
  [ "$n" -gt 2 ]
  for _ in $(seq 10); do
    $SURVIVOR kept 2000 3100 kill "$(show MainPID)"
    $SURVIVOR kept 2000 3100 systemctl restart fcached.service
  done
  within 10 moved
  within 10 is "$n" show NFileDescriptorStore
  systemctl stop fcached.service
  is 0 show NFileDescriptorStore
}
# A program that crashes before it begins is started 20 times a second at most, and then no more. A
# corrected one can be started soon.
crash_loop_is_bounded() {
  drop 'ExecStart=' 'ExecStart=/bin/sh -c "kill -SEGV $$$$"'
  systemctl start --no-block fcached.service
  within 10 restarted_twice
  sleep 3 # the time in which the restarts are counted
  [ "$(show NRestarts)" -le 60 ]
  rm -rf $DROP
  systemctl daemon-reload
  within 5 systemctl restart fcached.service
  ping
}
user_service_keeps_its_entries() {
  local run
  id lab >/dev/null 2>&1 || useradd --create-home lab
  run=/run/user/$(id -u lab)
  install -m 755 $SURVIVOR /usr/local/bin/survivor
  systemctl start "user@$(id -u lab).service"
  within 10 test -S "$run/systemd/private"
  as_user systemctl --user start fcached.socket
  as_user fcachectl ping
  as_user survivor kept 2000 3100 kill "$(as_user systemctl --user show -P MainPID fcached.service)"
  as_user survivor kept 2000 3100 \
    sh -c 'systemctl --user stop fcached.service; systemctl --user start fcached.service'
  as_user systemctl --user stop fcached.socket fcached.service
  systemctl stop "user@$(id -u lab).service"
}

# ---- a tier: the package's Redis, on 127.0.0.1:6379

TIER_PASSWORD=correct-horse
redis() { REDISCLI_AUTH=$TIER_PASSWORD redis-cli --no-auth-warning "$@"; }
start_redis() {
  systemctl start redis-server
  within 10 redis ping
  redis flushall
  redis config set requirepass "$1"
  trap 'redis config set requirepass ""; systemctl stop redis-server' EXIT
}
tier_drop_in() { # tier_drop_in ADDRESS: as the administrator installs and edits it
  install -D -m 644 /usr/local/share/fcached/systemd/tier.conf $DROP/tier.conf
  sed -i -e "s/^IPAddressAllow=.*/IPAddressAllow=$1/" -e 's/^#LoadCredential/LoadCredential/' $DROP/tier.conf
  mkdir -p /etc/fcached
  (umask 077 && echo $TIER_PASSWORD >/etc/fcached/tier-password)
  systemctl daemon-reload
}
tier_has_keys() { [ "$(redis "${@:2}" dbsize)" -ge "$1" ]; } # tier_has_keys N [OPTION...]
works_alone() { # the daemon serves, and the tier gets nothing
  ping
  $SURVIVOR kept 10 3100 systemctl restart fcached.service
  is active show ActiveState
  is 0 redis dbsize
}
tier_is_closed_without_the_drop_in() {
  start_redis ''
  conf 'tier = redis://127.0.0.1:6379'
  works_alone
}
tier_drop_in_opens_the_tier_alone() {
  start_redis $TIER_PASSWORD
  conf 'tier = redis://127.0.0.1:6379'
  tier_drop_in 127.0.0.1
  ping
  systemd-analyze security --threshold=15 --no-pager fcached.service
  $SURVIVOR kept 10 3100 systemctl restart fcached.service
  within 10 tier_has_keys 10
  # The password is in no place that another user can read.
  is 'tier-password-file	/run/credentials/fcached.service/tier-password' \
    sh -c "fcachectl settings | sed -n 's/^\(tier-password-file\) *\([^ ]*\).*/\1\t\2/p'"
  ! journalctl -q -o cat -u fcached.service --since "$SINCE" | grep $TIER_PASSWORD || return 1
  tier_drop_in 10.1.2.3 # the addresses of another tier
  systemctl restart fcached.service
  redis flushall # after the daemon that could write
  works_alone
}
tier_on_a_unix_socket_needs_its_group_alone() {
  drop SupplementaryGroups=redis
  mkdir -p /run/systemd/system/redis-server.service.d
  printf '[Service]\nExecStart=\nExecStart=/usr/bin/redis-server --port 0 --unixsocket /run/redis/t.sock --unixsocketperm 770 --save ""\nType=simple\n' \
    >/run/systemd/system/redis-server.service.d/test.conf
  systemctl daemon-reload
  systemctl start redis-server
  trap 'systemctl stop redis-server; rm -r /run/systemd/system/redis-server.service.d' EXIT
  within 10 test -S /run/redis/t.sock
  conf 'tier = unix:///run/redis/t.sock'
  ping
  $SURVIVOR kept 10 3100 systemctl restart fcached.service
  within 10 tier_has_keys 10 -s /run/redis/t.sock
}

systemctl disable --now redis-server >/dev/null 2>&1 # until a test starts it
for name in "${TESTS[@]}"; do
  reset
  run_test "$name"
done
reset
systemctl stop fcached.socket fcached.service
sed 's/^/note: /' /tmp/notes
[ $failures = 0 ]

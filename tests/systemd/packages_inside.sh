#!/bin/bash
# packages_inside.sh - the tests of the Debian packages, run as root in a booted system without fcached. The packages are
# in /root/old and, with a higher version, in /root/new. Prints `ok NAME`, `FAIL NAME` or `  skip NAME` for each test.
# `--list` prints the names. The tests are functions, run under `set -e`. Each one starts from the state that the one
# before left.
set -uo pipefail
SOCKET=/run/fcached/fcached.sock
TRACE=/var/log/fcached/day.jsonl
TESTS=(
  install_enables_the_socket_alone
  first_client_starts_the_service
  autopkgtest_passes
  units_verify_without_findings
  upgrade_under_load_loses_nothing
  downgrade_under_load_loses_nothing
  upgrade_of_a_stopped_service_leaves_it_stopped
  configuration_typo_is_mended_by_one_restart
  reload_changes_max_bytes
  template_instances_are_upgraded_and_purged
  logrotate_rotates_the_traces_of_instances
  exporter_is_restarted_by_an_upgrade
  logrotate_keeps_the_owner_and_every_line
  remove_and_install_restore_the_cache
  purge_leaves_nothing
  commands_of_the_pages_do_what_they_show
)
[ "${1:-}" != --list ] || {
  printf '%s\n' "${TESTS[@]//_/ }"
  exit
}
[ $# = 0 ] || TESTS=("$@") # only these, after an installation

# shellcheck source=tests/systemd/lab_functions.sh
. "$(dirname "$0")/lab_functions.sh"
export FCACHE_SOCKET=$SOCKET DEBIAN_FRONTEND=noninteractive
stat_of() {
  fcachectl stats --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["daemon"][sys.argv[1]])' "$1"
}
version_of() { dpkg-deb -f /root/"$1"/fcached_*.deb Version | sed 's/-[^-]*$//'; }
# Without a network. apt would ask for confirmation of a downgrade.
apt() { apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends --allow-downgrades -o APT::Sandbox::User=root "$@"; }
replace_with() { # replace_with old|new
  apt install /root/"$1"/*.deb
}

# Prints all paths, without those that apt, dpkg and logrotate write.
paths() {
  find / -xdev \( -path /root -o -path /tmp -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \
    -o -path /var/lib/logrotate -o -path /var/log/apt -o -path /var/log/journal \) -prune -o -print | sort
}
install_enables_the_socket_alone() {
  paths >/tmp/before
  replace_with old
  prints enabled systemctl is-enabled fcached.socket
  prints active systemctl is-active fcached.socket
  prints inactive show ActiveState
  prints '660 fcached fcached' stat -c '%a %U %G' $SOCKET
  prints '' find /etc/systemd/user -name '*fcached*'
}
first_client_starts_the_service() {
  fcachectl ping
  prints active show ActiveState
  prints "$(version_of old)" stat_of version
}
autopkgtest_passes() { sh /root/tests/clients; }
units_verify_without_findings() { systemd-analyze --man=no verify fcached.service fcached.socket; }

# replaced_under_load GENERATION: eight workers notice nothing but a restart, and counters do not fall.
replaced_under_load() {
  local pid load hits id
  rm -rf /tmp/load
  python3 /root/load.py /tmp/load >/tmp/load.out 2>&1 &
  load=$!
  # shellcheck disable=SC2064 # the number of this process
  trap "touch /tmp/load/stop; wait $load" EXIT
  within 60 test -e /tmp/load/ready
  pid=$(show MainPID) hits=$(stat_of cache_hits) id=$(stat_of cache_id)
  replace_with "$1"
  prints active show ActiveState
  [ "$(show MainPID)" != "$pid" ]
  prints "$(version_of "$1")" stat_of version
  touch /tmp/load/stop
  wait $load || { cat /tmp/load.out && return 1; }
  trap - EXIT
  echo "${FUNCNAME[1]}: $(cat /tmp/load.out)" >>/tmp/notes
  prints "$id" stat_of cache_id
  [ "$(stat_of cache_hits)" -ge "$hits" ]
  [ "$(stat_of adopted_entries)" -ge 3200 ]
  prints 0 stat_of adopt_dropped
}
upgrade_under_load_loses_nothing() { replaced_under_load new; }
downgrade_under_load_loses_nothing() { replaced_under_load old; }
upgrade_of_a_stopped_service_leaves_it_stopped() {
  systemctl stop fcached.service
  replace_with new
  prints inactive show ActiveState
  prints active systemctl is-active fcached.socket
  systemctl disable --now fcached.socket
  replace_with old
  prints inactive systemctl is-active fcached.socket
  prints disabled systemctl is-enabled fcached.socket
  systemctl enable --now fcached.socket
  fcachectl ping
}
CONF=/etc/fcached/fcached.conf
configuration_typo_is_mended_by_one_restart() {
  local entries
  entries=$(stat_of entries)
  cp $CONF /tmp/fcached.conf
  echo 'max-byts = 32M' >>$CONF
  ! fcached --check-config || return 1
  ! systemctl reload fcached.service || return 1
  fcachectl ping # a failed reload changes nothing
  ! systemctl restart fcached.service || return 1
  ! fcachectl ping || return 1
  cp /tmp/fcached.conf $CONF
  systemctl restart fcached.service
  prints "$entries" stat_of entries
  prints active systemctl is-active fcached.socket
}
reload_changes_max_bytes() {
  local pid
  fcachectl ping
  pid=$(show MainPID)
  for size in 512 64; do
    mkdir -p $CONF.d
    echo "max-bytes = ${size}M" >$CONF.d/size.conf
    systemctl reload fcached.service
    within 10 prints $((size * 1024 * 1024)) stat_of max_bytes
    within 30 prints 0 stat_of migrating_bytes # until then another size is refused
  done
  rm $CONF.d/size.conf
  systemctl reload fcached.service
  within 10 prints $((256 * 1024 * 1024)) stat_of max_bytes
  prints "$pid" show MainPID
}
template_instances_are_upgraded_and_purged() {
  local pid
  systemctl enable --now fcached@team.socket
  FCACHE_SOCKET=$(systemctl show -P Listen fcached@team.socket | cut -d ' ' -f 1) fcachectl ping
  prints active systemctl is-active fcached@team.service
  pid=$(systemctl show -P MainPID fcached@team.service)
  replace_with new
  prints active systemctl is-active fcached@team.service
  [ "$(systemctl show -P MainPID fcached@team.service)" != "$pid" ]
  replace_with old
  systemctl disable --now fcached@team.socket
}
logrotate_rotates_the_traces_of_instances() {
  local trace=/var/log/fcached-team/day.jsonl
  export FCACHE_SOCKET=/run/fcached/fcached-team.sock
  systemctl start fcached@team.socket
  fcachectl trace on day.jsonl
  python3 -c "import fcached; fcached.Client('team').put('before', 'base', 'x', 0, 1)"
  within 10 grep '"before"' $trace
  logrotate --force /etc/logrotate.d/fcached
  test -e $trace.1
  within 10 test -e $trace
  python3 -c "import fcached; fcached.Client('team').put('after', 'base', 'x', 0, 1)"
  within 10 grep '"after"' $trace
  ! grep '"after"' $trace.1 || return 1
  prints 'fcached fcached' stat -c '%U %G' $trace
  prints 'fcached fcached' stat -c '%U %G' $trace.1
  systemctl stop fcached@team.socket fcached@team.service
}
exporter_pid() { systemctl show -P MainPID fcached-exporter.service; }
scrape() { # prints the version of the daemon that the exporter reports
  python3 -c 'import re, sys, urllib.request
text = urllib.request.urlopen("http://127.0.0.1:9121/metrics").read().decode()
print(*re.findall(r"version=\"([^\"]*)\"", text)[:1])'
}
exporter_is_restarted_by_an_upgrade() {
  local pid
  prints disabled systemctl is-enabled fcached-exporter.service
  systemctl start fcached-exporter.service
  within 5 prints "$(version_of old)" scrape
  pid=$(exporter_pid)
  replace_with new
  prints active systemctl is-active fcached-exporter.service
  [ "$(exporter_pid)" != "$pid" ]
  within 5 prints "$(version_of new)" scrape
  replace_with old
  within 5 prints "$(version_of old)" scrape
}
# traced NAME: a line for the trace
traced() {
  python3 -c "import fcached; fcached.Client('traced').cached('op', 'base', '$1', 0, lambda: 1)"
  lines=$((lines + 1))
}
# The daemon buffers lines for a moment. A rotation may neither lose nor repeat one.
all_lines_are_there() { [ "$(cat ${TRACE}* | grep -c '"op"')" = "$lines" ]; }
logrotate_keeps_the_owner_and_every_line() {
  local lines=0
  fcachectl trace on day.jsonl
  traced one
  within 10 all_lines_are_there
  logrotate --force /etc/logrotate.d/fcached
  test -e $TRACE.1
  within 10 test -e $TRACE
  traced two
  traced three
  within 10 all_lines_are_there
  prints 'fcached fcached' stat -c '%U %G' $TRACE
  prints 'fcached fcached' stat -c '%U %G' $TRACE.1
  logrotate --force /etc/logrotate.d/fcached
  prints 'fcached fcached' stat -c '%U %G' $TRACE.2.gz
  within 10 test -e $TRACE
  fcachectl trace off
}
units() { systemctl list-units --no-legend --plain "$@" 'fcached*'; }
remove_and_install_restore_the_cache() {
  local entries
  python3 -c "import fcached; fcached.Client('removed').put('op', 'base', 'prompt', 0, 1)"
  entries=$(stat_of entries)
  [ "$entries" -gt 0 ]
  apt remove fcached
  ! pgrep -u fcached || return 1
  ! test -e $SOCKET || return 1
  within 10 prints '' units || { units && return 1; }
  test -e $CONF
  replace_with old
  prints "$entries" stat_of entries
}
purge_leaves_nothing() {
  systemctl enable --now fcached@team.socket
  apt purge fcached libfcache0 libfcache-dev python3-fcached
  systemctl daemon-reload # else systemd remembers the removed link to the instance
  within 10 prints '' units --all || { units --all && return 1; }
  ! getent passwd fcached || return 1
  ! getent group fcached || return 1
  prints '' find / -xdev -path /root -prune -o -iname '*fcache*' -print
  prints '' find / -xdev \( -nouser -o -nogroup \) -print
  paths >/tmp/after
  prints '' comm -13 /tmp/before /tmp/after
}
commands_of_the_pages_do_what_they_show() {
  unset FCACHE_SOCKET
  python3 /root/pages/tests/docs/system_commands.py /root/old /root/new
}

[ "${TESTS[0]}" = install_enables_the_socket_alone ] || install_enables_the_socket_alone >/dev/null 2>&1
for name in "${TESTS[@]}"; do
  run_test "$name" 40
done
[ ! -e /tmp/notes ] || sed 's/^/note: /' /tmp/notes
[ $failures = 0 ]

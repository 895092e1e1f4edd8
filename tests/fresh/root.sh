#!/bin/bash
# root.sh SUITE TREE COMMAND - runs COMMAND (bash) as root in a new minimal Debian of SUITE with git, make and a
# compiler. The working directory is /root/fcached, a clone of TREE. Exits with the status of COMMAND, or with 125 if the
# root file system cannot be created. Removes that at the end, also after a signal. Needs root.
# Environment: FRESH_CACHE, the directory that keeps an unused root for each suite (/var/tmp/fcached-fresh);
# FRESH_FOREIGN, a second architecture whose packages can be installed (arm64); FRESH_PACKAGES, the packages in place of
# a compiler, separated by commas.
set -uo pipefail
suite=$1 tree=$(cd "$2" && pwd) command=$3
cache=${FRESH_CACHE:-/var/tmp/fcached-fresh}
foreign=${FRESH_FOREIGN:-}
name=$suite${foreign:+-$foreign}
base=$cache/$name
packages=ca-certificates,git,make,${FRESH_PACKAGES:-build-essential}

fail() {
  echo "root.sh: $*" >&2
  exit 125
}

# Prints the Debian mirror of this machine's apt, or nothing. mmdebstrap then uses its default.
mirror() {
  local codename
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  # shellcheck disable=SC2016 # apt expands it
  apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Codename: $codename" |
    head -n 1
}

# Prints the proxies and time-outs of this machine's apt.
reach() {
  apt-config dump Acquire | grep -E '^Acquire::(https?|Check-|Retries|AllowInsecure)'
}

make_base() {
  local from options
  from=$(mirror) options=$cache/$name.apt.conf
  reach >"$options"
  rm -rf --one-file-system "$base" "$base.new"
  echo "root.sh: creating the minimal root of $name" >&2
  # shellcheck disable=SC2086 # $from may be empty
  mmdebstrap --quiet --variant=minbase --architectures="$(dpkg --print-architecture)${foreign:+,$foreign}" \
    --include="$packages" --aptopt="$options" "$suite" "$base.new" $from >&2 ||
    fail "mmdebstrap cannot create a root of $suite"
  cp /etc/ssl/certs/ca-certificates.crt "$base.new/etc/ssl/certs/" # this machine may have more certificates
  echo "$packages" >"$base.new/.made-of"
  mv "$base.new" "$base"
}

# Removes the roots of killed processes, whose locks are free.
remove_abandoned() {
  local lock
  for lock in "$cache"/run.*.lock; do
    [ ! -e "$lock" ] || flock -n "$lock" rm -rf --one-file-system "${lock%.lock}" "$lock"
  done
}

[ "$(id -u)" = 0 ] || fail "needs root"
mkdir -p "$cache" || exit 125
exec 7>"$cache/lock" 9>/dev/null
flock 7 # one process at a time creates a base, or removes abandoned roots
remove_abandoned
[ "$(cat "$base/.made-of" 2>/dev/null)" = "$packages" ] || make_base
root=$(mktemp -d "$cache/run.XXXXXX") || exit 125
exec 9>"$root.lock"
flock 9
flock -u 7

child=
# shellcheck disable=SC2317 # the trap calls it
finish() {
  trap '' INT TERM HUP
  [ -z "$child" ] || { kill -KILL "$child" && wait "$child"; } 2>/dev/null
  rm -rf --one-file-system "$root" "$root.lock"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

cp -a "$base/." "$root/" || fail "no copy of $base"
chmod 755 "$root"
git clone -q "$tree" "$root/root/fcached" || fail "no clone of $tree"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
# The environment has the variables for the network and the flags of make only. It has no locale.
kept=()
for name in http_proxy https_proxy no_proxy PIP_INDEX_URL PIP_DEFAULT_TIMEOUT MAKEFLAGS; do
  [ -z "${!name:-}" ] || kept+=("$name=${!name}")
done
# Mounts and processes are in their own namespaces, which end with the process $child. That process ends with this script.
# shellcheck disable=SC2016 # the inner shell expands them
setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" bash -c '
  root=$1 command=$2
  shift 2
  mount --rbind "$root" "$root" && mount --rbind /dev "$root/dev" && mount -t tmpfs tmpfs "$root/dev/shm" && mount -t tmpfs tmpfs "$root/tmp" &&
    mount -t sysfs -o ro sysfs "$root/sys" || exit 125
  chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" bash -c "cd /root/fcached && $command"
  exit $?' _ "$root" "$command" "${kept[@]}" 7>&- 9>&- &
child=$!
wait "$child"
status=$?
child=
exit "$status"

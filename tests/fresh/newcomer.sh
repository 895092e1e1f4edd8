#!/bin/bash
# newcomer.sh - builds as an ordinary user without sudo. `make demo` must name the missing packages in one line. After
# root has run that line, `make demo && make check` must pass, and then a build from read-only sources.
# Needs root, and a disposable machine without the packages.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=$PWD
if command -v sudo; then exit 1; fi
useradd --create-home --shell /bin/bash newcomer
cp -r "$tree" /home/newcomer/fcached
chown -R newcomer: /home/newcomer/fcached

as_newcomer() { # as_newcomer DIRECTORY COMMAND [VARIABLE=VALUE...]: runs COMMAND with these variables only
  local directory=$1 command=$2
  shift 2
  setpriv --reuid=newcomer --regid=newcomer --init-groups --inh-caps=-all env -i PATH=/usr/bin:/bin MAKEFLAGS="${MAKEFLAGS:-}" "$@" \
    bash -c "umask 077 && cd $directory && $command"
}

if as_newcomer /home/newcomer/fcached 'make demo' HOME=/home/newcomer >/tmp/demo.out 2>&1; then
  echo "newcomer.sh: the packages are already installed"
  exit 1
fi
cat /tmp/demo.out
[ "$(grep -c apt-get /tmp/demo.out)" = 1 ]
line=$(grep apt-get /tmp/demo.out)
bash -c "$line"
as_newcomer /home/newcomer/fcached 'make demo && make check' HOME=/home/newcomer

# Read-only sources with a build directory elsewhere, a path that is longer than a socket's address, no HOME, and a long
# TMPDIR.
long=/srv/$(printf 'a-long-name-%.0s' {1..12})
mkdir -p "$long" "/home/newcomer/$(basename "$long")"
chown newcomer: /home/newcomer/*
git clone -q "$tree" "$long/fcached"
as_newcomer "$long/fcached" 'make BUILD=/home/newcomer/build demo && make BUILD=/home/newcomer/build ONLY=test_c check' \
  TMPDIR="/home/newcomer/$(basename "$long")"
[ -z "$(git -C "$long/fcached" status --porcelain --ignored)" ] # the source directory has no new files

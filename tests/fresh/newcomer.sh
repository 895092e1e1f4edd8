#!/bin/bash
# newcomer.sh - be an ordinary user without sudo: `make demo` must name the missing packages in one line, and once root has
# typed that line, `make demo && make check` must pass; then again from sources that the user may only read.
# For a machine that is thrown away, with none of the packages; needs to be root.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=$PWD
if command -v sudo; then exit 1; fi
useradd --create-home --shell /bin/bash newcomer
cp -r "$tree" /home/newcomer/fcached
chown -R newcomer: /home/newcomer/fcached

as_newcomer() { # as_newcomer FOLDER COMMAND [SETTING...]: with no settings but these
  local folder=$1 command=$2
  shift 2
  setpriv --reuid=newcomer --regid=newcomer --init-groups --inh-caps=-all env -i PATH=/usr/bin:/bin MAKEFLAGS="${MAKEFLAGS:-}" "$@" \
    bash -c "umask 077 && cd $folder && $command"
}

if as_newcomer /home/newcomer/fcached 'make demo' HOME=/home/newcomer >/tmp/said 2>&1; then
  echo "newcomer.sh: the packages are there already"
  exit 1
fi
cat /tmp/said
[ "$(grep -c apt-get /tmp/said)" = 1 ]
line=$(grep apt-get /tmp/said)
bash -c "$line"
as_newcomer /home/newcomer/fcached 'make demo && make check' HOME=/home/newcomer

# A read-only source, the build elsewhere; a path longer than the address of a socket; no HOME, a long TMPDIR.
long=/srv/$(printf 'a-long-name-%.0s' {1..12})
mkdir -p "$long" "/home/newcomer/$(basename "$long")"
chown newcomer: /home/newcomer/*
git clone -q "$tree" "$long/fcached"
as_newcomer "$long/fcached" 'make BUILD=/home/newcomer/build demo && make BUILD=/home/newcomer/build ONLY=test_c check' \
  TMPDIR="/home/newcomer/$(basename "$long")"
[ -z "$(git -C "$long/fcached" status --porcelain --ignored)" ] # as root: nothing was built there

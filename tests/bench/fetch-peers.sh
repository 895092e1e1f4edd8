#!/bin/sh
# Unpacks memcached and redis-server, with the libraries that this machine lacks, from their Debian
# packages into a folder: nothing is installed and no service starts.
#   tests/bench/fetch-peers.sh FOLDER
# Programs end up in FOLDER/bin, libraries in FOLDER/libs.
set -eu
out=${1:?usage: fetch-peers.sh FOLDER}
packages='memcached redis-server redis-tools'

fail() {
  echo "fetch-peers: $*" >&2
  exit 1
}

# Every library package below the programs that is not on this machine already.
libraries() {
  # shellcheck disable=SC2086
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances $packages | grep -E '^lib[a-z0-9]' | grep -Ev '^(libc6|libperl)' |
    sort -u | while read -r package; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || echo "$package"
  done
}

# True if the package lists know all of them.
known() {
  for package in $packages; do
    [ -n "$(apt-cache show "$package" 2>/dev/null)" ] || return 1
  done
}

{ command -v apt-get && command -v dpkg; } >/dev/null ||
  fail 'no apt-get and dpkg here, so memcached and redis-server cannot be unpacked'
known || [ "$(id -u)" != 0 ] || apt-get -qq update
known || fail "the package lists do not have all of $packages: run apt-get update"

rm -rf "$out"
mkdir -p "$out/unpack" "$out/bin" "$out/libs"
# shellcheck disable=SC2046,SC2086
(cd "$out/unpack" && apt-get -qq -o APT::Sandbox::User=root download $packages $(libraries)) ||
  fail 'apt-get download failed: is the package mirror reachable?'
for deb in "$out"/unpack/*.deb; do
  dpkg -x "$deb" "$out/unpack"
done
# Only what runs is kept: the packages' other folders would confuse whoever searches build/.
find "$out/unpack" -name '*.so.*' -exec cp -P {} "$out/libs/" \;
for program in memcached redis-server; do
  cp -L "$out/unpack/usr/bin/$program" "$out/bin/"
  LD_LIBRARY_PATH=$out/libs "$out/bin/$program" --version ||
    fail "$out/bin/$program does not run here"
done
rm -rf "$out/unpack"

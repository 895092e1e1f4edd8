#!/bin/sh
# Unpacks memcached and redis-server, with the libraries that this machine lacks, from their Debian
# packages into a directory. Installs nothing and starts no service.
#   tests/bench/fetch-peers.sh DIR
# Programs end up in DIR/bin, libraries in DIR/libs.
set -eu
out=${1:?usage: fetch-peers.sh DIR}
packages='memcached redis-server redis-tools'

fail() {
  echo "fetch-peers: $*" >&2
  exit 1
}

# Lists the library packages of the programs that are not installed on this machine.
libraries() {
  # shellcheck disable=SC2086
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances $packages | grep -E '^lib[a-z0-9]' | grep -Ev '^(libc6|libperl)' |
    sort -u | while read -r package; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || echo "$package"
  done
}

# Succeeds if the package lists have all of them.
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
# Keeps only programs and libraries: other directories of the packages would clutter build/.
find "$out/unpack" -name '*.so.*' -exec cp -P {} "$out/libs/" \;
for program in memcached redis-server; do
  cp -L "$out/unpack/usr/bin/$program" "$out/bin/"
  LD_LIBRARY_PATH=$out/libs "$out/bin/$program" --version ||
    fail "$out/bin/$program does not run here"
done
rm -rf "$out/unpack"

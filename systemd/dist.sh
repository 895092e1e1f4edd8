#!/bin/sh
# dist.sh FILE NAME - writes the source files as FILE, a .tar.gz whose directory is NAME.
# dist.sh --date    - prints the time of the sources, in seconds since 1970.
#
# The sources are the files that git tracks, or without git all files but those of a build. Equal sources give an equal
# file, whoever packs them: their owner, times, umask and order do not count. The time of all of them is
# $SOURCE_DATE_EPOCH, or that of the last commit, or without git that of the newest file. So a tarball that is unpacked
# and packed again is the same.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C

# git may be missing, refuse the tree of another owner, or manage a directory above.
in_git() { [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; }
files() { # the paths, each ended by a NUL
  if in_git; then
    # shellcheck disable=SC2016 # the inner shell expands them
    git ls-files -z | xargs -0 sh -c 'for f; do [ ! -e "$f" ] && [ ! -h "$f" ] || printf "%s\0" "$f"; done' _
  else
    find . -type d \( -path ./.git -o -path ./build -o -name __pycache__ -o -name '*.egg-info' \
      -o -exec test -e '{}/.fcached-build' \; \) -prune -o \( -type f -o -type l \) -printf '%P\0'
  fi | sort -z
}
date_s() {
  if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
    echo "$SOURCE_DATE_EPOCH"
  elif in_git && git log -1 --format=%ct 2>/dev/null; then
    :
  else
    files | xargs -0 stat -c %Y | sort -n | tail -n 1
  fi
}

if [ "${1:-}" = --date ]; then
  date_s
  exit
fi
[ $# = 2 ] || {
  echo "usage: $0 FILE NAME | --date" >&2
  exit 2
}
file=$1 name=$2
trap 'rm -f "$file.files" "$file.tar"' EXIT
files >"$file.files"
[ -s "$file.files" ] || {
  echo "$0: no source files in $(pwd)" >&2
  exit 1
}
# S: the target of a symbolic link stays as it is.
tar --create --file "$file.tar" --format=ustar --null --no-recursion --files-from "$file.files" \
  --transform "flags=rS;s,^,$name/," --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$(date_s)"
gzip -9 --no-name <"$file.tar" >"$file.new"
mv "$file.new" "$file"

#!/bin/sh
# packages.sh SET - installs the missing Debian packages of SET if the user is root or has sudo. Otherwise prints one
# line that installs them. The Makefile calls it once for each set and build directory.
#   sets: build python check monitoring pip clients bench bench-python lint fuzz valgrind clang systemd deb deb-check fresh
# `make DEPS=skip` never calls it.
set -eu

# redis-tools and valkey-tools, which Debian 12 lacks, contain the servers, which redis-server and valkey-server would start.
# Each word is PACKAGE, or PACKAGE|OTHER if a release renamed it. With `!CMD` at the end, the command CMD is enough,
# wherever it came from.
build='gcc!cc libc6-dev make!make pkg-config!pkg-config libuv1-dev libinih-dev libxxhash-dev libjansson-dev
  libsmartcols-dev libmicrohttpd-dev libncurses-dev libhiredis-dev libssl-dev scdoc!scdoc'
python='python3-dev python3-numpy'
ctests='check libmsgpack-c-dev|libmsgpack-dev'
check="$python python3-pytest python3-msgpack python3-xxhash $ctests binutils!readelf g++!c++ jq!jq tmux!tmux zsh!zsh
  openssl!openssl redis-tools!redis-check-rdb valkey-tools|redis-tools"
deb='debhelper!dh dh-python!dh_python3 dpkg-dev!dpkg-buildpackage'
case ${1-} in
  build) set_of=$build ;;
  python) set_of="$build $python" ;;
  check) set_of="$build $check" ;;
  # Not in check: the package starts a server where there is a systemd.
  monitoring) set_of='prometheus!promtool' ;;
  pip | clients) set_of="$build python3-dev python3-venv" ;;
  bench) set_of="$build liblmdb-dev" ;;
  bench-python) set_of="$build python3-dev python3-venv" ;;
  lint)
    set_of="$build $check liblmdb-dev clang-format!clang-format clang-tidy!clang-tidy
      shellcheck!shellcheck mypy!mypy black!black pyflakes3!pyflakes3 mandoc!mandoc" ;;
  fuzz | clang) set_of="$build $ctests clang!clang libclang-rt-dev" ;;
  valgrind) set_of="$build $ctests valgrind!valgrind" ;;
  systemd) set_of='systemd!systemd-analyze' ;;
  deb) set_of="$build $python $deb" ;;
  deb-check) set_of="$build $python $deb blhc!blhc lintian!lintian" ;;
  fresh) set_of='mmdebstrap!mmdebstrap git!git util-linux!unshare' ;;
  *)
    echo "usage: $0 build|python|check|monitoring|pip|clients|bench|bench-python|lint|fuzz|valgrind|clang|systemd|deb|deb-check|fresh" >&2
    exit 2
    ;;
esac
# clang's sanitizer library is in a package of its own, whose name has clang's version.
clang_rt() {
  [ -e "$(clang -print-file-name="libclang_rt.asan-$(uname -m).a" 2>/dev/null)" ] ||
    [ -e "$(clang -print-resource-dir 2>/dev/null)/lib/linux/libclang_rt.asan-$(uname -m).a" ]
}

installed() {
  [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = 'install ok installed' ]
}
# Prints the first name in $1 that this release has, or the last one if apt has no lists yet.
known() {
  for p in $(echo "$1" | tr '|' ' '); do
    [ -z "$(apt-cache show --no-all-versions "$p" 2>/dev/null)" ] || break
  done
  echo "$p"
}
missing() {
  for word in $set_of; do
    names=${word%%!*} cmd=
    case $word in *!*) cmd=${word#*!} ;; esac
    [ -z "$cmd" ] || ! command -v "$cmd" >/dev/null || continue
    [ "$names" != libclang-rt-dev ] || ! clang_rt || continue
    found=
    for p in $(echo "$names" | tr '|' ' '); do
      ! installed "$p" || found=yes
    done
    [ -n "$found" ] || known "$names"
  done
}

# Without dpkg this script can install nothing. It looks for the programs and libraries, and names the missing ones.
elsewhere() {
  lacking=
  for c in cc make pkg-config scdoc; do
    command -v "$c" >/dev/null || lacking="$lacking $c"
  done
  libs='libuv inih libxxhash jansson smartcols libmicrohttpd ncursesw hiredis openssl'
  case " $set_of " in *' check '*) libs="$libs check" ;; esac
  for l in $libs; do
    pkg-config --exists "$l" 2>/dev/null || lacking="$lacking $l"
  done
  case " $set_of " in *' check '*)
    pkg-config --exists msgpack 2>/dev/null || pkg-config --exists msgpack-c 2>/dev/null ||
      lacking="$lacking msgpack-c" ;;
  esac
  for module in numpy pytest msgpack xxhash; do
    case " $set_of " in *" python3-$module "*)
      /usr/bin/python3 -c "import $module" 2>/dev/null || lacking="$lacking $module(python3)" ;;
    esac
  done
  [ -z "$lacking" ] || {
    echo "missing:$lacking. Install their development packages (pkg-config must find them), or use DEPS=skip" >&2
    exit 1
  }
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  elsewhere
  exit 0
fi
need=$(missing | tr '\n' ' ')
need=${need% }
[ -n "$need" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    root=none
  elif sudo -n true 2>/dev/null; then
    root='sudo -n'
  elif [ -t 0 ] && [ -t 2 ]; then
    root=sudo # prompts for the password
  else
    root=none
  fi
fi
apt() {
  # shellcheck disable=SC2086 # nothing, or sudo and its option
  $root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 \
    -o Acquire::Retries=3 "$@" </dev/null 9<&-
}
# The line for `make` contains the packages of make check, so that one line is enough for all commands of the README.
give_up() {
  also=
  case $1 in build | python)
    also=' (those of make check are in the line)' set_of="$build $check"
    need=$(missing | tr '\n' ' ')
    ;;
  esac
  line="apt-get update && apt-get install -y --no-install-recommends ${need% }"
  if [ "$(id -u)" = 0 ]; then
    :
  elif command -v sudo >/dev/null; then
    line="sudo sh -c '$line'"
  else
    line="su -c '$line'"
  fi
  echo "fcached's '$1' needs packages that are missing. Install them$also, then try again:" >&2
  echo "  $line" >&2
  exit 1
}
[ "$root" != none ] || give_up "$1"

# make -j requests several sets at once, and only one apt-get may run at a time.
exec 9<"$0"
flock 9
need=$(missing | tr '\n' ' ')
need=${need% }
[ -n "$need" ] || exit 0

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "installing with apt-get: $need" >&2
lists=$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' 2>/dev/null | head -n 1)
[ -n "$lists" ] || apt update >"$log" 2>&1 || true
need=$(missing | tr '\n' ' ') # now apt has lists, and knows the name of a renamed package
# shellcheck disable=SC2086 # a list of words
if ! apt install -y --no-install-recommends $need >"$log" 2>&1; then
  # The lists may be older than the mirror's files.
  if ! { apt update && need=$(missing | tr '\n' ' ') &&
    apt install -y --no-install-recommends $need; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    give_up "$1"
  fi
fi

#!/bin/bash
# check_build.sh - what must hold of the tree and of the built files themselves: the public header
# stands alone, exports and SONAME are as listed, the binaries are hardened, the layers are kept.
# Prints a line for what does not hold, and a count in Check's form.
# Environment: FCACHE_BUILD (the build folder), CC, SAN.
set -uo pipefail # so never "| grep -q": it ends early, and the left side dies of SIGPIPE
export LC_ALL=C
build=${FCACHE_BUILD:-build}
CC=${CC:-cc}
checks=0 failures=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

check() { # check TEXT COMMAND...: one check; what the command prints says what is wrong
  local text=$1
  shift
  checks=$((checks + 1))
  "$@" >"$tmp/out" 2>&1 && return
  failures=$((failures + 1))
  echo "check_build: $text"
  sed 's/^/  /' "$tmp/out"
}

header_c() {
  echo '#include "fcache.h"' >"$tmp/h.c"
  "$CC" -std=c11 -Wall -Wextra -Wpedantic -Werror -Iclient/include -fsyntax-only "$tmp/h.c"
}
header_cxx() {
  local cxx=c++
  case $CC in clang*) cxx=${CC/clang/clang++} ;; esac
  echo '#include "fcache.h"
int main() { return fcache_strerror(0) == nullptr; }' >"$tmp/h.cc"
  "$cxx" -std=c++17 -Wall -Wextra -Werror -Iclient/include -fsyntax-only "$tmp/h.cc"
}
listed() { # one symbol or label a line, without the version's name
  sed 's:/\*.*\*/::; s/#.*//' client/libfcache.map | tr ';:{}' '\n' | tr -d ' \t' |
    grep '^fcache_' | sort -u >"$tmp/map"
}
# What the header declares is what the map lists is what the library exports.
exports() {
  nm -D --defined-only "$build/libfcache.so.0" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' |
    sort -u >"$tmp/so"
  listed
  diff "$tmp/map" "$tmp/so" && [ -s "$tmp/so" ]
}
declared() {
  tr '\n' ' ' <client/include/fcache.h | grep -oE 'FCACHE_API [^;(]*\(' | grep -oE 'fcache_[a-z_]+ *\(' |
    tr -d ' (' | sort -u >"$tmp/h"
  listed
  diff "$tmp/h" "$tmp/map"
}
soname() {
  readelf -d "$build/libfcache.so.0" | grep SONAME
  readelf -d "$build/libfcache.so.0" | grep -c 'SONAME.*\[libfcache\.so\.0\]'
}
needed() { # the library costs its user libxxhash and libc, no more
  ! readelf -d "$build/libfcache.so.0" | grep NEEDED | grep -vE 'libxxhash|libc\.so|ld-linux'
}
pie() { readelf -h "$1" | grep -c 'Type:.*DYN' && readelf -d "$1" | grep -c 'FLAGS_1.*PIE'; }
relro() { readelf -lW "$1" | grep -c GNU_RELRO && readelf -d "$1" | grep -cE 'BIND_NOW|FLAGS.*NOW'; }
nx() { readelf -lW "$1" | grep GNU_STACK | grep -vq 'RWE'; }
protector() { readelf -W --dyn-syms "$1" | grep -c __stack_chk_fail; }
fortify() { readelf -W --dyn-syms "$1" | grep -cE '_chk(@|$)'; }

# C11 has no implicit declarations, yet old compilers only warn: the library would lack a function when it is loaded.
implicit() {
  local flags
  # shellcheck disable=SC2016 # make expands it
  flags=$(make -s --no-print-directory DEPS=skip CFLAGS=-Wno-implicit-function-declaration \
    --eval='show-flags: ; @echo $(FC_CFLAGS)' show-flags) || return
  echo 'int f(void); int f(void) { return g(); }' >"$tmp/implicit.c"
  # shellcheck disable=SC2086 # a list of options
  ! "$CC" ${flags%%-MMD*} -c -o "$tmp/implicit.o" "$tmp/implicit.c" 2>"$tmp/said" && grep implicit "$tmp/said"
}

# The units of a user are where systemd looks for them, and the last words of make install name the command.
home_install() {
  local units=$tmp/.local/share/systemd/user
  make -s --no-print-directory DEPS=skip HOME="$tmp" PREFIX="$tmp/.local" install >"$tmp/said" 2>&1 || return
  cat "$tmp/said"
  grep -F 'systemctl --user enable --now fcached.socket' "$tmp/said" &&
    [ -f "$units/fcached.socket" ] && grep -F "ExecStart=$tmp/.local/bin/fcached " "$units/fcached.service"
}

# Make cannot build in a path with a space; it says so before it does anything.
refuses_space() {
  mkdir -p "$tmp/a space"
  cp Makefile "$tmp/a space"
  ! env -u MAKEFLAGS make -C "$tmp/a space" --no-print-directory >"$tmp/said" 2>&1 && cat "$tmp/said" &&
    [ "$(wc -l <"$tmp/said")" = 1 ] && grep -F "$tmp/a space" "$tmp/said"
}
# make clean removes the build folder: that must not be one with other files in it.
refuses_used_folder() {
  mkdir -p "$tmp/used"
  touch "$tmp/used/file"
  ! env -u MAKEFLAGS make --no-print-directory BUILD="$tmp/used" clean >"$tmp/said" 2>&1 && cat "$tmp/said" &&
    grep -F "BUILD=$tmp/used must be a new or empty folder" "$tmp/said" && [ -e "$tmp/used/file" ]
}

# Virtual environments have the package as it is: all of its files are prerequisites of the installation.
installs_again() {
  # shellcheck disable=SC2016 # make expands it
  make -s --no-print-directory DEPS=skip --eval='show-files: ; @printf "%s\n" $(PACKAGE_SRC)' show-files | sort >"$tmp/made" || return
  find client/python/fcached -name __pycache__ -prune -o -type f -print | sort | comm -23 - "$tmp/made" >"$tmp/missing"
  cat "$tmp/missing"
  [ -s "$tmp/made" ] && [ ! -s "$tmp/missing" ]
}
# With a PYTHONPATH of the user's, the programs in virtual environments would import another package.
own_path() { # own_path TARGET PROGRAM: prints what TARGET's recipe would run PROGRAM with
  make -n --no-print-directory DEPS=skip "$1" >"$tmp/recipe" 2>&1 || { cat "$tmp/recipe"; return 1; }
  grep -B 3 -F "$2" "$tmp/recipe" | sed -E "s:([^ ]*python )?$2.*:printenv PYTHONPATH:" | sed -n '/FCACHED=\|printenv/,/printenv/p' >"$tmp/run"
  cat "$tmp/run"
  [ -s "$tmp/run" ] && [ -z "$(PYTHONPATH=/elsewhere bash "$tmp/run")" ]
}

# The lint finds the same scripts and Python files where git does not answer: another owner's tree, no git.
lint_without_git() {
  mkdir -p "$tmp/bin"
  printf '#!/bin/sh\necho "fatal: detected dubious ownership" >&2\nexit 128\n' >"$tmp/bin/git"
  chmod +x "$tmp/bin/git"
  # shellcheck disable=SC2016 # make expands it
  PATH=$tmp/bin:$PATH make -s --no-print-directory DEPS=skip \
    --eval='show-lint: ; @printf "%s\n" $(PY_ALL) $(SCRIPTS)' show-lint | sort >"$tmp/linted" || return
  {
    find client/python tests -name __pycache__ -prune -o \( -name '*.py' -o -name '*.pyi' \) -print
    grep -rlE '^#!/bin/(ba)?sh' .ci client daemon tests --include='*.sh' --include=run
  } | sort -u | comm -23 - "$tmp/linted" >"$tmp/missing"
  cat "$tmp/missing"
  [ ! -s "$tmp/missing" ]
}

# The Python package has the number of the library in it.
versions() {
  sed -n 's/^VERSION := //p' Makefile >"$tmp/make"
  sed -n 's/^version = "\(.*\)".*/\1/p' client/python/pyproject.toml | diff "$tmp/make" -
}
# A process may hold the C library too, another version of it even: the extension's stays its own.
extension() {
  nm -D --defined-only "$build/python/fcached/_core.so" | awk '{ print $3 }' | sort >"$tmp/core"
  echo PyInit__core | diff - "$tmp/core"
}

includes_none() { # includes_none FOLDER PATTERN: no file under FOLDER includes what matches
  ! grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" --include='*.[ch]' "$1"
}

check 'fcache.h does not compile alone as C11' header_c
check 'fcache.h does not compile alone as C++17' header_cxx
check 'fcache.h declares other functions than client/libfcache.map lists' declared
check 'libfcache.so.0 exports other names than client/libfcache.map lists' exports
check 'libfcache.so.0 has another SONAME' soname
check 'an implicit declaration does not fail the build' implicit
check 'a path with a space is not refused in one line' refuses_space
check 'a build folder with other files in it is not refused' refuses_used_folder
check 'a change of these files of the package would not install it again' installs_again
check 'make check-clients passes PYTHONPATH on' own_path check-clients tests/run_tests.sh
check 'make bench-python passes PYTHONPATH on' own_path bench-python tests/bench/py_hit.py
check 'make lint leaves out files where git does not answer' lint_without_git
check 'client/python/pyproject.toml has another version than the Makefile' versions
check 'the extension exports more than its init' extension
if [ -z "${SAN:-}" ]; then # a sanitizer's build has its own libraries and no fortify
  check 'make install below the home folder does not say how to start the service' home_install
  check 'libfcache.so.0 needs more libraries than it should' needed
  for f in fcached fcachectl; do
    check "$f is not position independent (PIE)" pie "$build/$f"
  done
  for f in fcached fcachectl libfcache.so.0; do
    check "$f is not fully RELRO with BIND_NOW" relro "$build/$f"
    check "$f has an executable stack" nx "$build/$f"
    check "$f was built without the stack protector" protector "$build/$f"
    check "$f was built without _FORTIFY_SOURCE" fortify "$build/$f"
  done
fi
check 'daemon/ includes from client/' includes_none daemon 'client/|fcache\.h|\.\./client'
check 'client/ includes from daemon/ or libuv' includes_none client 'daemon/|uv\.h|\.\./daemon'
check 'proto/ includes daemon/, client/ or libuv' includes_none proto 'daemon/|client/|fcache\.h|uv\.h'
check 'the example includes more than the public header' includes_none client/examples 'proto/|client/[a-df-z]'

echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ "$failures" = 0 ]

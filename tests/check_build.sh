#!/bin/bash
# check_build.sh - checks the source tree and the built files: the public header compiles alone, exports and
# SONAME are as listed, the binaries are hardened, the directories keep their layers, and the documentation matches.
# Prints a line for each failed check, and the counts in the format of the Check library.
# Environment: FCACHE_BUILD (the build directory), CC, INSTRUMENTED (not empty for an instrumented build).
set -uo pipefail # "| grep -q" would end early and fail the pipe by SIGPIPE: use "grep >/dev/null" or "grep -c"
export LC_ALL=C
build=${FCACHE_BUILD:-build}
CC=${CC:-cc}
checks=0 failures=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

check() { # check TEXT COMMAND...: counts one check; prints TEXT and the command's output if the command fails
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
listed() { # writes the functions in libfcache.map to $tmp/map, one a line
  sed 's:/\*.*\*/::; s/#.*//' client/libfcache.map | tr ';:{}' '\n' | tr -d ' \t' |
    grep '^fcache_' | sort -u >"$tmp/map"
}
# The header declares, the map lists and the library exports the same functions.
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
debian_symbols() {
  sed -n 's/^ \(fcache_[a-z_]*\)@.*/\1/p' systemd/debian/libfcache0.symbols | sort >"$tmp/symbols"
  diff "$tmp/symbols" "$tmp/map"
}
soname() {
  readelf -d "$build/libfcache.so.0" | grep SONAME
  readelf -d "$build/libfcache.so.0" | grep -c 'SONAME.*\[libfcache\.so\.0\]'
}
needed() { # the library depends on libxxhash and libc alone
  ! readelf -d "$build/libfcache.so.0" | grep NEEDED | grep -vE 'libxxhash|libc\.so|ld-linux'
}
pie() { readelf -h "$1" | grep -c 'Type:.*DYN' && readelf -d "$1" | grep -c 'FLAGS_1.*PIE'; }
relro() { readelf -lW "$1" | grep -c GNU_RELRO && readelf -d "$1" | grep -cE 'BIND_NOW|FLAGS.*NOW'; }
nx() { readelf -lW "$1" | grep GNU_STACK | grep -vq 'RWE'; }
protector() { readelf -W --dyn-syms "$1" | grep -c __stack_chk_fail; }
fortify() { readelf -W --dyn-syms "$1" | grep -cE '_chk(@|$)'; }

# Old compilers only warn about an implicit declaration, and the library would fail to load.
implicit() {
  local flags
  # shellcheck disable=SC2016 # make expands it
  flags=$(make -s --no-print-directory DEPS=skip CFLAGS=-Wno-implicit-function-declaration \
    --eval='show-flags: ; @echo $(FC_CFLAGS)' show-flags) || return
  echo 'int f(void); int f(void) { return g(); }' >"$tmp/implicit.c"
  # shellcheck disable=SC2086 # a list of options
  ! "$CC" ${flags%%-MMD*} -c -o "$tmp/implicit.o" "$tmp/implicit.c" 2>"$tmp/output" && grep implicit "$tmp/output"
}

# An installation in the home directory puts the user units where systemd finds them, and prints how to start them.
home_install() {
  local units=$tmp/.local/share/systemd/user
  make -s --no-print-directory DEPS=skip HOME="$tmp" PREFIX="$tmp/.local" install >"$tmp/output" 2>&1 || return
  cat "$tmp/output"
  grep -F 'systemctl --user enable --now fcached.socket' "$tmp/output" &&
    [ -f "$units/fcached.socket" ] && grep -xF "ExecStart=$tmp/.local/bin/fcached" "$units/fcached.service"
}

# Make cannot build in a path with a space, and prints one line that says so.
refuses_space() {
  mkdir -p "$tmp/a space"
  cp Makefile "$tmp/a space"
  ! env -u MAKEFLAGS make -C "$tmp/a space" --no-print-directory >"$tmp/output" 2>&1 && cat "$tmp/output" &&
    [ "$(wc -l <"$tmp/output")" = 1 ] && grep -F "$tmp/a space" "$tmp/output"
}
# make clean removes the build directory, so a directory with other files is refused.
refuses_used_directory() {
  mkdir -p "$tmp/used"
  touch "$tmp/used/file"
  ! env -u MAKEFLAGS make --no-print-directory BUILD="$tmp/used" clean >"$tmp/output" 2>&1 && cat "$tmp/output" &&
    grep -F "BUILD=$tmp/used must be a new or empty directory" "$tmp/output" && [ -e "$tmp/used/file" ]
}

# The virtual environments depend on every file of the package, so that a change installs it again.
installs_again() {
  # shellcheck disable=SC2016 # make expands it
  make -s --no-print-directory DEPS=skip --eval='show-files: ; @printf "%s\n" $(PACKAGE_SRC)' show-files | sort >"$tmp/made" || return
  find client/python/fcached -name __pycache__ -prune -o -type f -print | sort | comm -23 - "$tmp/made" >"$tmp/missing"
  cat "$tmp/missing"
  [ -s "$tmp/made" ] && [ ! -s "$tmp/missing" ]
}
# The user's PYTHONPATH does not reach programs in virtual environments, which would import another package.
own_path() { # own_path TARGET PROGRAM: runs printenv in place of PROGRAM in TARGET's recipe
  make -n --no-print-directory DEPS=skip "$1" >"$tmp/recipe" 2>&1 || { cat "$tmp/recipe"; return 1; }
  grep -B 3 -F "$2" "$tmp/recipe" | sed -E "s:([^ ]*python )?$2.*:printenv PYTHONPATH:" | sed -n '/FCACHED=\|printenv/,/printenv/p' >"$tmp/run"
  cat "$tmp/run"
  [ -s "$tmp/run" ] && [ -z "$(PYTHONPATH=/elsewhere bash "$tmp/run")" ]
}

# The lint finds all scripts and Python files without git, which refuses the tree of another owner.
lint_without_git() {
  mkdir -p "$tmp/bin"
  printf '#!/bin/sh\necho "fatal: detected dubious ownership" >&2\nexit 128\n' >"$tmp/bin/git"
  chmod +x "$tmp/bin/git"
  # shellcheck disable=SC2016 # make expands it
  PATH=$tmp/bin:$PATH make -s --no-print-directory DEPS=skip \
    --eval='show-lint: ; @printf "%s\n" $(PY_ALL) $(SCRIPTS)' show-lint | sort >"$tmp/linted" || return
  {
    find client/python tests -name __pycache__ -prune -o \( -name '*.py' -o -name '*.pyi' \) -print
    grep -rlE '^#!/bin/(ba)?sh' client daemon tests --include='*.sh'
  } | sort -u | comm -23 - "$tmp/linted" >"$tmp/missing"
  cat "$tmp/missing"
  [ ! -s "$tmp/missing" ]
}

# A source tree without dot-files, as some archives are, builds, installs and runs the tests.
without_dot_files() {
  local part
  mkdir "$tmp/plain"
  for part in *; do
    [ "$part" = build ] || cp -r "$part" "$tmp/plain/"
  done
  find "$tmp/plain" -name '.?*' -prune -exec rm -rf {} +
  make -C "$tmp/plain" -n --no-print-directory DEPS=skip all check man install >"$tmp/recipes" || return
  ! grep -oE '[^ ]*/?\.(ci|clang[^/ ]*|git[^/ ]*)[^ ]*' "$tmp/recipes"
}

# The Python package has the version of the library.
versions() {
  sed -n 's/^VERSION := //p' Makefile >"$tmp/make"
  sed -n 's/^version = "\(.*\)".*/\1/p' client/python/pyproject.toml | diff "$tmp/make" -
}
# The extension keeps its copy of the library to itself: the process may have loaded another version of it.
extension() {
  nm -D --defined-only "$build/python/fcached/_core.so" | awk '{ print $3 }' | sort >"$tmp/core"
  echo PyInit__core | diff - "$tmp/core"
}

includes_none() { # includes_none DIRECTORY PATTERN: no file below DIRECTORY includes a file that matches
  ! grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" --include='*.[ch]' "$1"
}

check 'fcache.h does not compile alone as C11' header_c
check 'fcache.h does not compile alone as C++17' header_cxx
check 'fcache.h and client/libfcache.map have different functions' declared
check 'libfcache.so.0 and client/libfcache.map have different functions' exports
check 'systemd/debian/libfcache0.symbols and client/libfcache.map have different functions' debian_symbols
check 'the SONAME of libfcache.so.0 is wrong' soname
check 'an implicit declaration does not fail the build' implicit
check 'make does not refuse a path with a space in one line' refuses_space
check 'make does not refuse a build directory with other files in it' refuses_used_directory
check 'a change of these files would not install the package again' installs_again
check 'make check-clients passes PYTHONPATH on' own_path check-clients tests/run_tests.sh
check 'make bench-python passes PYTHONPATH on' own_path bench-python tests/bench/py_hit.py
check 'make lint leaves out files if git fails' lint_without_git
check 'make needs dot-files' without_dot_files
check 'client/python/pyproject.toml and the Makefile have different versions' versions
check 'the extension exports more than its init function' extension
check 'the documentation does not match' python3 -B tests/check_docs.py "$build"
if [ -z "${INSTRUMENTED:-}" ]; then # an instrumented build has other libraries, and no fortify
  check 'make install in the home directory does not print how to start the service' home_install
  check 'libfcache.so.0 depends on other libraries' needed
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
check 'a file includes from a layer above its own, or modules include each other in a circle' \
  python3 -B tests/check_layers.py
check 'an example includes more than the public header' includes_none client/examples 'proto/|client/[a-df-z]|daemon/'

echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ "$failures" = 0 ]

#!/bin/bash
# run.sh - tests the last commit on AArch64. Compiles everything but the Python package with a cross compiler, with
# warnings as errors, checks the machine code, and runs the unit tests in an emulator, all in a minimal Debian 13 that
# tests/fresh/root.sh creates. Prints `N passed, N failed`.
#   run.sh inside     the part that runs in that Debian, in the source directory
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
cross=aarch64-linux-gnu

# has FILE WORD...: checks that the machine code of FILE contains each instruction.
has() {
  local file=$1 word code
  shift
  code=$("$cross-objdump" -d --no-show-raw-insn "$file") || return
  for word in "$@"; do
    awk -v word="$word" '$2 == word { found = 1 } END { exit !found }' <<<"$code" || {
      echo "--- $file has no $word"
      return 1
    }
  done
}

inside() {
  export PKG_CONFIG_LIBDIR=/usr/lib/$cross/pkgconfig:/usr/share/pkgconfig
  make -j"$(nproc)" DEPS=skip WERROR=1 CC="$cross-gcc" AR="$cross-ar" OBJCOPY="$cross-objcopy" \
    EMULATOR=qemu-aarch64 check-emulated || return
  # Return addresses are signed, jump targets are marked, and the reader pauses with isb.
  has build/fcached paciasp bti && has build/libfcache.so.0 paciasp bti && has build/pic/client/lib/shm/region_reader.o isb || return
  qemu-aarch64 build/fcached --version | grep '^fcached [0-9]' && qemu-aarch64 build/fcachectl --version || return
  echo '1 passed, 0 failed' # the checks of the machine code
}

if [ "${1-}" = inside ]; then
  inside
  exit
fi
if [ "$(id -u)" != 0 ]; then
  echo 'skipped: aarch64: needs root, to create another root file system'
  echo '0 passed, 0 failed, 1 skipped'
  exit 0
fi
tests/packages.sh fresh || exit 1
packages=gcc-$cross,pkg-config,qemu-user
for library in libc6-dev libuv1-dev libinih-dev libmsgpack-c-dev libxxhash-dev libjansson-dev libsmartcols-dev \
  libmicrohttpd-dev libncurses-dev libhiredis-dev libssl-dev check; do
  packages+=,$library:arm64
done
unset MAKEFLAGS # its job descriptors are not open there
FRESH_FOREIGN=arm64 FRESH_PACKAGES=$packages exec tests/fresh/root.sh trixie . 'tests/aarch64/run.sh inside'

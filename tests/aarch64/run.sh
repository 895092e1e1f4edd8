#!/bin/bash
# run.sh - the last commit on AArch64: compiles all of it but the Python package with a cross compiler, warnings being
# errors, looks at what came out, and runs the unit tests in an emulator. All of that in a minimal Debian 13 of its own,
# which tests/fresh/root.sh makes. Prints `N passed, N failed`.
#   run.sh inside     what runs in that Debian, in the folder of the sources
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
cross=aarch64-linux-gnu

# has FILE WORD...: its machine code has an instruction of each name.
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
  # Return addresses are signed, jumps land at marks, and the reader's pause is one.
  has build/fcached paciasp bti && has build/libfcache.so.0 paciasp bti && has build/pic/client/lib/shm/region_reader.o isb || return
  qemu-aarch64 build/fcached --version | grep '^fcached [0-9]' && qemu-aarch64 build/fcachectl --version || return
  echo '1 passed, 0 failed' # of what came out
}

if [ "${1-}" = inside ]; then
  inside
  exit
fi
if [ "$(id -u)" != 0 ]; then
  echo 'skipped: aarch64: a root for another Debian is made by root only'
  echo '0 passed, 0 failed, 1 skipped'
  exit 0
fi
tests/packages.sh fresh || exit 1
packages=gcc-$cross,pkg-config,qemu-user
for library in libc6-dev libuv1-dev libmsgpack-c-dev libxxhash-dev libjansson-dev libsmartcols-dev check; do
  packages+=,$library:arm64
done
unset MAKEFLAGS # whose file descriptors for jobs do not get there
FRESH_FOREIGN=arm64 FRESH_PACKAGES=$packages exec tests/fresh/root.sh trixie . 'tests/aarch64/run.sh inside'

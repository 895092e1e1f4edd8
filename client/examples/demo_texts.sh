#!/bin/sh
# demo_texts.sh - sets the arguments of the script that reads it to the files that the model reads.
#   DEMO_TEXT="a b"   these files instead of the system's licence texts

# Licences of some length: the view ft adapts to the last one. A minimal system may have none at all.
# Then the model reads the pages of this project.
pages=$(dirname "$0")/../../docs
texts=$(find /usr/share/common-licenses -type f -size +12k 2>/dev/null | LC_ALL=C sort)
# shellcheck disable=SC2086 # words, not one file name
set -- ${DEMO_TEXT:-${texts:-$pages/limits.md $pages/region.md $pages/protocol.md}}

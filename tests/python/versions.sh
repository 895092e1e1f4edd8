#!/bin/bash
# versions.sh DIRECTORY - for each version of Python that the package promises (the classifiers of pyproject.toml): build it
# with pip in a virtual environment below DIRECTORY, install it, run its tests against the installed package. pip must refuse
# a version older than those. Names versions that this machine does not have: on PATH or as pyenv installed them.
# Environment: that of run_tests.sh, FCACHED, FCACHECTL and TEST_JOBS. Prints one `N passed, N failed, N skipped`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
directory=$1
package=client/python
passed=0 failed=0 skipped=0
unset PYTHONPATH PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK=1
mkdir -p "$directory"

# The path of a Python of version $1 that can make virtual environments; false if there is none.
find_python() {
  local candidate root
  root=$(pyenv root 2>/dev/null)
  for candidate in "$(command -v "python$1")" "${root:+$root/versions/$1}".*/bin/python3; do
    if [ "$("$candidate" -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

count() { # count STATUS TEXT: one check
  if [ "$1" = 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL: $2"
  fi
}

install() { # install VERSION PYTHON: the package and what its tests need
  local bin=$directory/$1/bin
  rm -rf "${directory:?}/$1" && "$2" -m venv "$directory/$1" &&
    "$bin/pip" wheel -qq --no-deps -w "$directory/$1/wheel" "./$package" &&
    "$bin/pip" install -qq numpy msgpack xxhash pytest "$directory/$1"/wheel/*.whl &&
    (cd "$directory" && "$bin/python" -W error -c 'import fcached, fcached._core')
}

run_tests() { # run_tests VERSION: adds its counts
  local out p f
  out=$(TEST_PYTHON=$directory/$1/bin/python tests/run_tests.sh "${TEST_JOBS:-2}" "$directory/$1/log" tests/python/test_*.py)
  sed '$d' <<<"$out" # the last line is the count
  read -r p _ f _ < <(tail -n 1 <<<"$out")
  passed=$((passed + p)) failed=$((failed + f))
}

promised=$(sed -n 's/.*"Programming Language :: Python :: \([0-9]*\.[0-9]*\)".*/\1/p' $package/pyproject.toml)
count "$([ -n "$promised" ]; echo $?)" "no classifier of $package/pyproject.toml names a version"
for version in $promised; do
  if ! python=$(find_python "$version"); then
    echo "skipped: Python $version: this machine has none"
    skipped=$((skipped + 1))
    continue
  fi
  start=$SECONDS
  echo "-- Python $version: $python"
  install "$version" "$python"
  status=$?
  count "$status" "Python $version: the package cannot be built, installed or imported"
  [ "$status" != 0 ] || run_tests "$version"
  echo "-- Python $version: $((SECONDS - start)) s"
done

# The version before the first that is promised.
oldest=${promised%%$'\n'*} older=3.$((${oldest#3.} - 1))
if python=$(find_python "$older"); then
  rm -rf "${directory:?}/$older" && "$python" -m venv "$directory/$older"
  said=$("$directory/$older/bin/pip" install "./$package" 2>&1)
  [[ $said == *"requires a different Python: $older"*"not in '>=$oldest'"* ]]
  count "$?" "Python $older: pip does not refuse the package with the reason: $said"
else
  echo "skipped: Python $older, which must be refused: this machine has none"
  skipped=$((skipped + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]

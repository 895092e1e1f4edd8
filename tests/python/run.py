"""run.py FILE... - pytest over FILEs, counted in the form of Check, which tests/run_tests.sh adds up.

Environment: SAN, the sanitizer of the extension, or empty. CC finds the sanitizer's library, which
must be loaded first because Python itself is built without it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

PRELOADED = "FCACHED_TESTS_PRELOADED"  # set in the environment of the second start
SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tsan.supp")
STUCK_S = "100"  # then pytest prints the stack of each thread. run_tests.sh ends it at 150 s


def sanitizer_environment(san: str) -> dict[str, str]:
    """The environment that Python needs to load an extension built with ``san``."""
    library = {"address": "libasan.so", "thread": "libtsan.so"}
    names = [library[part] for part in san.split(",") if part in library]
    compiler = os.environ.get("CC", "cc")
    found = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in names
    ]
    options = {
        # The interpreter keeps memory until its end. tests/valgrind detects leaks.
        "ASAN_OPTIONS": "detect_leaks=0",
        # Tests fork from processes that have threads, as users do.
        "TSAN_OPTIONS": f"die_after_fork=0:suppressions={SUPPRESSIONS}",
    }
    given = {name: os.environ.get(name, "") for name in options}
    return {
        "LD_PRELOAD": ":".join(found),
        "PYTHONMALLOC": "malloc",  # one allocation each, or an overrun stays within Python's pool
        **{name: ":".join(filter(None, (given[name], options[name]))) for name in options},
    }


def start_again_with_sanitizer() -> None:
    san = os.environ.get("SAN", "")
    if san and PRELOADED not in os.environ:
        environment = {**os.environ, **sanitizer_environment(san), PRELOADED: "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


class Count:
    """A pytest plugin: each test, and each file that cannot be imported, is a check."""

    def __init__(self) -> None:
        self.checks: set[str] = set()
        self.failures: set[str] = set()
        self.errors: set[str] = set()  # in the setup or teardown of a test

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.checks.add(report.nodeid)
            self.errors.add(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            print(f"\nskipped: {report.nodeid}: {reason(report)}")
            return
        if report.when == "call" or report.failed:
            self.checks.add(report.nodeid)
        if report.failed:
            (self.failures if report.when == "call" else self.errors).add(report.nodeid)

    def __str__(self) -> str:
        checks, failures = len(self.checks), len(self.failures)
        errors = len(self.errors - self.failures)
        share = 100 * (checks - failures - errors) // checks if checks else 0
        return f"{share}%: Checks: {checks}, Failures: {failures}, Errors: {errors}"


def reason(report: pytest.TestReport) -> str:
    """Returns the reason that a skipped test gave."""
    if isinstance(report.longrepr, tuple):  # file, line, text
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def main() -> int:
    start_again_with_sanitizer()
    count = Count()
    sys.dont_write_bytecode = True
    # Not in $TMPDIR, which may be long: the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fcached-tests-", dir="/tmp") as directory:
        options = ["-q", "-p", "no:cacheprovider", "--tb=short", f"--basetemp={directory}/t"]
        options += ["-o", f"faulthandler_timeout={STUCK_S}"]
        status = pytest.main([*options, *sys.argv[1:]], plugins=[count])
    print(count, flush=True)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())

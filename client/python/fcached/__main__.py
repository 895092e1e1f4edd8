"""``python -m fcached doctor``: the checks of ``fcachectl doctor``, as a worker of this interpreter."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap

from . import __version__, _core

Finding = tuple[str, str, str, str]


def _of_python() -> list[Finding]:
    return [("ok", "package", f"fcached {__version__} in {sys.executable}", "")]


def _print(level: str, check: str, text: str, advice: str) -> None:
    columns = max(40, shutil.get_terminal_size().columns) if sys.stdout.isatty() else 10**6
    for indent, line in ((f"{level:<8} {check}: ", text), ("         -> ", advice)):
        if line:
            print(textwrap.fill(line, columns, initial_indent=indent, subsequent_indent=" " * 12))


def main(arguments: list[str] | None = None) -> int:
    """Runs a command. Returns its exit status: 0 all is well, 1 something is not, 3 no daemon."""
    parser = argparse.ArgumentParser(prog="python -m fcached")
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="find out why workers share nothing")
    doctor.add_argument("-S", "--socket", help="the daemon's socket (default: the usual places)")
    doctor.add_argument("-j", "--json", action="store_true", help="a JSON array")
    doctor.add_argument("-q", "--quiet", action="store_true", help="only warnings and problems")
    given = parser.parse_args(arguments)
    status, findings = _core._doctor(given.socket, __version__)
    findings = [*_of_python(), *findings]
    levels = [finding[0] for finding in findings]
    if given.quiet:
        findings = [finding for finding in findings if finding[0] != "ok"]
    if given.json:
        names = ("level", "check", "text", "advice")
        print(json.dumps([dict(zip(names, finding)) for finding in findings], indent=1))
    else:
        for finding in findings:
            _print(*finding)
        warnings, problems = levels.count("warning"), levels.count("problem")
        print(
            f"{levels.count('ok')} ok, {warnings} warning{'' if warnings == 1 else 's'}, "
            f"{problems} problem{'' if problems == 1 else 's'}"
        )
    return status


if __name__ == "__main__":
    sys.exit(main())

"""coverage.py DIRECTORY [--files]: prints line and branch coverage of proto, daemon and client, one row for each
directory and one in total. DIRECTORY is a build with COVERAGE=1 in which tests have run. --files adds a row for each
file. A line or branch that is compiled twice (for a program and for the library) is covered if either is."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys

PRODUCTS = ("proto/", "daemon/", "client/")
EXAMPLES = ("client/demo/", "client/examples/")  # which make demo runs, and not make check


class Coverage:
    """The executable lines and branches of one source file, and those that ran."""

    def __init__(self) -> None:
        self.lines: dict[int, bool] = {}
        self.branches: dict[tuple[int, int], bool] = {}

    def add(self, line: dict) -> None:
        number = line["line_number"]
        self.lines[number] = self.lines.get(number, False) or line["count"] > 0
        for index, branch in enumerate(line["branches"]):
            key = (number, index)
            self.branches[key] = self.branches.get(key, False) or branch["count"] > 0


def read(directory: str) -> dict[str, Coverage]:
    files: dict[str, Coverage] = collections.defaultdict(Coverage)
    notes = sorted(
        os.path.join(path, name)
        for path, _, names in os.walk(directory)
        for name in names
        if name.endswith(".gcno") and f"{os.sep}tests{os.sep}" not in os.path.join(path, name)
    )
    for start in range(0, len(notes), 50):
        command = [
            "gcov",
            "--json-format",
            "--branch-probabilities",
            "--stdout",
            *notes[start : start + 50],
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for text in output.splitlines():
            for file in json.loads(text)["files"] if text.startswith("{") else ():
                name = file["file"]
                if name.startswith(PRODUCTS) and not name.startswith(EXAMPLES):
                    for line in file["lines"]:
                        files[name].add(line)
    return files


def percent(ran: int, total: int) -> str:
    return f"{100 * ran / total:5.1f}%" if total else "     -"


def row(name: str, parts: list[Coverage]) -> str:
    lines = [ran for part in parts for ran in part.lines.values()]
    branches = [ran for part in parts for ran in part.branches.values()]
    return (
        f"{name:32} {len(parts):5} {len(lines):7} {percent(sum(lines), len(lines))}"
        f" {len(branches):9} {percent(sum(branches), len(branches))}"
    )


def main() -> int:
    files = read(sys.argv[1])
    if not files:
        print(f"coverage: no counts below {sys.argv[1]}: run make coverage")
        return 1
    print(f"{'DIRECTORY':32} {'FILES':>5} {'LINES':>7} {'RUN':>6} {'BRANCHES':>9} {'TAKEN':>6}")
    directories = collections.defaultdict(list)
    for name, coverage in sorted(files.items()):
        if "--files" in sys.argv:
            print(row(name, [coverage]))
        directories[os.path.dirname(name)].append(coverage)
    for name, parts in sorted(directories.items()):
        print(row(name, parts))
    for product in PRODUCTS:
        print(row(product[:-1], [c for name, c in files.items() if name.startswith(product)]))
    print(row("all", list(files.values())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

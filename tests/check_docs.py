"""check_docs.py [BUILD]: checks the pages against each other, against the sources, and against the programs in the
directory BUILD (build).

Every link in a page leads to a file and a heading that exist. Every source file that a page names exists. The manual
pages of section 3 document every function of fcache.h, and no other. Every option that `fcached --help` prints is in
fcached(8), fcached.conf(5) and the shipped fcached.conf. Every command of fcachectl has a page, with its options and no
others, and a line in fcachectl(1). A manual page that another page refers to exists. docs/errors.md quotes errors
that the sources contain. The contents at the top of a page name all its sections. The commands in the operator's table
of docs/operations.md exist. docs/decisions/README.md lists every decision. Prints each violation, and exits with 1 if there
is one."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

MAN = Path("docs/man")
DECISIONS = Path("docs/decisions")
PAGES = [
    *Path(".").glob("*.md"),
    *Path("docs").rglob("*.md"),
    *Path("client/python").glob("*.md"),
    Path("tests/bench/README.md"),
]
# Files that the pages name and the tree lacks: of other projects, of an example, and removed with its decision.
NOT_OURS = {"uv.h", "worker.c", "tests/bench/arena"}


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.+?) *$", without_blocks(page.read_text()), re.M)
    return {anchor(heading) for heading in headings}


def links() -> list[str]:
    bad = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            path = page.parent / name if name else page
            if not path.exists():
                bad.append(f"{page} links to {target}: there is no such file")
            elif anchor and anchor not in anchors(path):
                bad.append(f"{page} links to {target}: there is no such heading")
    return bad


def files() -> list[str]:
    """Paths and C files that a page names and the tree lacks. A name with capitals stands for several files."""
    roots = ("client", "daemon", "docs", "proto", "systemd", "tests")
    known = {path.name for root in roots for path in Path(root).rglob("*.[ch]")} | NOT_OURS
    bad = []
    for page in [*PAGES, *MAN.glob("*.scd")]:
        text = page.read_text()
        paths = set(re.findall(rf"(?<![\w/.~$-])(?:{'|'.join(roots)})/[\w./-]*\w(?![\w*])", text))
        for path in sorted(paths - NOT_OURS):
            exists = Path(path).exists() or any(Path(".").glob(f"{path}[.-]*"))
            if not exists and not re.search(r"[A-Z]", Path(path).stem):
                bad.append(f"{page} names {path}: there is no such file")
        bad += [
            f"{page} names {name}: there is no such file"
            for name in sorted(set(re.findall(r"`(?:[\w/]+/)?([a-z_0-9]+\.[ch])`", text)) - known)
        ]
    return bad


def functions() -> list[str]:
    header = Path("client/include/fcache.h").read_text()
    declared = set(re.findall(r"FCACHE_API [^;(]*?\b(fcache_\w+)\(", header))
    bad, documented = [], {"fcache", "libfcache"}
    for page in MAN.glob("*.3.scd"):
        text = page.read_text()
        line = re.search(r"^# NAME\n\n(.*?) - ", text, re.M)
        names = line[1].split(", ") if line else []
        documented.update(names)
        bad += [
            f"{page}: no prototype of {n}" for n in names if n in declared and f"{n}(" not in text
        ]
    bad += [
        f"fcache.h declares {name}, which no manual page documents"
        for name in declared - documented
    ]
    bad += [
        f"a manual page documents {name}, which fcache.h lacks"
        for name in documented - declared - {"fcache", "libfcache"}
    ]
    return bad


def help_of(*command: str) -> str:
    return subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout


OPTION = r"(?<![\w-])--[a-z][a-z-]+"
ALL_COMMANDS = {"--socket", "--help", "--usage", "--version"}  # in fcachectl(1)


def options(build: Path) -> list[str]:
    """fcached(8) and fcachectl(1) have each option of the program's help."""
    return [
        f"{program} --help prints {option}, which {page} lacks"
        for program, page in (("fcached", "fcached.8"), ("fcachectl", "fcachectl.1"))
        for option in sorted(set(re.findall(OPTION, help_of(str(build / program)))))
        if not re.search(rf"{option}(?![a-z-])", (MAN / f"{page}.scd").read_text())
    ]


def commands(build: Path) -> list[str]:
    """Each command of fcachectl has a page with its options and no others, and a line in fcachectl(1)."""
    ctl = str(build / "fcachectl")
    names = [n for n in re.findall(r"^  ([a-z]+) ", help_of(ctl), re.M) if n != "help"]
    if len(names) < 10:
        return [f"fcachectl --help: only these commands were found: {names}"]
    overview, bad = (MAN / "fcachectl.1.scd").read_text(), []
    for name in names:
        if not re.search(rf"^\*fcachectl-{name}\*\(1\)$", overview, re.M):
            bad.append(f"fcachectl.1 lacks a line with *fcachectl-{name}*(1)")
        page = MAN / f"fcachectl-{name}.1.scd"
        if not page.exists():
            bad.append(f"the command {name} has no manual page: {page} is missing")
            continue
        described = re.search(r"^# OPTIONS\n(.*?)(?=^# |\Z)", page.read_text(), re.S | re.M)
        lines = re.findall(r"^\*-.*$", described[1] if described else "", re.M)
        has = set(re.findall(OPTION, "\n".join(lines))) - ALL_COMMANDS
        wanted = set(re.findall(rf"^ .*?({OPTION})", help_of(ctl, name), re.M)) - ALL_COMMANDS
        bad += [f"{page.name}: OPTIONS lacks {option}" for option in sorted(wanted - has)]
        bad += [f"{page.name}: {name} has no {option}" for option in sorted(has - wanted)]
    return bad


def references() -> list[str]:
    """Our manual pages that a page refers to exist, and so do those that other pages mention."""
    pages = {path.stem for path in MAN.glob("*.scd")} | {"libfcache.3"}
    pages |= {
        f"{name}.3"
        for name in re.findall(r"\b(fcache_\w+)\(", Path("client/include/fcache.h").read_text())
    }
    return [
        f"{page} refers to {name}({section}): there is no such manual page"
        for page in [*PAGES, *MAN.glob("*.scd")]
        for name, section in sorted(
            set(re.findall(r"[*`](fcache[\w.-]*|libfcache)[*`]?\(([1-8])\)", page.read_text()))
        )
        if f"{name}.{section}" not in pages
    ]


def configuration(build: Path) -> list[str]:
    """The shipped fcached.conf and fcached.conf(5) have each option of fcached as a key, and no other. The shipped file
    is valid, and it stays valid when its defaults are no comments."""
    daemon = str(build / "fcached")
    printed = set(re.findall(r"--([a-z][a-z-]+)[=\[]", help_of(daemon))) - {"config"}
    shipped = Path("systemd/fcached.conf").read_text()
    keys = re.findall(r"^#([a-z-]+) = ", shipped, re.M)
    page = re.findall(
        r"\*([a-z-]+)\*", (MAN / "fcached.conf.5.scd").read_text().split("\n# KEYS\n")[1]
    )
    bad = [f"systemd/fcached.conf and the options differ: {n}" for n in printed ^ set(keys)]
    bad += [f"fcached.conf.5 lacks the key {n}" for n in sorted(printed - set(page))]
    bad += [f"systemd/fcached.conf has {n} twice" for n in keys if keys.count(n) > 1]
    table = re.split(r'^    {"', Path("daemon/config/option_table.c").read_text(), flags=re.M)[1:]
    live = {row.split('"')[0] for row in table if " LIVE," in row}
    marked = set(re.findall(r"\(reload\)\n#([a-z-]+) = ", shipped))
    bad += [
        f"systemd/fcached.conf marks {n} as (reload), or not: see option_table.c"
        for n in live ^ marked
    ]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "fcached.conf"
        for text in (shipped, re.sub(r"^#([a-z-]+ = (?![A-Z]+$))", r"\1", shipped, flags=re.M)):
            file.write_text(text)
            command = [daemon, "--check-config", f"--config={file}"]
            checked = subprocess.run(command, capture_output=True, text=True, check=False)
            bad += [checked.stderr] if checked.returncode != 0 else []
    return bad


def sources() -> str:
    """All C files as one text, in which adjacent string literals are joined."""
    files = [p for root in ("proto", "daemon", "client") for p in Path(root).rglob("*.[ch]")]
    text = "\n".join(p.read_text() for p in sorted(files))
    return re.sub(r'"\s*(?:PRI\w+\s*)?"', "", text).replace('\\"', '"')


def errors() -> list[str]:
    """Texts in the table of errors that no source file contains. N, PATH, NAME, CMD and ... mean variable parts."""
    table = Path("docs/errors.md").read_text().split("\n## Texts of errors\n")[1]
    code, bad = sources(), []
    for row in re.findall(r"^\| [^|]+ \| ([^|]+) \|", table, re.M):
        for text in re.findall(r"`([^`]+)`", row):
            parts = re.split(r"…|: |\b(?:N|PATH|NAME|CMD)\b", text)
            missing = [p for p in (part.strip() for part in parts) if len(p) > 7 and p not in code]
            bad += [f"docs/errors.md quotes an error that no source has: {p}" for p in missing]
    return bad


def contents() -> list[str]:
    """The contents at the top of a page name all its sections, in their order. They may name subsections too."""
    bad = []
    for page in PAGES:
        text = without_blocks(page.read_text())
        if listed := re.search(r"^Contents: (.*?)\.$", text, re.M | re.S):
            sections = [anchor(heading) for heading in re.findall(r"^## +(.+?) *$", text, re.M)]
            links = re.findall(r"\]\(#([^)]+)\)", listed[1])
            if [link for link in links if link in sections] != sections:
                bad.append(f"{page}: the contents at its top differ from its sections")
    return bad


# What stands for a name, a size and so on in the operator's table.
EXAMPLES = {"CLIENT": "1", "CMD": "true", "FILE": "/dev/null", "SIZE": "64M"}


def misused(build: Path, words: list[str]) -> bool:
    """Whether a command says that it is used wrongly. No daemon runs, and it has a second."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "FCACHE_SOCKET": f"{home}/s", "PATH": "/usr/bin:/bin"}
        command = [str(build / words[0]), *(EXAMPLES.get(word, word) for word in words[1:])]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=1
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 2


def table_commands(build: Path) -> list[str]:
    """The commands of fcached in the last column of the operator's table have the right words and options."""
    table = Path("docs/operations.md").read_text().split("\n| task |")[1].split("\n\n")[0]
    cells = "\n".join(row.rsplit("|", 2)[1] for row in table.splitlines()[2:])
    found = re.findall(r"`((?:fcached|fcachectl) [^`]+)`", cells)
    if len(found) < 20:
        return [f"docs/operations.md: only {len(found)} commands in the table"]
    bad = [
        f"docs/operations.md: `{command}` is no right use of the command"
        for command in found
        if misused(build.resolve(), command.split())
    ]
    for command in found if not bad else []:  # an option may be abbreviated, but not on a page
        program, first, *_ = command.split()
        text = help_of(str(build / program), *([first] if program == "fcachectl" else []))
        bad += [
            f"docs/operations.md: `{command}`: --help has no {option}"
            for option in re.findall(OPTION, command)
            if not re.search(rf"{option}(?![a-z-])", text)
        ]
    return bad


def decisions() -> list[str]:
    index = (DECISIONS / "README.md").read_text()
    files = {path.name for path in DECISIONS.glob("[0-9]*.md")}
    return [
        f"{DECISIONS}/README.md does not list {name}" for name in sorted(files) if name not in index
    ]


def main() -> int:
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    bad = (
        links()
        + files()
        + functions()
        + options(build)
        + commands(build)
        + references()
        + configuration(build)
        + errors()
        + contents()
        + table_commands(build)
        + decisions()
    )
    if bad:
        print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

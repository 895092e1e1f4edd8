"""page_commands.py: finds the commands in a page, and the output that the page shows for each.

A command is

- in a block ``console``, the rest of a line that begins with ``$ `` or ``# ``. Lines that begin with ``> ``, or that
  follow a backslash at the end of a line, continue it. The lines up to the next command are its output.
- in a block ``sh``, each line. Nothing is known about its output.
- in Markdown, a line that is indented by four spaces after an empty line. In a manual page, a line of a literal block.
  Lines that do not begin with the name of a program are no commands.

A comment above a block says what the commands need. It begins with ``<!-- `` in Markdown and with ``; `` in a manual
page:

    <!-- scene: NAME [WORD...] -->   see scenes.py
    <!-- run by: TARGET -->          the target of the Makefile that runs them
    <!-- not run: REASON -->         no test runs them

Commands for the service manager and the package manager run in a system of their own (system_commands.py), the others on
this machine (test_commands.py).
"""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass, field
from pathlib import Path

# A literal block of a manual page and an indented line may be something else than a command.
PROGRAMS = re.compile(
    r"(?:[A-Z_]+=\S* )*(?:sudo |\./)?(?:adduser|apt|apt-get|curl|fcached|fcachectl|journalctl|make|pip|python3?|systemctl|"
    r"systemd-\w+|\./\S+)\b(?!:)"
)

NOTE = re.compile(r"(?:<!-- |; )(?:scene: ([\w -]+?)|run by: ([\w-]+)|(not run): .+?)(?: -->)?$")
SYSTEM = re.compile(r"\b(systemctl|systemd-\w+|journalctl|apt|apt-get|sudo)\b")


@dataclass
class Command:
    text: str
    output: list[str] | None = None  # None: the page shows none


@dataclass
class Block:
    page: Path
    line: int
    scene: str | None
    elsewhere: str | None  # the target that runs it
    skipped: bool
    commands: list[Command] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _console(lines: list[str]) -> list[Command]:
    commands: list[Command] = []
    for line in lines:
        last = commands[-1] if commands else None
        if line[:2] in ("$ ", "# "):
            commands.append(Command(line[2:], []))
        elif last and not last.output and (line[:2] == "> " or last.text.endswith("\\")):
            last.text += "\n" + line.removeprefix("> ")
        elif last and last.output is not None:
            last.output.append(line)
    return commands


def _plain(lines: list[str]) -> list[Command]:
    return [Command(line.strip()) for line in lines if line.strip()]


def _programs(lines: list[str]) -> list[Command]:
    return [command for command in _plain(lines) if PROGRAMS.match(command.text)]


def _literal(text: str) -> list[tuple[int, str, list[str]]]:
    """The blocks of a page: the number of the first line, the kind, and the lines. The kind of lines that are
    indented is ``indented``."""
    blocks: list[tuple[int, str, list[str]]] = []
    inside = ""  # "fence", "indent" or neither
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if inside != "fence":
                blocks.append((number, line[3:].strip(), []))
            inside = "" if inside == "fence" else "fence"
        elif inside == "fence":
            blocks[-1][2].append(line)
        elif line.startswith("    ") and (inside == "indent" or not before.strip()):
            if inside != "indent":
                blocks.append((number, "indented", []))
            inside = "indent"
            blocks[-1][2].append(line)
        else:
            inside = ""
        before = line
    return blocks


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page that have commands, in their order."""
    text = page.read_text()
    lines = text.splitlines()
    manual = page.suffix == ".scd"
    found = []
    for number, kind, inner in _literal(text):
        take = {"console": _console, "sh": _plain, "indented": _programs}.get(kind)
        if manual and kind == "":
            take = _programs
        if take is None or not (commands := take(inner)):
            continue
        above = next((line for line in reversed(lines[: number - 1]) if line.strip()), "")
        note = NOTE.match(above)
        scene, elsewhere, skipped = note.groups() if note else (None, None, None)
        found.append(Block(page, number, scene, elsewhere, skipped is not None, commands))
    return found


def is_for_the_system(block: Block) -> bool:
    """A block with a command for the service manager or the package manager, which no target runs by itself."""
    return _runs(block) and any(SYSTEM.search(command.text) for command in block.commands)


def is_for_this_machine(block: Block) -> bool:
    return _runs(block) and not is_for_the_system(block)


def _runs(block: Block) -> bool:
    return block.elsewhere is None and not block.skipped


def masked(line: str, directory: Path) -> str:
    """A line of output without what differs from run to run."""
    line = re.sub(r"; \d+ regions? \(up to .* exit$", "", line)  # left by other tests
    line = re.sub(rf"^{re.escape(getpass.getuser())}: ", "root: ", line)  # fcachectl clients
    line = line.replace(str(directory), "/tmp").replace("/tmp/log/", "/var/log/fcached/")
    line = re.sub(r"\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b", "#", line)
    line = re.sub(r"\d[\d.,:-]*", "#", line)
    line = re.sub(r"(# ?(ns|us|ms|s|m|h|d|B|KiB|MiB|GiB|TiB)?\b\s*)+", "# ", line)
    return " ".join(line.split())

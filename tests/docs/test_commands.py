"""test_commands.py: runs the commands of docs/ and of the manual pages, each page from top to bottom. A page's name is the test's.

Not here: commands for the service manager and the package manager, which tests/systemd runs, and those below a comment
``run by: TARGET``.
"""

from __future__ import annotations

import difflib
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from page_commands import Block, Command, blocks_of  # noqa: E402
from scenes import SCENES, Shell  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "man").glob("*.scd")])
SYSTEM = re.compile(r"\b(systemctl|systemd-\w+|journalctl|apt|apt-get|sudo)\b")


def masked(line: str, directory: Path) -> str:
    """A line without what differs from run to run."""
    line = re.sub(r"; \d+ regions? \(up to .* exit$", "", line)  # left by other tests
    line = line.replace(str(directory), "/tmp").replace("/tmp/log/", "/var/log/fcached/")
    line = re.sub(r"\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b", "#", line)
    line = re.sub(r"\d[\d.,:-]*", "#", line)
    line = re.sub(r"(# ?(ns|us|ms|s|m|h|d|B|KiB|MiB|GiB|TiB)?\b\s*)+", "# ", line)
    return " ".join(line.split())


def check(shell: Shell, block: Block, command: Command, words: set[str]) -> list[str]:
    status, lines = shell.run(command.text.replace("/tmp/", f"{shell.directory}/"))
    shown = command.output
    at = f"{block.page.relative_to(ROOT)}:{block.line}: {command.text}"
    fails = "fails" in words or any(re.match(r"fcache(d|ctl): ", line) for line in shown or [])
    if (status != 0) != fails:
        return [f"{at}: status {status}: {' '.join(lines)}"]
    if shown is None or "exact" not in words:
        return []
    printed = [masked(line, shell.directory) for line in lines]
    wanted = [masked(line, shell.directory) for line in shown]
    return [f"{at}: prints", *difflib.ndiff(wanted, printed)] if printed != wanted else []


def here(block: Block) -> bool:
    return block.elsewhere is None and not any(
        SYSTEM.search(command.text) for command in block.commands
    )


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.name
)
def test_commands_of_page_run(page: Path, tmp_path: Path) -> None:
    bad: list[str] = []
    shell: Shell | None = None
    with ExitStack() as stack:
        for block in filter(here, blocks_of(page)):
            name, *words = (block.scene or "-").split()
            if shell is None or block.scene:
                stack.close()
                shell = stack.enter_context(SCENES[name if block.scene else "empty"](tmp_path))
            for command in block.commands:
                bad += check(shell, block, command, set(words))
    assert not bad, "\n".join(bad)


def test_targets_that_run_commands_elsewhere_exist() -> None:
    makefiles = "".join(
        path.read_text()
        for path in [ROOT / "Makefile", *ROOT.glob("tests/**/*.mk"), *ROOT.glob("systemd/*.mk")]
    )
    named = {block.elsewhere for page in PAGES for block in blocks_of(page) if block.elsewhere}
    assert named == {name for name in named if re.search(rf"^{name}:", makefiles, re.M)}

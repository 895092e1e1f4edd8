"""test_commands.py: runs the commands of docs/ and of the manual pages, each page from top to bottom. A page's name is the test's.

Not here: commands for the service manager and the package manager, which system_commands.py runs, and those below a comment
``run by: TARGET`` or ``not run: REASON``.
"""

from __future__ import annotations

import difflib
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from page_commands import Block, Command, blocks_of, masked  # noqa: E402
from page_commands import is_for_the_system, is_for_this_machine  # noqa: E402
from scenes import SCENES, Shell  # noqa: E402
from system_commands import SCENES as SYSTEM_SCENES  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "man").glob("*.scd")])


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


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.name
)
def test_commands_of_page_run(page: Path, tmp_path: Path) -> None:
    bad: list[str] = []
    shell: Shell | None = None
    with ExitStack() as stack:
        for block in filter(is_for_this_machine, blocks_of(page)):
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


def test_commands_for_the_system_have_a_scene() -> None:
    for page in PAGES:
        scenes = [block.scene for block in blocks_of(page) if is_for_the_system(block)]
        assert scenes[:1] != [None], f"{page.name}: its first block for the system has no scene"
        names = {scene.split()[0] for scene in scenes if scene}
        assert names <= {"same", *SYSTEM_SCENES}, page.name

"""Runs the examples of the manual and compares their output with it.

All ``python`` blocks of a page are one program, which runs with a daemon. A ``text`` block after a
``python`` block is its output, in which "..." matches anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import fcached
import pytest
from conftest import TIMEOUT_S, Daemon

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/python.md", "client/python/README.md")
END_OF_BLOCK = "\x1e"


class Page:
    """``program`` keeps the page's line numbers, so that a traceback points into the page.
    ``expected`` has a line number and the output of each block, or None if the page does not show
    it."""

    def __init__(self, path: Path) -> None:
        self.expected: list[tuple[int, str | None]] = []
        lines, kind, text = [], None, ""
        ended_block = False  # nothing but empty lines since a python block
        for number, line in enumerate(path.read_text().splitlines(), 1):
            fence = re.fullmatch(r"```(\w*)", line)
            kept = ""
            if kind is not None and fence:
                if kind == "python":
                    kept, ended_block = f"print({END_OF_BLOCK!r}, end='')", True
                    self.expected.append((number, None))
                elif kind == "text" and ended_block:
                    self.expected[-1] = (number, text)
                    ended_block = False
                kind = None
            elif fence:
                kind, text = fence[1], ""
                ended_block = ended_block and kind == "text"
            elif kind is not None:
                kept, text = (line if kind == "python" else ""), f"{text}{line}\n"
            elif line:
                ended_block = False
            lines.append(kept)
        assert kind is None, f"{path}: a block is not closed"
        self.program = "\n".join(lines) + "\n"


def matches(printed: str, expected: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("..."))), printed, re.S) is not None


def write_model(directory: Path) -> None:
    """Writes the page's model ./gpt2. namespace_for does not load it."""
    directory.mkdir()
    (directory / "config.json").write_text('{"model_type": "gpt2"}')
    (directory / "model.safetensors").write_bytes(bytes(1000))


@pytest.mark.parametrize("name", PAGES)
def test_page_examples_print_documented_output(name: str, tmp_path: Path, daemon: Daemon) -> None:
    page = Page(ROOT / name)
    assert page.expected, "the page has examples"
    work = tmp_path / "work"
    work.mkdir()
    write_model(work / "gpt2")
    (work / "example.py").write_text(page.program)
    environment = {**os.environ, "FCACHE_SOCKET": daemon.socket, "HOME": str(work)}
    environment["PYTHONPATH"] = str(Path(fcached.__file__).parents[1])
    environment.pop("XDG_CACHE_HOME", None)
    run = subprocess.run(
        [sys.executable, "example.py"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert run.returncode == 0, f"{name}, lines as in the page:\n{run.stderr}"
    printed = run.stdout.split(END_OF_BLOCK)
    assert len(printed) == len(page.expected) + 1 and printed[-1] == ""
    for text, (number, expected) in zip(printed, page.expected):
        assert matches(text, expected or ""), f"{name}:{number} prints\n{text}\nnot\n{expected}"


def test_page_links_name_existing_files() -> None:
    for name in (*PAGES, "docs/logprobs.md"):
        path = ROOT / name
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{name} links to {target}"


def test_page_links_name_existing_headings() -> None:
    for name in (*PAGES, "docs/logprobs.md"):
        text = (ROOT / name).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.M)
        anchors = {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings
        }
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors, name


def test_manual_mentions_every_error_and_method() -> None:
    text = (ROOT / "docs/python.md").read_text()
    errors = {
        name
        for name, value in vars(fcached.errors).items()
        if isinstance(value, type) and issubclass(value, fcached.Error) and name != "Error"
    }
    assert {name for name in errors if f"`{name}`" not in text} == set()
    methods = [name for name in dir(fcached.Client) if not name.startswith("_")]
    named = {name for name in methods if re.search(rf"\b{name}\b", text)}
    assert set(methods) - named == set()

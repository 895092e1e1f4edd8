"""Replaces the package by which dlm-sway reads documents with sections, which is not installed.
With ``documents`` on PYTHONPATH, sway's ``dlm_source`` may be any Markdown file: each heading of
the second level begins a section of prose. Then the probes run that need the sections a model was
trained on (leakage, section_internalization, style_fingerprint).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Frontmatter:
    dlm_id: str
    base_model: str


@dataclass(frozen=True)
class Section:
    type: str
    content: str


@dataclass(frozen=True)
class Document:
    frontmatter: Frontmatter
    sections: tuple[Section, ...]


def parse_file(path: Path) -> Document:
    """The function that sway's resolver calls."""
    sections = path.read_text("utf-8").split("\n## ")[1:]
    return Document(
        Frontmatter(dlm_id=path.stem, base_model="hf:none"),
        tuple(Section("PROSE", section) for section in sections),
    )

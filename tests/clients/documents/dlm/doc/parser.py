"""Documents with sections for dlm-sway, which reads them with another package that is not here.

Put this folder's ``documents`` on PYTHONPATH, and sway's ``dlm_source`` may be any Markdown file:
each heading of the second level begins a section of prose. The probes that need the sections that a
model was trained on (leakage, section_internalization, style_fingerprint) then run.
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
    """What sway's resolver asks for."""
    sections = path.read_text("utf-8").split("\n## ")[1:]
    return Document(
        Frontmatter(dlm_id=path.stem, base_model="hf:none"),
        tuple(Section("PROSE", section) for section in sections),
    )

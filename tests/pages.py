"""The pages that readers see, and the code on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
    ROOT / "examples" / "browser" / "README.md",
    ROOT / "recipes" / "README.md",
]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}-{self.number}"

    @property
    def commands(self) -> list[str]:
        """What follows a `$` in a console block, comments and all."""
        return re.findall(r"^\$ (.+)", self.text, re.M) if self.language == "console" else []


def blocks(*languages: str) -> Iterator[Block]:
    """The blocks in these languages, page by page."""
    for page in PAGES:
        found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
        for number, (language, text) in enumerate(found, 1):
            if language in languages:
                yield Block(page, number, language, text)

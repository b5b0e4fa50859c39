"""One row of a source: a poster's name, and where it lies or what it holds."""

from __future__ import annotations

from dataclasses import dataclass

from onesheet.batch.storage import fetch
from onesheet.errors import UnreadablePoster


@dataclass(frozen=True, slots=True)
class Entry:
    """One poster, whole or not; its `str` is its path.

    Attributes:
        path: as the answer names it.
        content: a path or URL, or the bytes of an image file.
        error: why there is no poster; "" where there is one.
    """

    path: str
    content: str | bytes = b""
    error: str = ""

    def __str__(self) -> str:
        return self.path

    def read(self) -> str | bytes:
        """The poster's bytes, or the path of a local file.

        Raises:
            UnreadablePoster: there is none, or it cannot be fetched.
        """
        if self.error:
            raise UnreadablePoster(self.error, reason="unreadable")
        return fetch(self.content) if isinstance(self.content, str) else self.content

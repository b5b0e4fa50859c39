"""How much the service takes at most."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from onesheet.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one service takes; beyond it, it says no.

    Attributes:
        file_bytes: size of one image file; 413 above.
        request_bytes: size of one request; 413 above. All requests together may hold `HELD_REQUESTS` times this in
            memory; 429 above.
        pixels: of one poster, width × height; an unreadable poster above.
        queue: posters waiting, and files in one request; 429 and 413 above.
        seconds: from a request's first byte to its answer; 408 or 504 after.

    Raises:
        ConfigError: a limit is not above 0.
    """

    file_bytes: int = 20_000_000
    request_bytes: int = 64_000_000
    pixels: int = 50_000_000
    queue: int = 512
    seconds: float = 60.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not value > 0:
                raise ConfigError(f"the limit {item.name} must be above 0; got {value}")

    def to_dict(self) -> dict[str, float]:
        """The JSON form."""
        return asdict(self)


HELD_REQUESTS = 4
"""Requests of full size whose bodies may be in memory at the same time."""

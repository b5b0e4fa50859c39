"""How fast and how long a service is asked."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How a service that does not answer is asked again.

    Attributes:
        tries: times that one thing is asked for.
        first_seconds: the first pause; each further one is twice as long, give or take a half.
        longest_seconds: the longest pause; a service that asks for a longer one is left alone.
        timeout_seconds: how long an answer may be silent.
        whole_seconds: how long an answer may take in all.
    """

    tries: int = 5
    first_seconds: float = 1.0
    longest_seconds: float = 120.0
    timeout_seconds: float = 20.0
    whole_seconds: float = 120.0

    def pause(self, tried: int, rng: random.Random) -> float:
        """Seconds to wait after so many tries."""
        return min(self.longest_seconds, self.first_seconds * 2.0 ** (tried - 1) * rng.uniform(0.5, 1.5))


class Stopped(Exception):
    """The fetch has ended; waiting threads give up."""


class Pace:
    """Turns at one host, for all threads: at most so many a second, none while it wants to be left alone."""

    def __init__(self, per_second: float, stopped: threading.Event) -> None:
        """A pace of `per_second` turns; once `stopped` is set no thread waits any more."""
        self._seconds = 1 / per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = stopped

    def turn(self) -> None:
        """Wait for a turn.

        Raises:
            Stopped: the end has come.
        """
        while True:
            with self._lock:
                now = time.monotonic()
                if self._next <= now:
                    self._next = max(self._next + self._seconds, now)
                    break
                wait = self._next - now
            self.rest(wait)
        self.rest(0)

    def hold(self, seconds: float) -> None:
        """No thread has a turn for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def rest(self, seconds: float) -> None:
        """Wait.

        Raises:
            Stopped: the end has come.
        """
        if self._stopped.wait(seconds):
            raise Stopped


def retry_after(written: str | None) -> float | None:
    """The seconds of a Retry-After header, a number or a date; None where there is none.

    Example:
        >>> retry_after("2.5"), retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), retry_after("soon"), retry_after(None)
        (2.5, 0.0, None, None)
    """
    try:
        return max(0.0, float(written or ""))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(written or "").timestamp() - time.time())
    except (TypeError, ValueError):
        return None

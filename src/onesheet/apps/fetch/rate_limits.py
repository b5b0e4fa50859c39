"""Rate limits and retries."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after which pauses a request is retried.

    Attributes:
        tries: most requests for one film or poster.
        first_seconds: first pause; each further one doubles, give or take a half.
        longest_seconds: longest pause; a host that requires a longer one gets no more requests.
        timeout_seconds: longest silence of an answer.
        whole_seconds: longest duration of an answer.
    """

    tries: int = 5
    first_seconds: float = 1.0
    longest_seconds: float = 120.0
    timeout_seconds: float = 20.0
    whole_seconds: float = 120.0

    def pause(self, tried: int, rng: random.Random) -> float:
        """Seconds to wait after this number of tries."""
        return min(self.longest_seconds, self.first_seconds * 2.0 ** (tried - 1) * rng.uniform(0.5, 1.5))


class Stopped(Exception):
    """The fetch has ended; waiting threads stop."""


class RateLimit:
    """Rate limit of one host for all threads: requests per second, and pauses that the host requires."""

    def __init__(self, per_second: float, stopped: threading.Event) -> None:
        """Allow `per_second` requests; once `stopped` is set, no thread waits."""
        self._seconds = 1 / per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = stopped

    def turn(self) -> None:
        """Wait until the next request is allowed.

        Raises:
            Stopped: the fetch has ended.
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
        """Allow no request for this number of seconds."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def rest(self, seconds: float) -> None:
        """Wait.

        Raises:
            Stopped: the fetch has ended.
        """
        if self._stopped.wait(seconds):
            raise Stopped


def retry_after(written: str | None) -> float | None:
    """The seconds of a Retry-After header, a number or a date; None if there is none.

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

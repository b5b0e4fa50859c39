"""What the service counts, in Prometheus' form."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
POSTERS = (1, 2, 3, 4, 5, 6, 7, 8)


class Measures:
    """Counters of one service.

    Attributes:
        requests: by route (its pattern, not the requested path) and HTTP status.
        seconds: from a request's first byte to the end of its answer, by route.
        in_flight: requests being worked on.
        posters: posters scored.
        failures: posters that could not be read, by reason.
        batches: posters scored in one call of the model.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("onesheet_requests", "Requests answered.", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "onesheet_request_seconds", "Time to the end of the answer.", ["route"], buckets=SECONDS, registry=registry
        )
        self.in_flight = Gauge("onesheet_requests_in_flight", "Requests being worked on.", registry=registry)
        self.posters = Counter("onesheet_posters", "Posters scored.", registry=registry)
        self.failures = Counter("onesheet_failures", "Posters that could not be read.", ["reason"], registry=registry)
        self.batches = Histogram(
            "onesheet_batch_posters", "Posters scored in one call.", buckets=POSTERS, registry=registry
        )
        self._queue = Gauge("onesheet_queue_posters", "Posters waiting.", registry=registry)

    def watch_queue(self, length: Callable[[], float]) -> None:
        """Ask `length` for the queue's length whenever the metrics are read."""
        self._queue.set_function(length)

    def text(self) -> bytes:
        """The metrics in Prometheus' text form."""
        return generate_latest(self._registry)

"""One queue for all requests: posters that wait together are scored together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from onesheet.apps.serving.limits import Limits
from onesheet.apps.serving.service_metrics import Measures
from onesheet.bundle import Scores
from onesheet.errors import RequestRejected, UnreadablePoster
from onesheet.images import read_poster
from onesheet.predict import Predictor
from onesheet.predict.predictor import BATCH
from onesheet.threads import thread_count

RETRY_SECONDS = 1  # what a client that finds the queue full should wait


Result = TypeVar("Result")


class Waiting(NamedTuple):
    """A poster in the queue: an image file's bytes, or uint8 H×W×3 of the card's size; and who waits for its scores."""

    poster: bytes | NDArray[np.uint8]
    answer: Future[Scores]


class Task(NamedTuple):
    """Other work on one poster in the queue, and who waits for what it returns."""

    work: Callable[[], Any]
    answer: Future[Any]


class Batcher:
    """Posters from all requests, decoded and scored by one worker a core, in the order they came."""

    def __init__(self, predictor: Predictor, *, limits: Limits, measures: Measures, threads: int | None = None) -> None:
        self._predictor = predictor
        self._limits = limits
        self._measures = measures
        self._threads = thread_count(threads)
        self._queue: deque[Waiting | Task] = deque()
        self._changed = threading.Condition()
        self._workers: list[threading.Thread] = []
        self._stopping = False
        measures.watch_queue(lambda: len(self._queue))

    @property
    def running(self) -> bool:
        """Whether posters given now will be scored."""
        return bool(self._workers) and not self._stopping

    def start(self) -> None:
        """Begin to work."""
        self._stopping = False
        self._workers = [
            threading.Thread(target=self._work, name=f"onesheet-{number}", daemon=True)
            for number in range(self._threads)
        ]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Score what waits, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()
        self._workers = []

    async def score(self, posters: Sequence[bytes | NDArray[np.uint8]]) -> list[Scores | UnreadablePoster]:
        """The scores (N = 1) of each poster, or why it cannot be read, in their order.

        Cancelling this takes the posters out of the queue.

        Raises:
            RequestRejected: 413 for more posters than the queue ever holds, 429 while there is no room for them.
        """
        waiting = [Waiting(poster, Future()) for poster in posters]
        self._put(waiting)
        futures = (asyncio.wrap_future(item.answer) for item in waiting)
        answers = await asyncio.gather(*futures, return_exceptions=True)
        known: list[Scores | UnreadablePoster] = []
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, UnreadablePoster):
                raise answer
            known.append(answer)
        return known

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do other work on one poster, such as a heat map, when its turn comes; it fails as the work does.

        Raises:
            RequestRejected: as `score`.
        """
        task = Task(work, Future())
        self._put([task])
        result: Result = await asyncio.wrap_future(task.answer)
        return result

    def _put(self, waiting: Sequence[Waiting | Task]) -> None:
        if len(waiting) > self._limits.queue:
            raise RequestRejected(
                f"a request may have at most {self._limits.queue:,} posters; got {len(waiting):,}: send them in parts",
                status=413,
            )
        with self._changed:
            if len(self._queue) + len(waiting) > self._limits.queue:
                raise RequestRejected(
                    f"{len(self._queue):,} posters are waiting, and {self._limits.queue:,} may; try again later",
                    status=429,
                )
            self._queue.extend(waiting)
            self._changed.notify(len(waiting))

    def _work(self) -> None:
        while batch := self._take():
            waiting = [item for item in batch if item.answer.set_running_or_notify_cancel()]
            self._answer([item for item in waiting if isinstance(item, Waiting)])
            for item in waiting:
                if isinstance(item, Task):
                    _do(item)

    def _take(self) -> list[Waiting | Task]:
        """This worker's share of what waits; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            share = -(-len(self._queue) // self._threads)
            return [self._queue.popleft() for _ in range(min(share, BATCH))]

    def _answer(self, batch: Sequence[Waiting]) -> None:
        pixels: list[NDArray[np.uint8]] = []
        readable: list[Waiting] = []
        for item in batch:
            try:
                pixels.append(self._decoded(item.poster))
                readable.append(item)
            except Exception as error:  # who waits must hear of it, and the worker must go on
                if isinstance(error, UnreadablePoster):
                    self._measures.failures.labels(error.reason).inc()
                item.answer.set_exception(error)
        if not readable:
            return
        try:
            scores = self._predictor.score(np.stack(pixels))
        except Exception as error:  # likewise
            for item in readable:
                item.answer.set_exception(error)
            return
        self._measures.batches.observe(len(readable))
        self._measures.posters.inc(len(readable))
        for row, item in enumerate(readable):
            item.answer.set_result(_one(scores, row))

    def _decoded(self, poster: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not isinstance(poster, bytes):
            return poster
        card = self._predictor.card
        return read_poster(poster, size=card.size, resize=card.resize, max_pixels=self._limits.pixels)


def _do(task: Task) -> None:
    try:
        task.answer.set_result(task.work())
    except Exception as error:  # who waits must hear of it, and the worker must go on
        task.answer.set_exception(error)


def _one(scores: Scores, row: int) -> Scores:
    rows = slice(row, row + 1)
    return Scores(
        scores.probabilities[rows],
        scores.logits[rows],
        scores.embedding[rows],
        None if scores.evidence is None else scores.evidence[rows],
    )

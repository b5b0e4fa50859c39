"""Batches from a memory-mapped store, in an order that depends on seed and epoch alone, resumable anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from onesheet.packed.store import let_go
from onesheet.speed.prefetch import SideStream, spare_thread, use_one_core
from onesheet.training.device import to_device


class Batch(NamedTuple):
    """One step's input.

    Attributes:
        inputs: uint8 N×H×W×3 posters, transformed ones (float N×3×H×W), or float32 N×D features.
        labels: float32 N×G, NaN where unknown.
        targets: float32 N×G in [0, 1] or NaN, what is to be learnt: the labels, or those softened by teachers.
        seed: seed of everything random in this step.
        weight: of this process's mean loss in the mean of all processes' batches; 1 where it is alone.
    """

    inputs: Tensor
    labels: Tensor
    targets: Tensor
    seed: int
    weight: float


class BatchLoader:
    """Iterates one epoch at a time; its state is (epoch, batch), so a resumed run sees the very same batches.

    Batches differ in size by one poster at most, so that none is too small for batch normalisation. They come on the
    device that trains. The next one is read in another thread while the last is trained on, and transformed there too,
    as a network leaves cores idle between its layers, and a GPU the processor; with a single thread it is transformed
    on request. Several processes draw the same batches and each takes its share of every one, so that
    together they see each row once an epoch.

    Args:
        inputs: N×… array, memory-mapped or not.
        labels: N×G, bool, or float32 with NaN where one is unknown.
        targets: N×G, numbers in [0, 1] or NaN, or the labels.
        rows: int64, the rows to draw from.
        batch_size: rows per batch at most, over all processes.
        seed: shuffles anew each epoch; None = in order.
        share: which of how many processes this is.
        transform: changes a batch; its second argument is the epoch, counted from 0.
    """

    def __init__(
        self,
        inputs: NDArray[Any],
        labels: NDArray[Any],
        targets: NDArray[Any],
        rows: NDArray[np.int64],
        *,
        batch_size: int,
        seed: int | None = None,
        share: tuple[int, int] = (0, 1),
        transform: Callable[[Batch, int], Batch] | None = None,
    ) -> None:
        self._inputs, self._labels, self._targets, self._rows = inputs, labels, targets, rows
        self._seed, self._share, self._transform = seed, share, transform
        self._batches = -(-len(rows) // batch_size)
        self._epoch = self._batch = 0

    def __len__(self) -> int:
        return self._batches

    @property
    def most_rows(self) -> int:
        """This process's rows per epoch, at most."""
        batch_size = -(-len(self._rows) // self._batches)
        return self._batches * -(-batch_size // self._share[1])

    def __iter__(self) -> Iterator[Batch]:
        order = self._rows
        if self._seed is not None:
            order = np.random.default_rng([self._seed, self._epoch]).permutation(order)
        chunks = np.array_split(order, self._batches)
        side, spare = SideStream(), spare_thread()
        with ThreadPoolExecutor(1) as reader:
            use_one_core(reader)

            def read(number: int) -> Future[Batch] | None:
                work = self._read_and_transform if spare else self._read
                return reader.submit(side.run, work, chunks, number) if number < len(chunks) else None

            coming = read(self._batch)
            while coming:
                batch, epoch, number = coming.result(), self._epoch, self._batch + 1
                coming = read(number)
                self._epoch, self._batch = (epoch, number) if number < len(chunks) else (epoch + 1, 0)
                side.hand_over(batch.inputs, batch.labels, batch.targets)
                yield batch if spare else self._transformed(batch, epoch)

    def _read_and_transform(self, chunks: list[NDArray[np.int64]], number: int) -> Batch:
        return self._transformed(self._read(chunks, number), self._epoch)

    def _transformed(self, batch: Batch, epoch: int) -> Batch:
        return self._transform(batch, epoch) if self._transform else batch

    def _read(self, chunks: list[NDArray[np.int64]], number: int) -> Batch:
        rank, processes = self._share
        rows = np.array_split(chunks[number], processes)[rank]
        entropy = [self._seed or 0, self._epoch, number, *([rank] if rank else [])]
        step = np.random.SeedSequence(entropy).generate_state(1, np.uint32)
        inputs, labels, targets = (to_device(array, rows) for array in (self._inputs, self._labels, self._targets))
        let_go(self._inputs)
        weight = len(rows) * processes / len(chunks[number])
        return Batch(inputs, labels.float(), targets.float(), int(step[0]), weight)

    def state_dict(self) -> dict[str, int]:
        """The place of the next batch: epoch and batch."""
        return {"epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from where `state_dict` was taken."""
        self._epoch, self._batch = state["epoch"], state["batch"]

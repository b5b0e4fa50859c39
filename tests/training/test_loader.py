from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread, current_thread

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onesheet.training import loader as module
from onesheet.training.augment import as_floats
from onesheet.training.loader import Batch, BatchLoader


def loader(
    rows: int,
    batch_size: int,
    seed: int | None = 0,
    share: tuple[int, int] = (0, 1),
    transform: Callable[[Batch, int], Batch] | None = None,
) -> BatchLoader:
    inputs = np.arange(2 * rows, dtype=np.uint8 if rows < 120 else np.int32)[:, None]
    labels = np.eye(2 * rows, 3, dtype=bool)
    return BatchLoader(
        *(inputs, labels, labels.astype(np.float32), np.arange(0, 2 * rows, 2)),
        batch_size=batch_size,
        seed=seed,
        share=share,
        transform=transform,
    )


@pytest.fixture(params=[True, False], ids=["spare thread", "one thread"])
def spare(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether batches are transformed ahead."""
    monkeypatch.setattr(module, "spare_thread", lambda: request.param)
    return bool(request.param)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(1, 60), batch_size=st.integers(1, 20), stop=st.integers(0, 200))
@pytest.mark.usefixtures("spare")
def test_every_row_once_an_epoch_and_resumable_at_every_batch(rows: int, batch_size: int, stop: int) -> None:
    whole = loader(rows, batch_size)
    epochs = [list(whole), list(whole)]
    for epoch in epochs:
        assert len(epoch) == len(whole)
        assert sorted(torch.cat([batch.inputs for batch in epoch]).flatten().tolist()) == list(range(0, 2 * rows, 2))
        sizes = [len(batch.inputs) for batch in epoch]
        assert max(sizes) - min(sizes) <= 1 and max(sizes) <= batch_size
    stop %= len(whole)
    first = loader(rows, batch_size)
    taken = [batch for batch, _ in zip(first, range(stop), strict=False)]
    second = loader(rows, batch_size)
    second.load_state_dict({"epoch": 0, "batch": stop})
    seen = taken + list(second) + list(second)
    for one, other in zip(seen, epochs[0] + epochs[1], strict=True):
        assert torch.equal(one.inputs, other.inputs) and one.seed == other.seed


@settings(max_examples=40)
@given(rows=st.integers(1, 60), batch_size=st.integers(1, 20), processes=st.integers(1, 5))
def test_processes_share_the_very_batches_of_one(rows: int, batch_size: int, processes: int) -> None:
    alone = list(loader(rows, batch_size))
    shared = [list(loader(rows, batch_size, share=(rank, processes))) for rank in range(processes)]
    assert {len(batches) for batches in shared} == {len(alone)}
    for whole, *parts in zip(alone, *shared, strict=True):
        assert torch.equal(torch.cat([part.inputs for part in parts]), whole.inputs)
        sizes = [len(part.inputs) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        assert len({part.seed for part in parts}) == processes
        # the mean over processes of their weighted means is the mean over the batch
        means = [part.labels.mean() * part.weight if len(part.labels) else torch.tensor(0.0) for part in parts]
        torch.testing.assert_close(torch.stack(means).mean(), whole.labels.mean())


def test_epochs_differ_and_no_seed_keeps_the_order() -> None:
    shuffled, ordered = loader(50, 10), loader(50, 10, seed=None)
    first, second = ([batch.inputs.flatten().tolist() for batch in shuffled] for _ in range(2))
    assert first != second
    assert torch.cat([batch.inputs for batch in ordered]).flatten().tolist() == list(range(0, 100, 2))


def test_the_state_at_the_end_of_an_epoch_is_the_start_of_the_next() -> None:
    batches = loader(20, 10)
    iterator = iter(batches)
    next(iterator), next(iterator)
    assert batches.state_dict() == {"epoch": 1, "batch": 0}


def test_batches_are_transformed_ahead_where_a_thread_is_spare_and_else_when_asked_for(spare: bool) -> None:
    seen: list[tuple[Thread, int]] = []

    def transform(batch: Batch, epoch: int) -> Batch:
        seen.append((current_thread(), epoch))
        return batch

    batches = loader(8, 2, transform=transform)
    for epoch in range(2):
        for number, _ in enumerate(batches, start=1):
            if spare:
                assert number <= len(seen) - 4 * epoch <= number + 1
            else:
                assert len(seen) == 4 * epoch + number
    assert [epoch for _, epoch in seen] == [0] * 4 + [1] * 4
    assert {thread is current_thread() for thread, _ in seen} == {not spare}


def test_a_share_of_no_rows_passes_too() -> None:
    labels = np.eye(3, dtype=bool)
    posters = np.zeros((3, 6, 4, 3), np.uint8)
    alone = BatchLoader(
        *(posters, labels, labels, np.arange(3)), batch_size=1, seed=0, share=(1, 2), transform=as_floats
    )
    assert [batch.inputs.shape for batch in alone] == [(0, 3, 6, 4)] * 3


def test_the_reader_works_on_one_core_and_all_other_threads_as_before() -> None:
    def elsewhere() -> int:
        with ThreadPoolExecutor(1) as fresh:
            return fresh.submit(torch.get_num_threads).result()

    seen: list[int] = []

    def transform(batch: Batch, _: int) -> Batch:
        seen.append(torch.get_num_threads())
        return batch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        batches = loader(8, 2, transform=transform)
        assert len(list(batches)) == 4
        assert (seen, torch.get_num_threads(), elsewhere()) == ([1] * 4, 3, 3)
    finally:
        torch.set_num_threads(before)

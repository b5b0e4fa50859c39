"""What is kept of each epoch."""

import torch

from onesheet.training.epoch_metrics import EpochPredictions


def test_predictions_come_back_in_order_whatever_the_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = EpochPredictions(30, 3)
    batches = [torch.randn(2, size, 3, generator=generator) for size in (4, 0, 1, 20, 8, 2)]
    assert len(seen) == 0 and seen.both[0].shape == (0, 3)
    for _ in range(2):
        for logits, labels in batches:
            seen.add(logits, labels)
        assert len(seen) == 30  # and not 35
        assert torch.equal(torch.stack(seen.both), torch.cat(batches, dim=1)[:, :30])
        seen.clear()
        assert len(seen) == 0


def test_batches_are_kept_in_one_place() -> None:
    """Each further place would lie between the batches' own and keep their memory from being used again."""
    seen = EpochPredictions(4000, 2)
    places = set()
    for _ in range(1000):
        seen.add(torch.zeros(4, 2), torch.ones(4, 2))
        places.add(seen.both[0].data_ptr())
    assert len(seen) == 4000 and len(places) == 1

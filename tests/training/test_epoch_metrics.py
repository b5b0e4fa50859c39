"""What is told after each epoch."""

import torch

from onesheet.training.epoch_metrics import EpochAnswers


def test_answers_come_back_in_order_whatever_the_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    answers = EpochAnswers(3)
    batches = [torch.randn(2, size, 3, generator=generator) for size in (4, 0, 1, 30, 2)]
    assert len(answers) == 0 and answers.both[0].shape == (0, 3)
    for logits, labels in batches:
        answers.add(logits, labels)
    whole = torch.cat(batches, dim=1)
    assert len(answers) == 37
    assert torch.equal(torch.stack(answers.both), whole)


def test_many_batches_are_kept_in_few_places() -> None:
    """Each further place would lie between the batches' own and keep their memory from being used again."""
    answers = EpochAnswers(2)
    places = set()
    for _ in range(1000):
        answers.add(torch.zeros(4, 2), torch.ones(4, 2))
        places.add(answers.both[0].data_ptr())
    assert len(answers) == 4000
    assert len(places) <= 11

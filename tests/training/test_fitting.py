from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import MobileNetV2Config, MobileNetV2Model, ViTConfig, ViTModel

from onesheet.errors import ConfigError, PackError, RunError
from onesheet.exporting import export
from onesheet.models import build_network
from onesheet.packed import Packed
from onesheet.training import Run, TrainConfig, augment, fit, loader, module, open_run, stages
from onesheet.training.augment import random_resized_crop
from onesheet.training.module import TrainingModule
from onesheet.training.weights import load_weights


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.network_path)


def without_seconds(run: Run) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in run.history]


class StopAt:
    """A progress that presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        if task.startswith("fit") and done == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_learns_the_drawn_genres(run: Run) -> None:
    best = max(run.history, key=lambda row: row["validation_map"])
    assert run.finished and run.best_epoch == best["epoch"]
    assert best["validation_roc_auc"] > 0.85
    assert [row["best"] for row in run.history].count(1.0) == 1


def test_history_has_every_figure_for_both_parts(run: Run) -> None:
    for part in ("train", "validation"):
        for metric in ("loss", "precision", "recall", "f1", "map", "roc_auc"):
            assert all(np.isfinite(row[f"{part}_{metric}"]) for row in run.history)


@pytest.mark.parametrize(
    ("steps", "spare"), [((3,), False), ((8,), False), ((5, 13), False), ((16,), False), ((5, 8), True)], ids=str
)
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    steps: tuple[int, ...],
    spare: bool,
    run: Run,
    packed: Packed,
    tiny: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """8 batches an epoch: stopped inside an epoch, at its end, twice, and in the second; batches augmented ahead."""
    monkeypatch.setattr(loader, "spare_thread", lambda: spare)
    seconds = 0.0
    for step in steps:
        stopped = fit(tiny, packed, folder=tmp_path, resume=step != steps[0], progress=StopAt(step))
        assert not stopped.finished and stopped.seconds > seconds
        seconds = stopped.seconds
    resumed = fit(tiny, packed, folder=tmp_path, resume=True)
    assert resumed.seconds > seconds and resumed.finished and resumed.best_epoch == run.best_epoch
    assert without_seconds(resumed) == without_seconds(run)
    for name, value in weights(run).items():
        assert torch.equal(value, weights(resumed)[name]), name


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    run: Run, packed: Packed, tiny: TrainConfig, tmp_path: Path
) -> None:
    again = fit(tiny, packed, folder=tmp_path / "again")
    other = fit(replace(tiny, seed=1, epochs=1), packed, folder=tmp_path / "other")
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(run).items())
    assert not torch.equal(weights(run)["head.1.weight"], weights(other)["head.1.weight"])


def test_ctrl_c_before_the_first_epoch_ends_keeps_a_run_to_resume(
    packed: Packed, tiny: TrainConfig, tmp_path: Path
) -> None:
    earlier = signal.getsignal(signal.SIGINT)
    stopped = fit(tiny, packed, folder=tmp_path, progress=StopAt(2))
    assert not stopped.finished and stopped.history == []
    assert not stopped.network_path.exists()
    assert signal.getsignal(signal.SIGINT) is earlier


def test_a_taken_folder_is_rejected(run: Run, packed: Packed, tiny: TrainConfig) -> None:
    with pytest.raises(RunError, match="holds a run already; resume it with --resume"):
        fit(tiny, packed, folder=run.folder)
    assert fit(tiny, packed, folder=run.folder, resume=True) == open_run(run.folder)


def test_resuming_with_other_choices_is_rejected(run: Run, packed: Packed, tiny: TrainConfig) -> None:
    with pytest.raises(RunError, match="started with epochs = 4, not 5"):
        fit(replace(tiny, epochs=5), packed, folder=run.folder, resume=True)


def test_parts_must_not_be_empty(packed: Packed, tiny: TrainConfig, tmp_path: Path) -> None:
    no_validation = replace(packed, splits=np.full(len(packed), "train"))
    with pytest.raises(PackError, match="no posters in split 'validation'"):
        fit(tiny, no_validation, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run in"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text('{"config": {}')
    with pytest.raises(RunError, match="is damaged"):
        open_run(tmp_path)
    with pytest.raises(RunError, match="is a file; name the folder of a run"):
        open_run(tmp_path / "run.json")


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    config = MobileNetV2Config(depth_multiplier=0.1, min_depth=4, depth_divisible_by=4, image_size=48)
    folder = tmp_path_factory.mktemp("backbone")
    model = MobileNetV2Model(config).train()
    for _ in range(20):
        model(torch.rand(8, 3, 48, 32))
    model.save_pretrained(folder)
    return f"hf:{folder}"


def test_head_runs_the_backbone_once_and_leaves_it_as_it_was(
    backbone: str, packed: Packed, tiny: TrainConfig, tmp_path: Path
) -> None:
    config = TrainConfig(model=backbone, tune="head", epochs=5, threads=1)
    tasks: list[str] = []
    run = fit(config, packed, folder=tmp_path, progress=lambda task, *_: tasks.append(task))
    assert tasks.count("features") == -(-len(packed) // 64)
    kept = weights(run)
    for name, value in build_network(backbone, genres=3, size=packed.size).named_parameters():
        if not name.startswith("head."):
            assert torch.equal(value, kept[name]), name
    assert kept["head.1.weight"].abs().sum() > 0


def test_full_tuning_starts_from_the_trained_head(backbone: str, packed: Packed, tmp_path: Path) -> None:
    config = TrainConfig(model=backbone, epochs=1, head_epochs=2, threads=1, batch_size=64, arithmetic="fp32")
    adapted: dict[str, torch.Tensor] = {}

    def keep_the_head(task: str, done: int, total: int, note: str = "") -> None:
        if task == "fit full" and not adapted:
            adapted.update(load_file(tmp_path / "checkpoints" / "head-best.safetensors"))

    run = fit(config, packed, folder=tmp_path, progress=keep_the_head)
    assert torch.count_nonzero(adapted["head.1.weight"])
    for name, value in weights(run).items():  # in training mode: the statistics move as well
        if name.endswith(("running_mean", "running_var", "convolution.weight")):
            assert not torch.equal(value, adapted[name]), name
    assert len(run.history) == 1
    assert not (tmp_path / "checkpoints").exists()  # finished: nothing to go on with


@pytest.mark.parametrize(
    "choices",
    [
        {"loss": "asymmetric", "positive_weights": True},
        {"loss": "focal", "optimizer": "sgd"},
        {"loss": "distribution-balanced", "optimizer": "adam"},
        {"cutmix": 0.5, "schedule": "constant-then-decay", "ema": 0.0},
        {"select": "loss", "patience": 1, "augment": False, "arithmetic": "bf16"},
        {"model": "alexnet", "widths": None},
    ],
    ids=str,
)
def test_every_choice_trains(choices: dict[str, object], packed: Packed, tiny: TrainConfig, tmp_path: Path) -> None:
    if choices.get("model") == "alexnet":
        with pytest.raises(ConfigError, match="alexnet needs posters of at least"):
            fit(replace(tiny, **choices), packed, folder=tmp_path)  # type: ignore[arg-type]
        return
    run = fit(replace(tiny, epochs=2, **choices), packed, folder=tmp_path)  # type: ignore[arg-type]
    assert run.finished and all(np.isfinite(row["train_loss"]) for row in run.history)


def test_crops_grow_to_the_full_size(packed: Packed, tiny: TrainConfig, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    sizes: list[tuple[int, ...]] = []

    def noting(posters, generator, *, size, area):  # type: ignore[no-untyped-def]
        sizes.append(size)
        return random_resized_crop(posters, generator, size=size, area=area)

    monkeypatch.setattr(augment, "random_resized_crop", noting)
    height, width = packed.size
    fit(replace(tiny, epochs=3, start_scale=0.5), packed, folder=tmp_path)
    assert sizes[0] == (height // 2, width // 2) and sizes[-1] == (height, width)
    assert list(dict.fromkeys(sizes))[1] == (round(height * 0.75), round(width * 0.75))


def test_augmented_ahead_in_another_thread_or_when_asked_for_the_weights_are_the_same(
    packed: Packed, tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(tiny, cutmix=0.5, start_scale=0.5)
    runs = []
    for spare in (True, False):
        monkeypatch.setattr(loader, "spare_thread", lambda spare=spare: spare)
        runs.append(weights(fit(config, packed, folder=tmp_path / str(spare))))
    assert all(torch.equal(values, runs[1][name]) for name, values in runs[0].items())


def test_gradients_are_clipped_by_their_norm(
    packed: Packed, tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = []

    class Watched(TrainingModule):
        def optimizer_step(self, *arguments: object, **options: object) -> None:
            super().optimizer_step(*arguments, **options)
            gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    monkeypatch.setattr(stages, "TrainingModule", Watched)
    monkeypatch.setattr(
        module, "build_loss", lambda *_, **__: lambda logits, targets: 1e4 * (logits - targets).abs().mean()
    )
    fit(replace(tiny, epochs=1), packed, folder=tmp_path / "run")
    assert norms and all(norm == pytest.approx(1, abs=1e-3) for norm in norms)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU lets gradients go")
def test_on_a_cpu_gradients_are_set_to_zero_where_they_are(
    packed: Packed, tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[list[int]] = []
    sums: list[float] = []

    class Watched(TrainingModule):
        def _note(self) -> None:
            gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
            places.append([gradient.data_ptr() for gradient in gradients])
            sums.append(float(sum(gradient.abs().sum() for gradient in gradients)))

        def on_before_backward(self, _: object) -> None:
            self._note()

        def on_after_backward(self) -> None:
            self._note()

    monkeypatch.setattr(stages, "TrainingModule", Watched)
    fit(replace(tiny, epochs=1), packed, folder=tmp_path / "run")
    first, *later = places
    assert not first and len(later) > 3 and later[0] and all(place == later[0] for place in later)
    assert not any(sums[::2]) and all(sums[1::2])


def test_crops_may_stay_smaller_than_the_posters_answered_to(  # type: ignore[no-untyped-def]
    packed: Packed, tiny: TrainConfig, tmp_path: Path, monkeypatch
) -> None:
    sizes: list[tuple[int, ...]] = []

    def noting(posters, generator, *, size, area):  # type: ignore[no-untyped-def]
        sizes.append(size)
        return random_resized_crop(posters, generator, size=size, area=area)

    monkeypatch.setattr(augment, "random_resized_crop", noting)
    run = fit(replace(tiny, epochs=3, crop_scale=0.75, start_scale=2 / 3), packed, folder=tmp_path / "run")
    shares = (0.5, 0.625, 0.75)
    assert list(dict.fromkeys(sizes)) == [tuple(round(side * share) for side in packed.size) for share in shares]
    assert export(run, tmp_path / "genres.onnx").card.size == packed.size


def test_a_one_size_network_cannot_grow(packed: Packed, tmp_path: Path) -> None:
    ViTModel(
        ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=[48, 32])
    ).save_pretrained(tmp_path / "vit")
    config = TrainConfig(model=f"hf:{tmp_path / 'vit'}", start_scale=0.5, threads=1)
    with pytest.raises(ConfigError, match="is a network for one size; leave out --crop-scale and --start-scale"):
        fit(config, packed, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_diverged_training_says_so(packed: Packed, tiny: TrainConfig, tmp_path: Path) -> None:
    config = replace(tiny, optimizer="sgd", learning_rate=10.0, weight_decay=10.0, warmup=0.0)
    with pytest.raises(RunError, match=r"training diverged in epoch \d+: .* choose a lower --learning-rate"):
        fit(replace(config, epochs=60), packed, folder=tmp_path)


def test_early_stopping_stops(packed: Packed, tiny: TrainConfig, tmp_path: Path) -> None:
    config = replace(tiny, epochs=30, patience=1, learning_rate=1e-8, ema=0.0, select="loss")
    run = fit(config, packed, folder=tmp_path)
    assert len(run.history) < 30


def test_a_resumed_run_learns_from_what_its_teacher_said_then(
    model_path: Path, packed: Packed, tiny: TrainConfig, tmp_path: Path
) -> None:
    teacher = tmp_path / "teacher.onnx"
    shutil.copy(model_path, teacher)
    config = replace(tiny, epochs=2, teacher=(str(teacher),))
    whole = fit(config, packed, folder=tmp_path / "whole")
    stopped = fit(config, packed, folder=tmp_path / "stopped", progress=StopAt(5))
    assert not stopped.finished
    teacher.unlink()
    resumed = fit(config, packed, folder=tmp_path / "stopped", resume=True)
    alone = fit(replace(config, teacher=()), packed, folder=tmp_path / "alone")
    kept = [weights(run) for run in (whole, resumed, alone)]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    assert not all(torch.equal(kept[0][name], kept[2][name]) for name in kept[0])


class Bomb:
    """What runs when it is unpickled without care."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.sign),)


def test_a_checkpoint_that_would_run_something_is_rejected(packed: Packed, tiny: TrainConfig, tmp_path: Path) -> None:
    fit(tiny, packed, folder=tmp_path / "run", progress=StopAt(2))
    sign, last = tmp_path / "it ran", tmp_path / "run" / "checkpoints" / "full-last.ckpt"
    torch.save({**torch.load(last, weights_only=True), "bomb": Bomb(sign)}, last)
    with pytest.raises(RunError, match="is no whole checkpoint of weights alone; delete it"):
        fit(tiny, packed, folder=tmp_path / "run", resume=True)
    assert not sign.exists()
    torch.load(last, weights_only=False)
    assert sign.exists()  # the bomb was live


def test_weights_that_are_no_safetensors_are_rejected(run: Run, tmp_path: Path) -> None:
    torch.save({"weight": Bomb(tmp_path / "it ran")}, tmp_path / "network.safetensors")
    for path in (tmp_path / "network.safetensors", tmp_path / "missing"):
        with pytest.raises(RunError, match="cannot read the weights"):
            load_weights(path)
    assert not (tmp_path / "it ran").exists()

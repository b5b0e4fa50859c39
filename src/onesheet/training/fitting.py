"""fit: a packed catalogue and a configuration to a trained network in a run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from onesheet.data.pack import Packed
from onesheet.errors import PackError, RunError
from onesheet.files import whole_file
from onesheet.models import PosterNetwork, build_network
from onesheet.progress import Progress, silent
from onesheet.training.augment import build_augmentation
from onesheet.training.callbacks import Interrupted
from onesheet.training.config import TrainConfig
from onesheet.training.features import FeatureHead, adapt_normalisation, backbone_features
from onesheet.training.loader import BatchLoader
from onesheet.training.loop import Stage, train_stage
from onesheet.training.machine import prepare
from onesheet.training.module import TrainingModule
from onesheet.training.run import STATE, Run, open_run

HEAD_BATCH = 256  # features are small: larger batches, fewer steps


def fit(
    config: TrainConfig,
    packed: Packed,
    *,
    folder: str | Path,
    resume: bool = False,
    progress: Progress = silent,
) -> Run:
    """Train a network.

    With `tune="head"` the frozen backbone runs once per poster and only the head learns. With `tune="full"` and a
    pretrained backbone the head learns first, on the frozen features, so that the first steps do not spoil the
    backbone (Kumar et al. 2022), then everything does.

    Args:
        config: the choices.
        packed: the posters, with parts "train" and "validation".
        folder: the run's folder; must not hold a run yet, unless `resume`.
        resume: go on where the run in `folder` stopped; a finished one is returned as it is.
        progress: told of every step.

    Returns:
        The run. After Ctrl-C it is the unfinished run, with the best weights so far where an epoch has ended.

    Raises:
        RunError: the folder holds a run already, or one that was started otherwise.
        PackError: the store has no posters to learn from or to validate on.
    """
    config, folder = config.resolved(), Path(folder)
    run = _open_folder(config, packed, folder, resume=resume)
    if run.finished:
        return run
    prepare(config.threads)
    torch.manual_seed(config.seed)
    network = build_network(
        config.model,
        genres=len(packed.genres),
        size=packed.size,
        dropout=config.dropout,
        widths=config.widths,
    )
    try:
        if config.model.startswith("hf:") and (config.tune == "head" or config.head_epochs):
            run = _fit_head(run, network, packed, progress)
        if config.tune == "full":
            run = _fit_full(run, network, packed, progress)
    except Interrupted:
        return replace(open_run(folder), finished=False)
    run = replace(run, finished=True)
    run.write()
    return run


def _open_folder(config: TrainConfig, packed: Packed, folder: Path, *, resume: bool) -> Run:
    """Start a run, or take up the one in the folder if it is the same."""
    for part in ("train", "validation"):
        if not len(packed.rows(part)):
            raise PackError(f"{str(packed.folder)!r} has no posters in part {part!r}; split and pack again")
    run = Run(folder, config, packed.folder, packed.fingerprint)
    if not (folder / STATE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        run.write()
        return run
    if not resume:
        raise RunError(f"{str(folder)!r} holds a run already; go on with --resume or choose another --out")
    earlier = open_run(folder)
    if earlier.fingerprint != packed.fingerprint:
        raise RunError(f"the run in {str(folder)!r} learnt from other posters; choose another --out")
    old, new = earlier.config.to_dict(), config.to_dict()
    for key in sorted(old.keys() | new.keys()):
        if key != "threads" and old.get(key) != new.get(key):
            raise RunError(
                f"the run in {str(folder)!r} was started with {key} = {old.get(key)!r}, not {new.get(key)!r}; "
                "resume it with that or choose another --out"
            )
    return earlier


def _fit_head(run: Run, network: PosterNetwork, packed: Packed, progress: Progress) -> Run:
    """Train the head on the frozen backbone's features and put it into the network."""
    config = run.config
    if config.tune == "full":
        defaults = TrainConfig(model=config.model, tune="head", epochs=config.head_epochs).resolved()
        config = replace(
            defaults,
            loss=config.loss,
            positive_weights=config.positive_weights,
            seed=config.seed,
            arithmetic=config.arithmetic,
        )
    adapt_normalisation(network, packed, seed=config.seed, wish=config.arithmetic)
    features = backbone_features(network, packed, run.folder, wish=config.arithmetic, progress=progress)
    head = FeatureHead(features[packed.rows("train")], _frequencies(packed), dropout=config.dropout or 0.0)
    loaders = _loaders(features, packed, batch_size=max(config.batch_size, HEAD_BATCH), seed=config.seed)
    in_fp32 = replace(config, arithmetic="fp32")  # features are small: nothing to gain
    module = TrainingModule(head, in_fp32, _frequencies(packed), loader=loaders[0])
    stage = Stage("head", module, loaders)

    def keep(best: nn.Module) -> None:
        best.fold(network.head[-1])  # type: ignore[operator]

    return _finish(run, stage, network, keep, progress, kept=run.config.tune == "head")


def _fit_full(run: Run, network: PosterNetwork, packed: Packed, progress: Progress) -> Run:
    """Train everything."""
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    augment = build_augmentation(network, packed.posters, packed.rows("train"), seed=run.config.seed)
    loaders = _loaders(packed.posters, packed, batch_size=run.config.batch_size, seed=run.config.seed)
    module = TrainingModule(
        network,
        run.config,
        _frequencies(packed),
        loader=loaders[0],
        augment=augment if run.config.augment else None,
    )
    stage = Stage("full", module, loaders)

    def keep(best: nn.Module) -> None:
        network.load_state_dict(best.state_dict())

    return _finish(run, stage, network, keep, progress, kept=True)


def _finish(run: Run, stage: Stage, network: PosterNetwork, keep, progress: Progress, *, kept: bool) -> Run:  # type: ignore[no-untyped-def]
    """Train a stage; put its best epoch into `network`, and into the run's folder if it is the last stage."""

    def on_epoch(history: list[dict[str, float]]) -> None:
        if kept:
            current = replace(run, best_epoch=stage.best_epoch, seconds=history[-1]["seconds"])
            current.write_history(history)
            current.write()

    def save() -> Run:
        if not stage.has_best:
            return run
        keep(stage.best_network())
        if not kept:
            return run
        with whole_file(run.network_path) as part:
            save_file({name: value.contiguous() for name, value in network.state_dict().items()}, part)
        done = replace(run, best_epoch=stage.best_epoch, seconds=stage.module.history[-1]["seconds"])
        done.write_history(stage.module.history)
        done.write()
        return done

    try:
        train_stage(stage, run.folder / "checkpoints", on_epoch=on_epoch, progress=progress)
    except Interrupted:
        save()
        raise
    return save()


def _frequencies(packed: Packed) -> Tensor:
    """Share of training films with each genre, kept away from 0 and 1."""
    labels = packed.labels[packed.rows("train")]
    return torch.from_numpy((labels.sum(0) + 0.5) / (len(labels) + 1)).float()


def _loaders(inputs: np.ndarray, packed: Packed, *, batch_size: int, seed: int) -> tuple[BatchLoader, BatchLoader]:
    train, validation = packed.rows("train"), packed.rows("validation")
    return (
        BatchLoader(inputs, packed.labels, train, batch_size=batch_size, seed=seed),
        BatchLoader(inputs, packed.labels, validation, batch_size=batch_size),
    )

"""fit: a packed catalogue and a configuration to a trained network in a run folder."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from onesheet.errors import ConfigError, Interrupted, PackError, RunError
from onesheet.files import sole_use
from onesheet.images import Size
from onesheet.models import PosterNetwork, build_network
from onesheet.models.pretrained import save_architecture
from onesheet.packed.store import Packed
from onesheet.predict import load
from onesheet.progress import Progress, shown, silent
from onesheet.training.config import TrainConfig, check_same_choices
from onesheet.training.device import prepare
from onesheet.training.processes import Processes, processes
from onesheet.training.run import ARCHITECTURE, CHECKPOINTS, STATE, Run, open_run
from onesheet.training.stages import Clock, Fitting


def fit(
    config: TrainConfig,
    packed: Packed,
    *,
    folder: str | Path,
    resume: bool = False,
    progress: Progress = shown,
) -> Run:
    """Train a network, in this process or with others (see `processes`).

    With `tune="head"` the frozen backbone runs once per poster and only the head learns. With `tune="full"` and a
    pretrained backbone the head learns first, on the frozen features, so that the first steps do not spoil the
    backbone (Kumar et al. 2022), then everything does.

    Args:
        config: the choices.
        packed: the posters, with splits "train" and "validation".
        folder: the run's folder; must not hold a run yet, unless `resume`.
        resume: resume the run in `folder`; a finished one is returned as it is. The numbers of threads
            and processes may be others than before.
        progress: reports every step.

    Returns:
        The run. After Ctrl-C it is the unfinished run, with the best weights so far where an epoch has ended.

    Raises:
        RunError: the folder holds a run already, or one that was started otherwise.
        PackError: the store has no posters to learn from or to validate on.
        ConfigError: processes that were not started, or too many for a batch.
        OnesheetError: another process works in the folder.
    """
    here = processes(config.devices, config.nodes)
    with sole_use(folder) if here.first else nullcontext():
        if here.first:
            check_fit(config, folder, size=packed.size, resume=resume)
        return fit_in(folder, config, packed, here, progress=progress)


def check_fit(config: TrainConfig, folder: str | Path, *, size: Size, resume: bool) -> None:
    """Check what can be checked before there are packed posters: folder, choices, network and teachers.

    Args:
        config: the choices.
        folder: the run's folder.
        size: H, W of the posters, in pixels.
        resume: whether a run in the folder is to be resumed.

    Raises:
        RunError: the folder holds a run already, or one that was started otherwise.
        ConfigError: no such network, or one that does not go with the other choices.
        BundleError: a teacher that is not there or cannot be read.
    """
    config, folder = config.resolved(), Path(folder)
    begun = (folder / STATE).exists()
    if begun and not resume:
        raise RunError(f"{str(folder)!r} holds a run already; resume it with --resume or choose another --out")
    if begun:
        check_same_choices(open_run(folder).config.to_dict(), config.to_dict(), folder)
    else:
        build_for(config, genres=2, size=size)
        for teacher in config.teacher:  # a run that has begun keeps their predictions
            load(teacher)


def fit_in(
    folder: str | Path, config: TrainConfig, packed: Packed, here: Processes, *, progress: Progress = silent
) -> Run:
    """`fit` for one of the processes `here`, in a folder that is theirs already and passed `check_fit`."""
    config, folder = config.resolved(), Path(folder)
    progress = progress if here.first else silent
    earlier = _earlier_run(packed, folder) if here.first else None
    if earlier and earlier.finished:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # killed while it did so
        here.wait()
        return earlier
    prepare(config.threads, processes=here.devices)
    network = build_for(config, genres=len(packed.genres), size=packed.size)
    run = earlier or Run(folder, config, packed.folder, packed.fingerprint)
    if here.first and not earlier:
        packed.verify(progress=progress)
        folder.mkdir(parents=True, exist_ok=True)
        if config.model.startswith("hf:"):
            save_architecture(network, folder / ARCHITECTURE)
        run.write()
    here.wait()
    if not here.first and (run := open_run(folder)).finished:
        return run
    fitting = Fitting(run, network, packed, here, Clock(run.seconds), progress)
    try:
        fitting.train()
    except Interrupted:
        if here.first:
            replace(open_run(folder), seconds=fitting.clock.seconds).write()
        return open_run(folder)
    here.wait()
    if here.first:
        replace(open_run(folder), finished=True, seconds=fitting.clock.seconds).write()
        shutil.rmtree(folder / CHECKPOINTS)
    here.wait()
    return open_run(folder)


def build_for(config: TrainConfig, *, genres: int, size: Size) -> PosterNetwork:
    """The network before training, with weights drawn by the seed.

    Raises:
        ConfigError: no such network, or crops smaller than the posters for a network that takes one size only.
    """
    torch.manual_seed(config.seed)
    network = build_network(
        config.model,
        genres=genres,
        size=size,
        dropout=config.dropout,
        widths=config.widths,
        levels=config.levels,
        tta=config.tta,
    )
    if config.smaller_crops and not network.has_evidence:
        raise ConfigError(f"{config.model} is a network for one size; leave out --crop-scale and --start-scale")
    return network


def _earlier_run(packed: Packed, folder: Path) -> Run | None:
    """The run in the folder, if it has one, which learned from these posters.

    Raises:
        PackError: the store has no posters to learn from or to validate on.
        RunError: the run learned from other posters.
    """
    for split in ("train", "validation"):
        if not len(packed.rows(split)):
            raise PackError(f"{str(packed.folder)!r} has no posters in split {split!r}; split and pack again")
    if not (folder / STATE).exists():
        return None
    earlier = open_run(folder)
    if earlier.fingerprint != packed.fingerprint:
        raise RunError(f"the run in {str(folder)!r} learned from other posters; choose another --out")
    return earlier

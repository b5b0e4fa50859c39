"""export_hf: a run to a folder that transformers loads, and the Hugging Face hub takes as it is."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from onesheet.bundle import Card
from onesheet.errors import ConfigError, ExportError
from onesheet.evaluation.calibration import sigmoid
from onesheet.exporting.model_file import PARITY_POSTERS, kept_network, run_card
from onesheet.files import cannot_write, write_text
from onesheet.model_writer import check_parity, fit_card
from onesheet.models import PosterNetwork
from onesheet.models.pretrained import quiet
from onesheet.packed.store import Packed
from onesheet.progress import Progress, shown, silent
from onesheet.training.device import prepare
from onesheet.training.run import Run

TOLERANCE = 1e-4  # largest difference of a probability between the folder and the network, on validation posters
BATCH = 32


@dataclass(frozen=True)
class HubFolder:
    """A folder for transformers.

    Attributes:
        folder: its path.
        difference: largest difference of a probability from the network's, on validation posters.
        validation: metrics on the validation set.
    """

    folder: Path
    difference: float
    validation: dict[str, float]


def export_hf(run: Run, folder: str | Path, *, progress: Progress = shown) -> HubFolder:
    """Write a run's network as a folder that `transformers.pipeline("image-classification")` loads.

    It contains one network without test-time augmentation: with `--tta`, its probabilities differ from the model
    file's, and its README.md reports by how much. Calibration is fitted to the validation set as for a model file, and
    is part of the last layer's weights.

    Args:
        run: of a network on a backbone of transformers.
        folder: a new folder; it appears whole or not at all.
        progress: reports the validation posters scored.

    Raises:
        ConfigError: not such a network, a head that reads every level of its backbone, posters that were padded, or
            the folder is there already.
        RunError: the run has no weights yet, or its packed store has changed.
        ExportError: transformers does not compute the network's outputs.
    """
    import transformers

    folder, packed = Path(folder), run.packed()
    _check(run, packed, folder)
    prepare(run.config.threads)
    network = cast(PosterNetwork, kept_network(run, packed))
    _check_levels(network)
    two_views, network.tta = network.tta, False
    rows = packed.rows("validation")
    logits = _logits(network, packed, rows, progress)
    card = fit_card(run_card([run], packed), logits, packed.labels[rows], known=packed.known_in(rows))
    scale, bias = card.scale_and_bias
    rows = rows[:PARITY_POSTERS]
    expected = sigmoid(logits[: len(rows)] * scale + bias)
    second_view = None
    if two_views:
        network.tta = True
        moved = np.abs(sigmoid(_logits(network, packed, rows) * scale + bias) - expected)
        second_view = float(moved.max()), float(moved.mean())
    with _whole_folder(folder) as part:
        with quiet(transformers):
            _classifier(transformers, network, card, source=run.config.model).save_pretrained(part)
        write_text(part / "preprocessor_config.json", json.dumps(_preprocessing(network), indent=2) + "\n")
        write_text(part / "README.md", hub_card(card, second_view))
        difference = _check_folder(transformers, part, packed, rows, expected)
    return HubFolder(folder, difference, card.validation)


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its name when the block ends well, and goes otherwise."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield part
        part.chmod(0o755)  # mkdtemp made it private
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check(run: Run, packed: Packed, folder: Path) -> None:
    """Check that the run can become such a folder, before any work.

    Raises:
        ConfigError: it cannot.
    """
    if not run.config.model.startswith("hf:"):
        raise ConfigError(
            f"transformers has no {run.config.model!r}, only networks on a backbone of its own (hf:…); "
            "share the model file, with --out"
        )
    if packed.resize != "stretch":
        raise ConfigError(
            f"the network was trained on posters resized by {packed.resize!r}, which transformers cannot repeat; "
            "pack with --resize stretch, or share the model file, with --out"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{str(folder)!r} is there already; name a new folder")


def _check_levels(network: PosterNetwork) -> None:
    """Check that the head reads what transformers' classifiers read, before the validation set is scored.

    Raises:
        ConfigError: it reads more.
    """
    backbone: Any = network.backbone
    if backbone.levels:
        raise ConfigError(
            "transformers' image classifiers read the last level of a backbone alone; train with --no-levels, or share "
            "the model file, with --out"
        )


def _logits(
    network: nn.Module, packed: Packed, rows: NDArray[np.int64], progress: Progress = silent
) -> NDArray[np.float64]:
    """The network's logits N×G for rows of the store."""
    logits = []
    for start in range(0, len(rows), BATCH):
        posters = torch.from_numpy(np.ascontiguousarray(packed.posters[rows[start : start + BATCH]]))
        with torch.inference_mode():
            logits.append(network(posters.permute(0, 3, 1, 2).float() / 255).logits.double().numpy())
        progress("score validation", min(start + BATCH, len(rows)), len(rows))
    return np.concatenate(logits)


def _classifier(transformers: Any, network: PosterNetwork, card: Card, *, source: str) -> Any:
    """transformers' own image classifier with the network's weights, calibration folded into its last layer.

    Raises:
        ConfigError: transformers has no image classifier on this backbone, or one of another form.
    """
    backbone: Any = network.backbone
    config = copy.deepcopy(backbone.published_config)
    names = dict(enumerate(card.genres))
    config.id2label, config.label2id = names, {name: column for column, name in names.items()}
    config.problem_type = "multi_label_classification"
    config._name_or_path = ""  # else a place on this machine
    if type(config) not in transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        raise ConfigError(
            f"transformers has no image classifier on a {config.model_type!r} backbone; "
            "share the model file, with --out"
        )
    model = transformers.AutoModelForImageClassification.from_config(config)
    missing, _ = model.base_model.load_state_dict(backbone.model.state_dict(), strict=False)
    inner = set(model.base_model.modules())
    dense = [layer for layer in model.modules() if isinstance(layer, nn.Linear) and layer not in inner]
    fits = len(dense) == 1 and dense[0].in_features >= network.embedding_size
    if missing or not fits:
        raise ConfigError(
            f"transformers' image classifier on {source} is built otherwise than the network that was trained; "
            "share the model file, with --out"
        )
    own = cast(nn.Linear, network.head[-1])
    scale, bias = (torch.from_numpy(values).float() for values in card.scale_and_bias)
    with torch.no_grad():
        dense[0].weight.zero_()  # DINOv2's reads the mean of the patches too, behind what ours reads
        dense[0].weight[:, : network.embedding_size] = own.weight * scale[:, None]
        dense[0].bias.copy_(own.bias * scale + bias)
    return model.eval()


def _preprocessing(network: PosterNetwork) -> dict[str, Any]:
    """What transformers' image processors read: the resize and the normalisation the network was trained with."""
    height, width = network.size
    return {
        "image_processor_type": "ViTImageProcessor",  # the plain one: resize, rescale, normalise
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": int(Image.Resampling.BILINEAR),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": network.mean.flatten().tolist(),
        "image_std": network.std.flatten().tolist(),
    }


def _check_folder(
    transformers: Any, folder: Path, packed: Packed, rows: NDArray[np.int64], expected: NDArray[np.float64]
) -> float:
    """transformers' pipeline predicts the network's probabilities for posters of its size.

    Returns:
        The largest difference.

    Raises:
        ExportError: it does not.
    """
    genres = packed.genres.names
    with quiet(transformers):
        answer = transformers.pipeline("image-classification", model=str(folder), device="cpu")
        try:
            found = [answer(Image.fromarray(packed.posters[row]), top_k=len(genres)) for row in rows]
        except (ValueError, RuntimeError) as error:
            raise ExportError(
                f"transformers' image classifier does not take posters of {packed.size[0]}×{packed.size[1]} ({error}); "
                "share the model file, with --out"
            ) from error
    scores = [{one["label"]: one["score"] for one in poster} for poster in found]
    given = np.array([[poster[genre] for genre in genres] for poster in scores])
    return check_parity(
        {"probabilities": given},
        {"probabilities": expected},
        allowed=TOLERANCE,
        whose="transformers'",
        cure="share the model file, with --out",
    )


PAGE = """---
library_name: transformers
pipeline_tag: image-classification
license: other
{base_model}tags:
- film
- movie-posters
- multi-label-classification
- onesheet
---

# Film genres from posters

{genres} genres, {films:,} training films, on the backbone {backbone}. A film may have several genres: each has a
probability of its own (sigmoid), calibrated on validation films, and they do not sum to 1.

```python
from transformers import pipeline

classifier = pipeline("image-classification", model="THIS FOLDER OR ITS NAME ON THE HUB")
print(classifier("poster.jpg", top_k={genres}))
```

Posters are resized to {height}×{width} (height × width), whatever their shape, bilinear with antialiasing.

## Genres

Predict a genre whose probability reaches its threshold: the one with the best F1 on validation films.

| genre | threshold | training films |
|---|---|---|
{rows}

On validation films: mean average precision {map:.3f}, ROC-AUC {roc_auc:.3f} (macro averages).

## What it does not do

{view}

A poster shows what its makers want to sell, not what the film is. Predictions are worst for rare genres, and worse on
posters unlike the training posters, such as those of other decades. Do not decide about a film by this alone.

The weights may be used as the training posters and the backbone allow.

Written by onesheet.
"""
ONE_VIEW = "The network reads a poster once, as the model file of the same run does."
TWO_VIEWS = (
    "The network reads a poster once. The model file of the same run also reads its mirror image and answers from the "
    "mean of both, which costs twice the time; on validation posters the second view moves a probability by "
    "{mean:.3f} on average and by {largest:.3f} at most."
)


def hub_card(card: Card, second_view: tuple[float, float] | None) -> str:
    """The page: YAML that the hub reads, and Markdown for people.

    Args:
        card: of the network, fitted.
        second_view: largest and mean change of a probability by the mirror image; None where the run has none.
    """
    name = card.training["model"].removeprefix("hf:")
    thresholds, genre_films = card.operating_points["balanced"]["thresholds"], card.data["genre_films"]
    return PAGE.format(
        base_model=f"base_model: {json.dumps(name)}\n" if "/" in name else "",
        backbone=f"`{name}`",
        genres=len(card.genres),
        films=card.data["films"]["train"],
        height=card.size[0],
        width=card.size[1],
        rows="\n".join(
            f"| {genre} | {threshold:.3f} | {genre_films[genre]:,} |"
            for genre, threshold in zip(card.genres, thresholds, strict=True)
        ),
        view=TWO_VIEWS.format(largest=second_view[0], mean=second_view[1]) if second_view else ONE_VIEW,
        **{key: card.validation[key] for key in ("map", "roc_auc")},
    )

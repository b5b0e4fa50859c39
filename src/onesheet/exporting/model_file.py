"""export: a run to the one model file, calibrated, thresholds chosen, checked against the network."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from onesheet.bundle import Bundle, Card, label_counts, read_bundle
from onesheet.errors import ConfigError, RunError
from onesheet.evaluation.calibration import sigmoid
from onesheet.exporting.onnx_graph import QUANTIZATION, ExportGraph, to_precision, write_graph
from onesheet.files import whole_file
from onesheet.model_writer import check_parity, fit_card, unfitted_card, write_model_file
from onesheet.models import Ensemble, TenCrop, build_network
from onesheet.packed.splitting import SPLITS
from onesheet.packed.store import Packed
from onesheet.predict import Predictor, score_split
from onesheet.progress import Progress, shown
from onesheet.training.device import prepare
from onesheet.training.run import Run
from onesheet.training.weights import load_weights

# Largest difference of a probability between the file and the network, on real posters of the validation set.
TOLERANCE = {"fp32": 1e-4, "w8": 0.1, "int8": 0.5}
# Largest mean difference: int8 may differ at a few posters, never everywhere.
MEAN_TOLERANCE = {"fp32": 3e-5, "w8": 5e-3, "int8": 0.03}
PARITY_POSTERS = 64
PARITY_BATCH = 8  # ten crops of 64 posters at once would take 9 GB


def export(
    runs: Run | Sequence[Run],
    path: str | Path,
    *,
    precision: str = "fp32",
    precision_target: float = 0.7,
    recall_target: float = 0.8,
    progress: Progress = shown,
) -> Bundle:
    """Write a run's network as one model file, or those of several runs as an ensemble.

    The graph is written, compared with the network on real posters, then the written graph scores the
    validation set, calibration and operating points are fitted to those scores, and the file is finished with
    them. It appears whole or not at all.

    Args:
        runs: a run with kept weights, or several on the same packed posters: the file answers with the mean of
            their logits.
        path: the model file to write.
        precision: "fp32", "w8" (weights in 8 bits, a quarter of the size) or "int8" (arithmetic too, with weights
            in 7; faster where the processor has VNNI, the same answers on every one).
        precision_target: micro precision at the operating point "precise", in (0, 1).
        recall_target: recall of each genre at "generous", in (0, 1).
        progress: reports the validation posters scored.

    Returns:
        The file, read back.

    Raises:
        RunError: a run has no weights yet, its packed store has changed, or it learnt from other posters.
        ExportError: the file does not compute the network's outputs.
        ConfigError: an option out of range.
    """
    _check_options(precision, precision_target, recall_target)
    runs = [runs] if isinstance(runs, Run) else list(runs)
    threads, packed = runs[0].config.threads, _common_store(runs)
    prepare(threads)
    networks = [kept_network(run, packed) for run in runs]
    graph = ExportGraph(networks[0] if len(runs) == 1 else Ensemble(networks))
    with tempfile.TemporaryDirectory(prefix="onesheet-") as folder:
        raw, draft = Path(folder) / "raw.onnx", Path(folder) / "draft.onnx"
        write_graph(graph, raw, size=packed.size)
        to_precision(raw, precision, packed.posters, packed.rows("train"))
        card = run_card(runs, packed, precision)
        write_model_file(raw, draft, card)
        posters = packed.posters[packed.rows("validation")[:PARITY_POSTERS]]
        outputs = _outputs(graph, posters)
        _check_file(draft, posters, outputs)
        predictor = Predictor(read_bundle(draft), threads=threads)
        rows = packed.rows("validation")
        card = fit_card(
            card,
            score_split(predictor, packed, "validation", progress=progress).logits,
            packed.labels[rows],
            known=packed.known_in(rows),
            precision_target=precision_target,
            recall_target=recall_target,
        )
        with whole_file(path) as part:
            write_model_file(raw, part, card)
            _check_file(part, posters, outputs)
    return read_bundle(path)


def _check_options(precision: str, precision_target: float, recall_target: float) -> None:
    """Raises ConfigError for an option out of range."""
    if precision not in TOLERANCE:
        raise ConfigError(f"the 'precision' option must be one of {', '.join(TOLERANCE)}; got {precision!r}")
    for name, value in (("precision_target", precision_target), ("recall_target", recall_target)):
        if not 0 < value < 1:
            raise ConfigError(f"the {name!r} option must be between 0 and 1; got {value}")


def _common_store(runs: Sequence[Run]) -> Packed:
    """The packed posters that all runs were trained on.

    Raises:
        RunError: they did not learn from the same.
    """
    packed = runs[0].packed()
    for run in runs[1:]:
        if run.fingerprint != packed.fingerprint:
            raise RunError(
                f"{str(run.folder)!r} and {str(runs[0].folder)!r} were trained on different packed posters; "
                "only runs on the same ones can be an ensemble"
            )
    return packed


def kept_network(run: Run, packed: Packed) -> nn.Module:
    """The run's network with its kept weights, in eval mode; behind ten-crop testing where its paper has that.

    Raises:
        RunError: no epoch has ended yet.
    """
    if not run.network_path.exists():
        raise RunError(f"no epoch of the run in {str(run.folder)!r} has ended; resume it with --resume")
    network = build_network(
        run.architecture,
        genres=len(packed.genres),
        size=packed.size,
        dropout=run.config.dropout,
        widths=run.config.widths,
        pretrained=False,
        levels=run.config.levels,
        tta=run.config.tta,
    )
    network.load_state_dict(load_weights(run.network_path))
    network.eval()
    return TenCrop(network) if network.test_crops == 10 else network


def _outputs(graph: ExportGraph, posters: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """The network's logits, embedding and, where it has one, evidence for posters uint8 N×H×W×3."""
    batches: list[list[NDArray[np.float64]]] = []
    with torch.inference_mode():
        for batch in np.array_split(np.ascontiguousarray(posters), -(-len(posters) // PARITY_BATCH)):
            batches.append([values.double().numpy() for values in graph(torch.from_numpy(batch))])
    arrays = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return dict(zip(("logits", "embedding", "evidence"), arrays, strict=False))


def _check_file(path: Path, posters: NDArray[np.uint8], outputs: dict[str, NDArray[np.float64]]) -> None:
    """The file has the network's `outputs` for real posters, and the probabilities that follow from its logits.

    Raises:
        ExportError: it does not.
    """
    bundle = read_bundle(path)
    precision, (scale, bias) = bundle.card.precision, bundle.card.scale_and_bias
    expected = {"probabilities": sigmoid(outputs["logits"] * scale + bias)}
    if precision == "fp32":  # the smaller precisions keep what users see, not every number on the way
        expected |= outputs
    check_parity(
        vars(bundle.score(np.ascontiguousarray(posters))),
        expected,
        allowed=TOLERANCE[precision],
        mean_allowed=MEAN_TOLERANCE[precision],
        whose=f"the {precision} file's",
        cure="please report the network" if precision == "fp32" else "export with --precision fp32",
    )


def public_name(model: str) -> str:
    """A model's name without the place of a local folder."""
    folder = Path(model.removeprefix("hf:"))
    return f"hf:{folder.resolve().name}" if model.startswith("hf:") and folder.is_dir() else model


def _training(run: Run) -> dict[str, Any]:
    """A run's choices and outcome for the card."""
    return run.config.to_dict() | {
        "model": public_name(run.config.model),
        "teacher": ["/".join(Path(path).parts[-2:]) for path in run.config.teacher],
        "best_epoch": run.best_epoch,
        "seconds": round(run.seconds),
    }


def run_card(runs: Sequence[Run], packed: Packed, precision: str = "fp32") -> Card:
    """The card of a run's network, or of several as an ensemble, before anything is fitted to the validation set."""
    genres = packed.genres.names
    return unfitted_card(
        genres=genres,
        size=packed.size,
        resize=packed.resize,
        precision=precision,
        packages=("torch",),
        quantization=QUANTIZATION[precision],
        training=_training(runs[0]) | ({"together_with": [_training(run) for run in runs[1:]]} if runs[1:] else {}),
        data={
            "fingerprint": packed.fingerprint,
            "films": {split: len(packed.rows(split)) for split in SPLITS},
            **packed.understood,
            **label_counts(packed.labels[packed.rows("train")], genres),
        },
        licences={"code": "Apache-2.0", "weights": "as their training posters' and backbone's licences allow"},
    )

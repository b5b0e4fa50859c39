"""adapt: from a catalogue, or posters and their genres, to a model file and its report, without PyTorch."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from onesheet.adaptation import Heads, start_from
from onesheet.adaptation.adapting import Adapting
from onesheet.adaptation.embedding_cache import check_embedding
from onesheet.adaptation.heads import LEAST_FILMS
from onesheet.data import Catalogue, Film, write_catalogue
from onesheet.data.genre_synonyms import suggest
from onesheet.errors import ConfigError, OnesheetError, RunError, require
from onesheet.evaluation import Evaluation, average_precision, roc_auc
from onesheet.evaluation.precision_recall import mean_of_defined
from onesheet.files import sole_use, whole_file
from onesheet.genres import GenreSet
from onesheet.options import options_of
from onesheet.packed import Packed
from onesheet.pipeline.file_evaluation import evaluate_file, require_report
from onesheet.pipeline.preparation import CONFIG, Notify, check_start, mute, prepare
from onesheet.pipeline.recipe import BUNDLED, Recipe
from onesheet.predict import DEFAULT_MODEL, Predictor, load
from onesheet.progress import Progress, shown
from onesheet.spreadsheets import Writer
from onesheet.training.config import TrainConfig
from onesheet.training.run import LEARNING_CURVE, Run

TABLE = "catalogue.csv"


@dataclass(frozen=True, eq=False)
class Adaptation:
    """A model file made from another one.

    Attributes:
        model: ready to predict.
        evaluation: metrics on the test films, which it has not learnt from.
        kept: the genres for which the source's answer is kept, as held-out films showed no gain.
        folder: the run: genres.onnx, report.html and the rest; removed with this object where no `out` was passed.
    """

    model: Predictor
    evaluation: Evaluation
    kept: tuple[str, ...]
    folder: Path
    _temporary: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        genres, films = len(self.model.genres), self.evaluation.films
        return f"<Adaptation: {genres} genres, measured on {films:,} {self.evaluation.split} films, in {self.folder}>"


def adapt(
    catalogue_or_posters: str | Path | Sequence[str | Path],
    genres: Sequence[Iterable[str]] | None = None,
    *,
    out: str | Path | None = None,
    model: str | Path = BUNDLED,
    progress: Progress = shown,
    **options: Any,
) -> Adaptation:
    """Train a model file for your own posters and genres from the bundled one.

    Args:
        catalogue_or_posters: a table or folder of posters and genres; with `genres`, the paths of N posters.
        genres: for each poster its genre names, in any service's words; None = the catalogue has them.
        out: the run's folder; None = a temporary one.
        model: the model file to start from; "default" = the bundled model.
        progress: reports the work in every step.
        options: of `Recipe`, such as `min_films=10`, `seed` and `threads`.

    Returns:
        The model, its metrics, and the run's folder.

    Raises:
        ConfigError: posters and genres do not fit together, or an option is wrong.
        OnesheetError: what any step raises.
    """
    temporary = None if out is not None else tempfile.TemporaryDirectory(prefix="onesheet-")
    folder = Path(temporary.name if temporary else out)  # type: ignore[arg-type]
    films = None if genres is None else _films(catalogue_or_posters, genres)
    if films is None:
        paths = [catalogue_or_posters] if isinstance(catalogue_or_posters, str | Path) else catalogue_or_posters
        catalogue = tuple(map(str, paths))
    else:
        catalogue = (str(folder / "posters.csv"),)
    recipe = Recipe.of({"model": str(model), "catalogue": catalogue, **options})
    if films is not None:
        check_options(recipe)
        check_start(recipe, folder, resume=False)
        if (folder / "posters.csv").exists():
            raise RunError(f"{str(folder)!r} holds a posters.csv, which would be overwritten; choose another out")
        write_catalogue(films, folder / "posters.csv")
    try:
        evaluation = adapt_recipe(recipe, folder, progress=progress)
    except OnesheetError:
        if films is not None and not (folder / CONFIG).exists():  # nothing has begun
            (folder / "posters.csv").unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
        raise
    predictor = load(folder / "genres.onnx", threads=recipe.training.threads)
    assert predictor.fingerprint  # read while the file is there: a temporary folder goes with the result
    return Adaptation(predictor, evaluation, tuple(predictor.card.training["kept"]), folder, temporary)


def _films(posters: Any, genres: Sequence[Iterable[str]]) -> Catalogue:
    """Posters and their genres as a catalogue.

    Raises:
        ConfigError: they do not fit together.
    """
    paths = [] if isinstance(posters, str | Path) else list(posters)
    if len(paths) != len(genres):
        raise ConfigError(f"posters and genres must be as many; got {len(paths)} and {len(genres)}")
    for names in genres:
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise ConfigError(f"genres are lists of names, one for each poster; got {names!r} among them")
    films = tuple(
        Film(f"{number:09d}", str(Path(path).absolute()), tuple(dict.fromkeys(map(str, names))))
        for number, (path, names) in enumerate(zip(paths, genres, strict=True))
    )
    return Catalogue(films, GenreSet(sorted({name for film in films for name in film.genres})))


def adapt_recipe(
    recipe: Recipe,
    out: str | Path,
    *,
    resume: bool = False,
    learning_curve: bool = False,
    progress: Progress = shown,
    notify: Notify = mute,
) -> Evaluation:
    """Read, audit, split, pack, fit heads on a model file's embedding, write and evaluate.

    Films of the splits "train" and "validation" are learnt from; calibration and thresholds come from cross-validation
    among them. Leaves in `out` what `train` leaves, with catalogue.csv for catalogue.parquet; and learning-curve.csv.

    Args:
        recipe: every choice; its `model` is a model file or "default".
        out: the run's folder.
        resume: resume the run in `out`.
        learning_curve: also measure heads that learn from fewer films.
        progress: reports the work in every step.
        notify: called with a line on each step.

    Raises:
        BundleError: the model file cannot be read, or has no embedding.
        ConfigError: an option that belongs to training with PyTorch, or that contradicts the model file.
        RunError: `out` holds a run already (and not `resume`), or one of another recipe.
        OnesheetError: what any step raises, or another process works in `out`.
    """
    require("onnx", purpose="training from a model file", extra="adapt")
    require_report()
    check_options(recipe)
    model = recipe.training.model
    source = load(DEFAULT_MODEL if model == BUNDLED else model, threads=recipe.training.threads)
    if recipe.size not in (None, source.card.size):
        raise ConfigError(f"{model!r} takes posters of {source.card.size[0]}x{source.card.size[1]}; leave out --size")
    if recipe.resize not in ("stretch", source.card.resize):
        raise ConfigError(f"{model!r} takes posters by --resize {source.card.resize}; leave out --resize")
    check_embedding(source)
    recipe = replace(recipe, size=source.card.size, resize=source.card.resize)
    out = Path(out)
    with sole_use(out):
        check_start(recipe, out, resume=resume)
        packed, findings = prepare(
            recipe, out, table=TABLE, least=LEAST_FILMS, resume=resume, progress=progress, notify=notify
        )
        notify(f"packed {len(packed.films):,} posters at {packed.size[0]}×{packed.size[1]}")
        _check_source(source, packed)
        if films := source.card.data.get("films", {}).get("train"):
            notify(f"{source.path.name} was trained on {films:,} films; yours among them make the metrics too good")
        run, facts = _adapted(recipe, source, packed, out, learning_curve, progress, notify)
        return evaluate_file(
            out / "genres.onnx",
            packed,
            out=out,
            run=run,
            findings=findings,
            facts=facts,
            draws=recipe.draws,
            threads=recipe.training.threads,
            progress=progress,
        )


def _check_source(source: Predictor, packed: Packed) -> None:
    """The source was not made from these films.

    Raises:
        ConfigError: it was, so that cross-validation among them would tell nothing.
    """
    if source.card.data.get("fingerprint") == packed.fingerprint:
        raise ConfigError(
            f"{str(source.path)!r} was trained on these very films; start from the model file that it came from, or "
            "leave out --model for the bundled one"
        )


def _adapted(
    recipe: Recipe, source: Predictor, packed: Packed, out: Path, curve: bool, progress: Progress, notify: Notify
) -> tuple[Run, dict[str, str]]:
    """The model file, written: the run that it comes from, and facts for the report."""
    begun = time.perf_counter()
    adapting = start_from(source, packed, progress=progress)
    bundle, heads = adapting.write(
        out / "genres.onnx",
        precision_target=recipe.precision_target,
        recall_target=recipe.recall_target,
        progress=progress,
    )
    for line in _in_words(packed, source, adapting.known, heads):
        notify(line)
    facts = {f"Beside {source.path.name}": _beside_source(adapting, heads)} if adapting.known else {}
    for name, fact in facts.items():
        notify(f"{name.lower()}: {fact}")
    notify(f"wrote {out / 'genres.onnx'} ({bundle.path.stat().st_size / 1e6:.1f} MB), calibrated and checked")
    for name, point in bundle.card.operating_points.items():
        if point.get("note"):
            notify(f"operating point {name!r}: {point['note']}")
    if curve:
        rows = list(adapting.learning_curve(seed=recipe.training.seed, progress=progress))
        with whole_file(out / LEARNING_CURVE) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = Writer(file)
            writer.write(list(rows[0]))
            for row in rows:
                writer.write(list(row.values()))
    run = Run(
        out, recipe.training, packed.folder, packed.fingerprint, finished=True, seconds=time.perf_counter() - begun
    )
    run.write()
    return run, facts


def _beside_source(adapting: Adapting, heads: Heads) -> str:
    """How well the heads and the source rank the test films by the genres that both know."""
    packed, source = adapting.packed, adapting.source
    rows = packed.rows("test")
    both = [column for column, name in enumerate(packed.genres.names) if name in adapting.known]
    theirs = [source.genres.column(adapting.known[packed.genres.names[column]]) for column in both]
    known = None if packed.known is None else packed.known[rows][:, both]
    texts = []
    for logits in (
        heads.logits(adapting.embedding[rows], adapting.logits[rows])[:, both],
        adapting.logits[rows][:, theirs],
    ):
        metrics = (one(packed.labels[rows][:, both], logits, known=known) for one in (roc_auc, average_precision))
        texts.append(" and ".join(f"{mean_of_defined(metric):.3f}" for metric in metrics))
    return (
        f"ROC-AUC and mAP, macro, {texts[0]} against {texts[1]} of {source.path.name} "
        f"({len(both)} genres that both know, {len(rows):,} test films)"
    )


def _in_words(packed: Packed, source: Predictor, known: Any, heads: Heads) -> list[str]:
    """What the heads start from, and where the source's answer is kept."""
    names = packed.genres.names
    lines = []
    if new := [name for name in names if name not in known]:
        shown = [
            f"{name} (or {near}? rename it with --genre-map)" if (near := suggest(name, source.genres.names)) else name
            for name in new
        ]
        lines.append(f"new genres, learnt from the embedding: {', '.join(shown)}")
    if renamed := [f"{name} as {theirs}" for name, theirs in known.items() if name != theirs]:
        lines.append(f"known to {source.path.name} by another name: {', '.join(renamed)}")
    if kept := [name for name, stays in zip(names, heads.kept, strict=True) if stays]:
        lines.append(f"no gain on held-out films, so the answer of {source.path.name} is kept for: {', '.join(kept)}")
    if moved := [name for name, stays in zip(names, heads.kept | ~heads.known, strict=True) if not stays]:
        lines.append(f"moved from the answer of {source.path.name}: {', '.join(moved)}")
    return lines


def check_options(recipe: Recipe) -> None:
    """Only options that a head without PyTorch has are set.

    Raises:
        ConfigError: another is.
    """
    free = {"model", "seed", "threads"}
    usual = TrainConfig(model=recipe.training.model)
    for name, option in options_of(TrainConfig).items():
        if name not in free and getattr(recipe.training, name) != getattr(usual, name):
            raise ConfigError(
                f"{option.flag} is for networks that PyTorch trains, and {recipe.training.model!r} is a model file, "
                f"whose head alone learns; leave out {option.flag}, or pass --model hf:NAME, poster-cnn or alexnet"
            )
    if recipe.precision != "fp32":
        raise ConfigError(
            f"a model file made from another keeps its precision; got --precision {recipe.precision}: leave it out"
        )

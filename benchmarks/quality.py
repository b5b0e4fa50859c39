"""The metrics of a model file on the fixed test sets of both poster collections, into the model card.

python benchmarks/quality.py DATA [--model FILE] [--out FOLDER] [--write]

DATA: folder with chu2017/ and imdb/, each with its split.csv. Evaluation only, a few minutes. With --write the numbers
go into docs/results.json and their tables onto the pages, and the model file gets the model card and the counts of what
it predicted.
"""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import results_pages
from numpy.typing import NDArray
from ratio import processor_name
from table import cell, interval

from onesheet.bundle import CARD_KEY, MODEL_CARD_KEY, counted
from onesheet.data import Catalogue, Film, read_catalogue
from onesheet.evaluation import Evaluation, Score, evaluate, write_evaluation
from onesheet.files import whole_file
from onesheet.packed import Packed, Split, pack, read_split
from onesheet.predict import DEFAULT_MODEL, Predictor, load, score_split

CARD = Path(__file__).parents[1] / "docs" / "model-card.md"
SOURCES = ("chu2017", "imdb")
EARLY = "before 1950"
LEAST_FILMS = 20  # a slice below it says nothing
SLICE_DRAWS = 300
POINTS = ("balanced", "precise", "generous", "exact")
HEADLINE = [
    ("mAP, macro", "ranking", "macro_average_precision", "prior"),
    ("ROC-AUC, macro", "ranking", "macro_roc_auc", "prior"),
    ("macro-F1 at `balanced`", "balanced", "macro_f1", "every genre"),
    ("micro-F1 at `balanced`", "balanced", "micro_f1", "commonest genre"),
    ("recall at micro-precision .60", "ranking", "recall_at_precision_60", "prior"),
    ("precision at 0.5", "0.5", "micro_precision", "commonest genre"),
    ("recall at 0.5", "0.5", "micro_recall", "commonest genre"),
    ("exact match at `exact`", "exact", "exact_match", "commonest label set"),
    ("the likeliest genre is right", "ranking", "top1_hit", "prior"),
    ("calibration error, 15 bins", "ranking", "calibration_error", "prior"),
]
SLICED = [HEADLINE[row] for row in (0, 1, 2, 3, 7, 9)]
HEADLINE_COLUMNS = ("metric", "bundled model", "baseline")
POINT_COLUMNS = ("`--at`", "precision", "recall", "genres per film", "films without a genre")
SLICE_COLUMNS = ("", "films", *(name for name, *_ in SLICED))
GENRE_COLUMNS = ("genre", "films", "average precision", "ROC-AUC", "precision", "recall", "F1")
Row = list[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--out", type=Path, default=Path("runs/quality"), help="posters packed, evaluation.json")
    parser.add_argument(
        "--write", action="store_true", help="write docs/results.json, the pages, and the card of the file"
    )
    given = parser.parse_args()
    predictor = load(given.model)
    packed = pack_tests(given.data, predictor, given.out)
    probabilities = score_split(predictor, packed, "test").probabilities
    whole = measure(predictor, packed.labels, probabilities)
    write_evaluation(given.out / "evaluation.json", whole)
    entries = {
        "bundled": (headline_rows(whole), HEADLINE_COLUMNS, whole.draws),
        "operating points": (point_rows(whole), POINT_COLUMNS, whole.draws),
        "slices": (slice_rows(predictor, packed, probabilities), SLICE_COLUMNS, SLICE_DRAWS),
        "genres": (genre_rows(whole), GENRE_COLUMNS, whole.draws),
    }
    if not given.write:
        for rows, columns, _ in entries.values():
            print(results_pages.markdown({"columns": columns, "rows": rows, "measured": "", "command": ""}), "\n")
        return
    films = f"{len(packed.films):,} test films of both collections, {len(whole.genres)} genres"
    where = f"Measured on {datetime.now(UTC).date()}, {processor_name()}, ONNX Runtime {version('onnxruntime')}."
    for name, (rows, columns, draws) in entries.items():
        measured = f"{films}, 95% intervals of {draws:,} bootstrap draws. {where}"
        command = "make quality DATA=DATA OPTIONS=--write"
        results_pages.record(name, command=command, measured=measured, columns=columns, rows=rows)
    results_pages.main()
    counts = counted(packed.labels, probabilities, predictor.points, genres=predictor.card.genres, split="test")
    write_metadata(given.model, MODEL_CARD_KEY, CARD.read_text(encoding="utf-8"))
    write_metadata(given.model, CARD_KEY, replace(predictor.card, measured=counts).to_json())


def write_metadata(path: Path, key: str, text: str) -> None:
    """Set one metadata entry of an ONNX file; the file appears whole or stays as it was."""
    model = onnx.load(path)
    kept = [entry for entry in model.metadata_props if entry.key != key]
    del model.metadata_props[:]
    model.metadata_props.extend([*kept, onnx.StringStringEntryProto(key=key, value=text)])
    with whole_file(path) as part:
        onnx.save(model, part)


def pack_tests(data: Path, predictor: Predictor, out: Path) -> Packed:
    """Every test film that has a readable poster and a genre of the model, with the genres of its own collection.

    Read together, as for training, a film of one collection that the other's table names as well has the genres of
    both, and its year.
    """
    own = {film.poster: film.genres for source in SOURCES for film in read_catalogue(data / source, min_films=1).films}
    catalogue = read_catalogue(*(data / source for source in SOURCES), min_films=1)
    known = tuple(
        replace(film, genres=own[film.poster])
        for film in catalogue.films
        if set(own.get(film.poster, ())) & set(predictor.genres.names)
    )
    parts = read_split(
        Catalogue(known, predictor.genres, catalogue.findings), *(data / source / "split.csv" for source in SOURCES)
    )
    films = tuple(parts.catalogue.films[row] for row in parts.rows("test"))
    tests = Split(Catalogue(films, predictor.genres), np.full(len(films), "test"))
    height, width = predictor.card.size
    return pack(tests, out / f"packed-{height}x{width}", size=predictor.card.size, resize=predictor.card.resize)


def measure(
    predictor: Predictor, labels: NDArray[np.bool_], probabilities: NDArray[np.float32], *, draws: int = 1000
) -> Evaluation:
    return evaluate(
        labels,
        probabilities,
        genres=predictor.genres,
        points=predictor.points,
        train_labels=predictor.card.train_labels,
        draws=draws,
    )


def metric(result: Evaluation, at: str, key: str) -> Score:
    return (result.ranking if at == "ranking" else result.at[at])[key]


def headline_rows(result: Evaluation) -> list[Row]:
    return [
        [name, interval(metric(result, at, key)), f"{cell(result.baselines[baseline].get(key))} ({baseline})"]
        for name, at, key, baseline in HEADLINE
    ]


def point_rows(result: Evaluation) -> list[Row]:
    keys = ("micro_precision", "micro_recall", "genres_per_film", "no_genre_share")
    return [[f"`{at}`", *(interval(result.at[at][key]) for key in keys)] for at in POINTS]


def decade(film: Film) -> str:
    return "year unknown" if film.year is None else EARLY if film.year < 1950 else f"{film.year // 10}0s"


def slice_rows(predictor: Predictor, packed: Packed, probabilities: NDArray[np.float32]) -> list[Row]:
    """Macro metrics over the genres that have films in the slice."""
    kinds = [np.array([Path(film.source).name for film in packed.films]), np.array([decade(f) for f in packed.films])]
    rows = []
    for kind in kinds:
        for name in sorted(set(kind.tolist()), key=lambda name: (name != EARLY, name)):
            chosen = kind == name
            if chosen.sum() < LEAST_FILMS:
                continue
            result = measure(predictor, packed.labels[chosen], probabilities[chosen], draws=SLICE_DRAWS)
            rows.append([name, int(chosen.sum()), *(interval(metric(result, at, key)) for _, at, key, _ in SLICED)])
    return rows


def genre_rows(result: Evaluation) -> list[Row]:
    return [
        [
            genre.genre,
            genre.support,
            interval(genre.average_precision),
            interval(genre.roc_auc),
            *(interval(getattr(genre.at["balanced"], name)) for name in ("precision", "recall", "f1")),
        ]
        for genre in sorted(result.per_genre, key=lambda one: -one.average_precision.value)
    ]


if __name__ == "__main__":
    main()

"""From a table of posters to a model file and its report, without PyTorch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.metrics import roc_auc_score

import onesheet
from onesheet.__main__ import main
from onesheet.data import Catalogue, read_catalogue, write_catalogue
from onesheet.errors import BundleError, CatalogueError, ConfigError, RunError
from onesheet.evaluation.predictions_file import read_predictions
from onesheet.genres import GenreSet
from onesheet.pipeline import Recipe, adapt_recipe
from onesheet.training import open_run

BLOCKED = ("torch", "lightning", "transformers", "onnxscript", "cleanlab", "sklearn", "scipy", "pyarrow", "pandas")
WITHOUT = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from onesheet.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
FEW_DRAWS = 20


def without_pytorch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line in a Python that has the core and the extra `adapt` alone."""
    command = [sys.executable, "-c", WITHOUT, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def table(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn films as a CSV, their comedies in German."""
    path = tmp_path_factory.mktemp("table") / "posters.csv"
    write_catalogue(catalogue, path)
    path.write_text(path.read_text(encoding="utf-8").replace("Comedy", "Komödie"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def adapted(table: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run made by the command line without PyTorch."""
    out = tmp_path_factory.mktemp("adapted") / "run"
    done = without_pytorch(
        "train", table, "--model", model_path, "--out", out, "--learning-curve", "--draws", str(FEW_DRAWS)
    )
    assert done.returncode == 0, done.stderr
    assert "known to genres.onnx by another name: Komödie as Comedy" in done.stderr + done.stdout
    return out


def test_a_run_has_its_model_file_and_its_report(adapted: Path, catalogue: Catalogue) -> None:
    model = onesheet.load(adapted / "genres.onnx")
    assert model.genres.names == ("Drama", "Horror", "Komödie")  # the user's spelling
    report = (adapted / "report.html").read_text(encoding="utf-8")
    for words in ("Would more films help?", "Source’s answer kept", "genres.onnx, SHA-256", "New genres"):
        assert words in report
    evaluation = json.loads((adapted / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["ranking"]["macro_roc_auc"]["value"] > 0.8
    assert len(read_catalogue(adapted / "catalogue.csv")) == len(catalogue)
    auc = evaluation["ranking"]["macro_roc_auc"]["value"]  # all three genres are the source's
    assert f"macro, {auc:.3f} and" in report and "of genres.onnx (3 genres that both know" in report
    assert open_run(adapted).fingerprint == model.card.data["fingerprint"]


def test_evaluate_works_without_pytorch(adapted: Path, table: Path, tmp_path: Path) -> None:
    done = without_pytorch(
        "evaluate", adapted / "genres.onnx", table, "--run", adapted, "--out", tmp_path / "out", "--draws", "20"
    )
    assert done.returncode == 0, done.stderr
    assert "cleanlab is not installed" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_finished_run_resumed_is_the_same(adapted: Path) -> None:
    before = (adapted / "genres.onnx").read_bytes()
    curve = (adapted / "learning-curve.csv").read_bytes()
    done = without_pytorch("train", "--out", adapted, "--resume")
    assert done.returncode == 0, done.stderr
    assert onesheet.load(adapted / "genres.onnx").card.training == read_card(before)["training"]
    assert (adapted / "learning-curve.csv").read_bytes() == curve


def read_card(model: bytes) -> dict[str, object]:
    texts = {one.key: one.value for one in onnx.load_from_string(model).metadata_props}
    return json.loads(texts["onesheet"])  # type: ignore[no-any-return]


def test_three_lines_adapt_posters_and_names(catalogue: Catalogue, model_path: Path) -> None:
    posters, genres = [film.poster for film in catalogue.films], [film.genres for film in catalogue.films]
    run = onesheet.adapt(posters, genres, model=model_path, draws=FEW_DRAWS)
    assert set(run.kept) <= {"Comedy", "Drama", "Horror"}
    assert run.evaluation.split == "test" and run.evaluation.films > 20
    assert re.fullmatch(r"<Adaptation: 3 genres, measured on \d+ test films, in \S+>", repr(run))
    assert set(run.model.predict(posters[0]).probabilities) == {"Comedy", "Drama", "Horror"}


def test_a_killed_run_resumes(table: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onesheet.pipeline import adaptation_run

    recipe = Recipe.of({"catalogue": (str(table),), "model": str(model_path), "draws": FEW_DRAWS})

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adaptation_run, "start_from", stop)
        with pytest.raises(KeyboardInterrupt):
            adapt_recipe(recipe, tmp_path / "run")
    with pytest.raises(RunError, match="resume it with --resume"):
        adapt_recipe(recipe, tmp_path / "run")
    assert adapt_recipe(recipe, tmp_path / "run", resume=True).films > 20


def truncated(model: bytes) -> bytes:
    return model[: len(model) // 2]


def newer(model: bytes) -> bytes:
    loaded = onnx.load_from_string(model)
    for entry in loaded.metadata_props:
        if entry.key == "onesheet":
            entry.value = json.dumps(json.loads(entry.value) | {"protocol": 99})
    return loaded.SerializeToString()  # type: ignore[no-any-return]


def without_embedding(model: bytes) -> bytes:
    loaded = onnx.load_from_string(model)
    outputs = [output for output in loaded.graph.output if output.name != "embedding"]
    del loaded.graph.output[:]
    loaded.graph.output.extend(outputs)
    return loaded.SerializeToString()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, "not a whole ONNX model"),
        (newer, "has protocol 99, newer than"),
        (without_embedding, "the graph lacks outputs"),
    ],
)
def test_a_source_that_cannot_be_used_is_an_error(
    damage: Callable[[bytes], bytes], words: str, table: Path, model_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "source.onnx").write_bytes(damage(model_path.read_bytes()))
    recipe = Recipe.of({"catalogue": (str(table),), "model": str(tmp_path / "source.onnx")})
    with pytest.raises(BundleError, match=words):
        adapt_recipe(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"epochs": 3}, "--epochs is for networks that PyTorch trains"),
        ({"loss": "focal"}, "--loss is for networks that PyTorch trains"),
        ({"precision": "int8"}, "keeps its precision"),
        ({"size": (64, 64)}, "takes posters of 48x32; leave out --size"),
        ({"resize": "pad"}, "takes posters by --resize stretch; leave out --resize"),
        ({"catalogue": ()}, "no catalogue given"),
    ],
)
def test_options_of_pytorch_are_rejected(
    option: dict[str, object], words: str, table: Path, model_path: Path, tmp_path: Path
) -> None:
    recipe = Recipe.of({"catalogue": (str(table),), "model": str(model_path), **option})
    with pytest.raises(ConfigError, match=words):
        adapt_recipe(recipe, tmp_path / "run")


def test_one_genre_or_too_few_films_are_errors_that_say_what_is_needed(
    catalogue: Catalogue, model_path: Path, tmp_path: Path
) -> None:
    posters = [film.poster for film in catalogue.films[:60]]
    with pytest.raises(CatalogueError, match=r"one genre only .* bring films of other genres"):
        onesheet.adapt(posters, [["Horror"]] * 60, model=model_path)
    with pytest.raises(CatalogueError, match=r"a genre that 20 films or more have .* lower --min-films"):
        onesheet.adapt(posters[:20], [["Horror"], ["Drama"]] * 10, model=model_path)
    with pytest.raises(ConfigError, match="must be as many; got 60 and 59"):
        onesheet.adapt(posters, [["Horror"]] * 59, model=model_path)
    with pytest.raises(ConfigError, match="lists of names, one for each poster; got 'Horror'"):
        onesheet.adapt(posters, ["Horror"] * 60, model=model_path)


def test_rare_genres_are_left_out_and_listed(catalogue: Catalogue, model_path: Path, tmp_path: Path) -> None:
    rare = {film.film_id for film in catalogue.films[:6]}
    films = tuple(
        replace(film, genres=(*film.genres, "Anime")) if film.film_id in rare else film for film in catalogue.films
    )
    write_catalogue(
        replace(catalogue, films=films, genres=GenreSet([*catalogue.genres.names, "Anime"])), tmp_path / "p.csv"
    )
    recipe = Recipe.of(
        {"catalogue": (str(tmp_path / "p.csv"),), "model": str(model_path), "draws": FEW_DRAWS, "min_films": 3}
    )
    lines: list[str] = []
    adapt_recipe(recipe, tmp_path / "run", notify=lines.append)
    assert onesheet.load(tmp_path / "run" / "genres.onnx").genres.names == ("Comedy", "Drama", "Horror")
    assert [line for line in lines if "have them, or lack them: Anime" in line]
    assert "rare-genre" in (tmp_path / "run" / "findings.csv").read_text(encoding="utf-8")


def test_a_catalogue_of_which_nothing_can_be_learnt_leaves_the_folder_free(
    catalogue: Catalogue, model_path: Path, tmp_path: Path
) -> None:
    write_catalogue(replace(catalogue, films=catalogue.films[:14]), tmp_path / "p.csv")
    choices = {"catalogue": (str(tmp_path / "p.csv"),), "model": str(model_path), "min_films": 1}
    with pytest.raises(CatalogueError, match="at least two genres with 10 films each"):
        adapt_recipe(Recipe.of(choices), tmp_path / "run")
    with pytest.raises(CatalogueError):  # not RunError: the folder holds no run
        adapt_recipe(Recipe.of(choices | {"min_films": 2}), tmp_path / "run")


def test_blank_cells_of_a_one_hot_table_are_no_labels(catalogue: Catalogue, model_path: Path, tmp_path: Path) -> None:
    names = catalogue.genres.names
    rows = ["poster," + ",".join(names)]
    for number, film in enumerate(catalogue.films):
        cells = [str(int(name in film.genres)) for name in names]
        if number % 3 == 0 and any(name in film.genres for name in names[1:]):
            cells[0] = ""  # a third says nothing about the first genre
        rows.append(",".join([film.poster, *cells]))
    (tmp_path / "p.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    recipe = Recipe.of({"catalogue": (str(tmp_path / "p.csv"),), "model": str(model_path), "draws": FEW_DRAWS})
    evaluation = adapt_recipe(recipe, tmp_path / "run")
    predictions = read_predictions(tmp_path / "run" / "predictions.csv")
    known = predictions.known
    assert known is not None and 0.1 < (~known[:, 0]).mean() < 0.4 and known[:, 1:].all()
    expected = roc_auc_score(predictions.labels[known[:, 0], 0], predictions.probabilities[known[:, 0], 0])
    assert evaluation.per_genre[0].roc_auc.value == pytest.approx(expected)
    assert evaluation.per_genre[0].share == pytest.approx(predictions.labels[known[:, 0], 0].mean())


def test_the_users_own_table_is_never_overwritten(catalogue: Catalogue, model_path: Path, tmp_path: Path) -> None:
    posters, genres = [film.poster for film in catalogue.films], [film.genres for film in catalogue.films]
    (tmp_path / "posters.csv").write_text("mine")
    with pytest.raises(RunError, match=r"holds a posters\.csv, which would be overwritten"):
        onesheet.adapt(posters, genres, model=model_path, out=tmp_path)
    assert (tmp_path / "posters.csv").read_text() == "mine"


def test_a_model_made_from_these_very_films_is_no_start(adapted: Path, table: Path, tmp_path: Path) -> None:
    recipe = Recipe.of({"catalogue": (str(table),), "model": str(adapted / "genres.onnx")})
    with pytest.raises(ConfigError, match="was trained on these very films"):
        adapt_recipe(recipe, tmp_path / "run")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("run", r"'run' is a folder; name the model file in it: --model run/genres.onnx"),
        ("films.csv", r"'films.csv' is not a model file, whose name ends in .onnx"),
    ],
)
def test_a_model_that_is_another_path_is_an_error_with_the_cure(
    model: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "genres.onnx").touch()
    (tmp_path / "films.csv").touch()
    assert main(["train", "posters.csv", "--model", model, "--out", "out"]) == 2
    assert words in capsys.readouterr().err


def test_an_unknown_option_is_an_error_with_the_nearest_one(model_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown option 'minfilms'; did you mean 'min_films'"):
        onesheet.adapt("posters.csv", model=model_path, minfilms=3)


def test_a_failed_call_leaves_no_table_and_changes_no_run(
    adapted: Path, catalogue: Catalogue, model_path: Path, tmp_path: Path
) -> None:
    posters, genres = [film.poster for film in catalogue.films], [film.genres for film in catalogue.films]
    with pytest.raises(CatalogueError):
        onesheet.adapt(posters[:20], genres[:20], model=model_path, out=tmp_path / "few")
    with pytest.raises(ConfigError):
        onesheet.adapt(posters, genres, model=model_path, out=tmp_path / "option", epochs=3)
    assert not (tmp_path / "few").exists() and not (tmp_path / "option").exists()
    before = sorted((path.name, path.stat().st_mtime_ns) for path in adapted.iterdir())
    with pytest.raises(RunError, match="holds a run already"):
        onesheet.adapt(posters, genres, model=model_path, out=adapted)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in adapted.iterdir()) == before


def test_a_learning_curve_is_for_model_files(table: Path, tmp_path: Path) -> None:
    done = without_pytorch("train", table, "--model", "poster-cnn", "--out", tmp_path / "run", "--learning-curve")
    assert done.returncode == 2 and "--learning-curve is for heads on a model file" in done.stderr


def test_probabilities_are_higher_where_a_film_has_the_genre(adapted: Path, catalogue: Catalogue) -> None:
    model = onesheet.load(adapted / "genres.onnx")
    labels = catalogue.genres.encode([film.genres for film in catalogue.films])
    scores = np.array(
        [
            [one.probabilities[name] for name in ("Komödie", "Drama", "Horror")]
            for one in model.predict_many([film.poster for film in catalogue.films])
        ]
    )
    assert (scores[labels].mean() - scores[~labels].mean()) > 0.3

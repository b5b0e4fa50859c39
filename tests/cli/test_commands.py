from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from onesheet.__main__ import build_parser, main
from onesheet.bundle import read_bundle
from onesheet.cli import train_command as train
from onesheet.data import Catalogue
from onesheet.evaluation import read_evaluation, read_predictions
from onesheet.evaluation.caveats import PERHAPS_SEEN
from onesheet.packed import Packed
from onesheet.pipeline import pipeline
from onesheet.predict import DEFAULT_MODEL, load
from onesheet.training import Run, TrainConfig

pytestmark = pytest.mark.usefixtures("unrendered")

TINY = [
    *("--model", "poster-cnn", "--widths", "8,16", "--size", "48x32", "--epochs", "2"),
    *("--learning-rate", "0.01", "--threads", "1", "--draws", "20", "--no-tta"),
]
RUN_FILES = {
    "genres.onnx",
    "config.toml",
    "catalogue.parquet",
    "findings.csv",
    "split.csv",
    "history.csv",
    "evaluation.json",
    "plots",
    "predictions.csv",
    "report.html",
}


@pytest.fixture(scope="module")
def trained(table: Path, unrendered: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", str(table), "--out", str(out), *TINY]) == 0
    return out


def failing(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line a wrong command says."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("onesheet: error: ")]
    assert len(lines) == 1
    return lines[0]


def test_train_leaves_every_file(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} >= RUN_FILES
    assert not list(trained.rglob("*.part"))
    evaluation = json.loads((trained / "evaluation.json").read_text())
    assert evaluation["ranking"]["macro_roc_auc"]["value"] > 0.7
    assert len(parquet.read_table(trained / "catalogue.parquet")) == 200


def test_train_leaves_how_the_catalogue_was_understood(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["train", "--out", str(trained), "--resume", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (source,) = printed["sources"]
    assert source["name"] == "films.csv" and source["rows"] == 200 and source["columns"]["genres"] == ["genres"]
    assert sum(printed["genre_films"].values()) > 200 and printed["genres_left_out"] == {}
    assert printed["genres"] == list(read_bundle(trained / "genres.onnx").genres.names)
    card = read_bundle(trained / "genres.onnx").card.data
    assert card["sources"] == [source] and card["genres_left_out"] == {}
    for page in ("audit.html", "report.html"):
        assert "films.csv: 200 rows; ids in" in (trained / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("epoch_has_ended", [False, True])
def test_an_interrupted_training_offers_an_export_only_once_an_epoch_has_ended(
    epoch_has_ended: bool,
    table: Path,
    packed: Packed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(*_: object, folder: Path = tmp_path / "run", **__: object) -> Run:
        run = Run(Path(folder), TrainConfig(model="poster-cnn"), packed.folder, packed.fingerprint)
        if epoch_has_ended:
            run.folder.mkdir(exist_ok=True)
            run.network_path.touch()
        return run

    monkeypatch.setattr(pipeline, "fit_in", stopped)
    monkeypatch.setattr("onesheet.training.fit", stopped)
    for command in (["train", str(table), "--size", "48x32"], ["fit", str(packed.folder)]):
        assert main([*command, "--out", str(tmp_path / "run"), "--model", "poster-cnn"]) == 130
        said = "".join(capsys.readouterr())
        assert "interrupted; resume with" in said and ("the best epoch so far" in said) == epoch_has_ended


def test_a_teacher_that_is_not_there_leaves_the_folder_free(
    table: Path, packed: Packed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert "no.onnx" in failing(capsys, "train", table, "--out", out, *TINY, "--teacher", tmp_path / "no.onnx")
    assert not out.exists() or not list(out.iterdir())
    scratch = ("--model", "poster-cnn", "--teacher", tmp_path / "no.onnx")
    assert "no.onnx" in failing(capsys, "fit", packed.folder, "--out", out, *scratch)
    assert not out.exists() or not list(out.iterdir())


def shown_and_splits(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[set[str], dict[str, str]]:
    """The films whose posters the demo predicts, and each film's split."""
    command = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("$ onesheet predict "))
    with (folder / "run" / "split.csv").open(newline="") as file:
        splits = {row["id"]: row["split"] for row in csv.DictReader(file)}
    return {Path(word).stem for word in command.split() if "posters" in word}, splits


def test_the_demo_ends_with_posters_the_network_has_not_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = replace(train.DEMO.training, widths=(8,), epochs=1, threads=1)
    small = replace(train.DEMO, size=(48, 32), min_films=5, draws=10, training=training)
    monkeypatch.setattr(train, "DEMO", small)
    monkeypatch.setattr(train, "DEMO_FILMS", 100)
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    shown, split = shown_and_splits(tmp_path / "demo", capsys)
    assert len(shown) == 5 and {split[film_id] for film_id in shown} == {"test"}


def test_the_quick_demo_starts_from_the_bundled_model_and_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from onesheet.__main__ import main\n"
        "code = main(['demo', '--quick', '--out', 'demo'])\n"
        "sys.exit(code or len({'torch', 'lightning', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "drawing a catalogue of 200 posters" in done.stderr
    card = load(tmp_path / "demo" / "run" / "genres.onnx").card
    assert card.training["model"] == "adapted from default.onnx"
    roc_auc = json.loads((tmp_path / "demo" / "run" / "evaluation.json").read_text())["ranking"]["macro_roc_auc"]
    assert roc_auc["value"] > 0.7


def test_a_run_is_not_overwritten_and_resumes_from_its_folder_alone(
    trained: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "holds a run already; resume it with --resume" in failing(capsys, "train", table, "--out", trained, *TINY)
    before = (trained / "evaluation.json").read_bytes()
    assert main(["train", "--out", str(trained), "--resume"]) == 0
    assert (trained / "evaluation.json").read_bytes() == before
    assert "started with epochs = 2, not 3" in failing(capsys, "train", "--out", trained, "--resume", "--epochs", "3")
    fit = ["fit", trained / "packed", "--out", trained, "--resume"]
    assert main(list(map(str, fit))) == 0  # with the run's own options
    assert "started with epochs = 2, not 3" in failing(capsys, *fit, "--epochs", "3")


@pytest.mark.parametrize("command", [["train"], ["fit", "packed"]], ids=" ".join)
def test_what_is_not_there_cannot_be_resumed(
    command: list[str], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failing(capsys, *command, "--out", tmp_path / "misspelt", "--resume")
    assert "no run in" in line and "misspelt" in line
    assert not (tmp_path / "misspelt").exists()


def test_an_audit_finds_rare_genres_and_never_rejects_them(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{film.poster},{'|'.join(film.genres)}\n" for film in catalogue.films[:10])
    (tmp_path / "films.csv").write_text("poster,genres\n" + rows)
    assert main(["audit", str(tmp_path / "films.csv"), "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["films"] == 10 and found["findings"]["rare-genre"] == found["genres"] == 3 and found["staying"] == 0
    assert main(["audit", str(tmp_path / "films.csv"), "--out", str(tmp_path / "out"), "--min-films", "1"]) == 0
    assert "10 of 10 films stay" in capsys.readouterr().out
    assert main(["audit", str(tmp_path / "films.csv"), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "0 of 10 films stay" in told
    for genre in catalogue.genres.names:
        count = sum(genre in film.genres for film in catalogue.films[:10])
        assert f"rare: {genre}: {count} films, fewer than 20" in told


def test_a_config_file_gives_the_same_run_and_options_win(trained: Path, tmp_path: Path) -> None:
    config = str(trained / "config.toml")
    assert main(["train", "--config", config, "--out", str(tmp_path / "again")]) == 0
    plots = sorted(path.relative_to(trained) for path in (trained / "plots").iterdir())
    for name in ("evaluation.json", "split.csv", "predictions.csv", *plots):
        assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes(), name


def test_the_steps_alone_give_what_train_gives(
    trained: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit, split, packed, run = (str(tmp_path / name) for name in ("audit", "split.csv", "packed", "run"))
    model, out = str(tmp_path / "genres.onnx"), str(tmp_path / "out")
    assert main(["audit", str(table), "--out", audit, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["films"] == 200
    findings = ["--findings", f"{audit}/findings.csv"]
    assert main(["split", str(table), "--out", split, *findings, "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["films"].values()) == 200
    assert main(["pack", str(table), "--split", split, *findings, "--out", packed, "--size", "48x32", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["posters"] == 200
    fit_options = [option for option in TINY if option not in ("--size", "48x32", "--draws", "20")]
    assert main(["fit", packed, "--out", run, *fit_options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["finished"]
    assert main(["export", run, "--out", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == Path(model).stat().st_size
    assert main(["evaluate", model, packed, "--out", out, "--draws", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((trained / "evaluation.json").read_text())


def test_a_report_made_alone_knows_the_run_and_the_audit_it_is_told(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(trained / "genres.onnx"), str(trained / "packed"), "--draws", "10", "--out"]
    assert main([*words, str(tmp_path / "alone")]) == main([*words, str(tmp_path / "told"), "--run", str(trained)]) == 0
    alone, told = ((tmp_path / name / "report.html").read_text() for name in ("alone", "told"))
    assert "Not known here" in alone and "Not known here" not in told
    assert 'href="#learning"' in told and 'href="#learning"' not in alone


def test_console_report_and_json_carry_the_same_caveats(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(trained / "genres.onnx"), str(trained / "packed"), "--draws", "10"]
    for part, seen in (("train", "was trained on"), ("validation", "were chosen on"), ("test", None)):
        out = tmp_path / part
        assert main([*words, "--split", part, "--out", str(out)]) == 0
        caveats = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["caveats"]
        assert [caveat for caveat in caveats if "too good" in caveat and str(seen) in caveat] == caveats[: bool(seen)]
        assert any("Too few films to judge" in caveat for caveat in caveats) == (part != "train")
        console, report = capsys.readouterr().out, (out / "report.html").read_text(encoding="utf-8")
        for caveat in caveats:
            assert f"note: {caveat}" in console.splitlines() and f"<li>{caveat}</li>" in report


def test_a_catalogue_of_films_that_may_have_been_trained_on_is_said_to_be(
    trained: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(trained / "genres.onnx"), str(table), "--draws", "10", "--out"]
    for name, more in (("alone", []), ("told", ["--run", str(trained)])):
        assert main([*words, str(tmp_path / name), *more]) == 0
    alone, told = (read_evaluation(tmp_path / name / "evaluation.json").caveats for name in ("alone", "told"))
    assert PERHAPS_SEEN in alone and PERHAPS_SEEN not in told


def test_two_runs_are_compared_on_the_same_films(
    trained: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = tmp_path / "other", ["--draws", "20", "--out", str(tmp_path / "compared")]
    assert main(["train", str(table), "--out", str(other), *TINY, "--epochs", "1"]) == 0
    capsys.readouterr()
    assert main(["compare", str(trained), str(other), *out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name, folder in (("one", trained), ("other", other)):
        evaluation = json.loads((folder / "evaluation.json").read_text())
        assert found["films"] == evaluation["films"]
        assert found["ranking"]["macro_average_precision"][name] == evaluation["ranking"]["macro_average_precision"]
        assert found["at"]["exact"]["exact_match"][name] == evaluation["at"]["exact"]["exact_match"]
    assert found["both"] + found["neither"] + len(found["only_one"]) + len(found["only_other"]) == found["films"]
    assert main(["compare", str(trained), str(other), *out]) == 0
    printed = capsys.readouterr().out
    assert "Mean average precision" in printed and "Comedy" in printed and "compare.html" in printed
    named = (other / "predictions.csv").read_text()  # the same by another service's names, in another order
    (other / "predictions.csv").write_text(named.replace("Comedy", "Komödie"))
    assert main(["compare", str(trained), str(other), *out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    (other / "predictions.csv").write_text(named)
    page = (tmp_path / "compared" / "compare.html").read_bytes()
    assert main(["compare", str(trained), str(other), *out]) == 0
    assert (tmp_path / "compared" / "compare.html").read_bytes() == page
    assert page.count(b"<img ") == min(24, len(found["only_one"])) + min(24, len(found["only_other"]))


def test_two_folders_of_one_name_are_told_apart(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again" / trained.name
    again.mkdir(parents=True)
    (again / "predictions.csv").write_bytes((trained / "predictions.csv").read_bytes())
    out = ["--draws", "10", "--out", str(tmp_path / "compared")]
    above = trained.parent.name
    for other, names in ((again, (f"{above}/run", "again/run")), (trained, ("run (A)", "run (B)"))):
        capsys.readouterr()
        assert main(["compare", str(trained), str(other), *out]) == 0
        printed = capsys.readouterr().out
        assert all(f"{name} alone 0" in printed for name in names)
        assert "too few films" in printed  # of the 30 test films


def test_runs_on_other_films_are_not_compared(
    trained: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = str(tmp_path / "everything")
    assert main(["evaluate", str(trained / "genres.onnx"), str(table), "--out", everything, "--draws", "10"]) == 0
    line = failing(capsys, "compare", trained, everything, "--out", tmp_path / "compared")
    assert "measured on other films" in line and "evaluate both models on the same packed folder and split" in line
    assert "run: onesheet evaluate" in failing(capsys, "compare", trained, tmp_path, "--out", tmp_path / "compared")
    assert not (tmp_path / "compared").exists()


def test_evaluating_a_catalogue_measures_all_its_films(
    trained: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(trained / "genres.onnx")
    assert main(["evaluate", model, str(table), "--out", str(tmp_path), "--draws", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["films"] == 200


def test_the_model_that_ships_can_be_evaluated_by_name(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = {name: ("Drama", "Comedy", "Horror")[place % 3] for place, name in enumerate(catalogue.genres.names)}
    rows = [f"{film.poster},{'|'.join({renamed[name] for name in film.genres})}\n" for film in catalogue.films[:12]]
    (tmp_path / "films.csv").write_text("poster,genres\n" + "".join(rows))
    words = ["evaluate", "default", str(tmp_path / "films.csv"), "--min-films", "1", "--draws", "10", "--json"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["films"] == 12 and len(result["genres"]) == 24
    assert DEFAULT_MODEL.name in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_genres_of_another_catalogue_are_matched_by_synonyms_and_others_named(
    trained: Path, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, model = tmp_path / "films.csv", str(trained / "genres.onnx")
    words = ["--draws", "10", "--json", "--out", str(tmp_path / "out")]

    def write(*genres: str) -> None:
        rows = (f"{film.poster},{genres[i % len(genres)]}\n" for i, film in enumerate(catalogue.films[:30]))
        table.write_text("poster,genres\n" + "".join(rows))

    write("Drama|Komödie", "Komödie", "Drama|Anime")
    assert main(["evaluate", model, str(table), *words]) == 0
    captured = capsys.readouterr()
    assert "genre names matched: Komödie = Comedy" in captured.err
    assert "genres that the model does not have are left out: Anime (10 films)" in captured.err
    assert json.loads(captured.out)["films"] == 30
    written = read_predictions(tmp_path / "out" / "predictions.csv")
    assert written.labels.sum(0).tolist() == [20, 20, 0]  # Comedy, Drama, Horror
    write("Drama|Komödie", "Anime")
    assert main(["evaluate", model, str(table), *words[:-1], str(tmp_path / "fewer")]) == 0
    captured = capsys.readouterr()
    assert "15 films left out" in captured.err and json.loads(captured.out)["films"] == 15
    write("Anime", "Horrorfim|Anime")
    line = failing(capsys, "evaluate", model, table, *words)
    assert "no film has a genre of the model, but for Anime (30 films)" in line and "--genre-map" in line
    assert "Horrorfim (15 films; Horror?)" in line  # near names are only suggested


def test_films_that_a_run_has_learnt_from_are_left_out(
    trained: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(trained / "genres.onnx"), str(table), "--draws", "10", "--json", "--out"]
    assert main([*words, str(tmp_path), "--run", str(trained)]) == 0
    captured = capsys.readouterr()
    split = list(csv.DictReader((trained / "split.csv").open()))
    assert json.loads(captured.out)["films"] == sum(row["split"] == "test" for row in split) < 200
    assert "films that the model was trained on" in captured.err
    fitted = tmp_path / "fitted"  # a run of pack and fit has no split file, but its store
    shutil.copytree(trained, fitted, ignore=shutil.ignore_patterns("split.csv"))
    assert main([*words, str(tmp_path / "again"), "--run", str(fitted)]) == 0
    assert json.loads(capsys.readouterr().out)["films"] == json.loads(captured.out)["films"]
    shutil.rmtree(fitted / "packed")
    line = failing(capsys, *words, tmp_path / "lost", "--run", fitted)
    assert "no split.csv" in line and "leave out --run" in line and not list((tmp_path / "lost").glob("*"))
    line = failing(capsys, "evaluate", "default", table, "--run", trained, "--out", tmp_path / "out")
    assert "does not come from the run" in line and not list((tmp_path / "out").glob("*"))


def test_a_catalogues_rare_genres_do_not_stop_its_evaluation(
    trained: Path, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(
        f"{film.poster},{'Noir' if i < 2 else '|'.join(film.genres)}{'|Noir' if i < 5 else ''}\n"
        for i, film in enumerate(catalogue.films)
    )
    (tmp_path / "films.csv").write_text("poster,genres\n" + rows)
    model, out = str(trained / "genres.onnx"), str(tmp_path / "out")
    assert main(["evaluate", model, str(tmp_path / "films.csv"), "--out", out, "--draws", "10", "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["films"] == 198 and result["split"] == "catalogue"
    assert "2 films left out: none of their genres is one of the model's" in captured.err


def test_predict_in_every_form(
    trained: Path, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(trained / "genres.onnx")]
    folder = str(Path(catalogue.films[0].poster).parent)
    broken = tmp_path / "broken 'é\n.jpg"
    broken.write_bytes(b"GIF89a")
    capsys.readouterr()

    assert main(["predict", folder, *model]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 201

    assert main(["predict", folder, str(broken), *model, "--json"]) == 1
    captured = capsys.readouterr()
    objects = [json.loads(line) for line in captured.out.splitlines()]
    assert len(objects) == 201 and objects[-1].keys() == {"path", "error"}
    assert objects[0].keys() == {"path", "genres", "probabilities"}
    assert objects[0]["genres"][0].keys() == {"genre", "probability"}
    assert set(objects[0]["probabilities"]) == {"Comedy", "Drama", "Horror"}
    assert "broken" in captured.err

    assert main(["predict", folder, str(broken), *model, "--csv", "--at", "exact"]) == 1
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines(keepends=True)))
    assert len(rows) == 201 and rows[-1]["path"] == str(broken) and rows[-1]["error"] and not rows[-1]["genres"]
    assert all(row["genres"] for row in rows[:-1])

    target = tmp_path / "genres.parquet"
    assert main(["predict", folder, str(broken), *model, "--parquet", str(target), "--top", "2"]) == 1
    table = parquet.read_table(target).to_pylist()
    assert len(table) == 201 and table[0]["genres"].count("|") == 1 and table[-1]["error"]
    for left, right in zip(rows[:-1], table[:-1], strict=True):
        assert float(left["Drama"]) == pytest.approx(right["Drama"], abs=1e-6)


class TestWrongInput:
    def test_paths_and_tables(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out"
        assert "no such" in failing(capsys, "train", tmp_path / "missing.csv", "--out", out, *TINY)
        (tmp_path / "empty").mkdir()
        assert "empty" in failing(capsys, "train", tmp_path / "empty", "--out", out, *TINY)
        (tmp_path / "films.csv").write_text("poster,title\na.jpg,A\n")
        line = failing(capsys, "train", tmp_path / "films.csv", "--out", out, *TINY)
        assert "poster, title" in line and "--genre-column" in line
        (tmp_path / "films.csv").write_text("poster,genres\na.jpg,Drama\n")
        assert "--posters" in failing(capsys, "train", tmp_path / "films.csv", "--out", out, *TINY)
        assert "no catalogue given" in failing(capsys, "train", "--out", out, *TINY)
        assert not out.exists()

    def test_one_genre_only(self, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        rows = "".join(f"{film.poster},Drama\n" for film in catalogue.films)
        (tmp_path / "films.csv").write_text("poster,genres\n" + rows)
        assert "Drama" in failing(capsys, "train", tmp_path / "films.csv", "--out", tmp_path / "out", *TINY)
        assert not (tmp_path / "out").exists()

    def test_one_genre_left_by_the_audit(
        self, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = [f"{film.poster},Drama\n" for film in catalogue.films[:30]]
        for number in range(20):
            (tmp_path / f"{number}.jpg").write_bytes(b"\xff\xd8\xff broken")
            rows.append(f"{tmp_path / f'{number}.jpg'},Comedy\n")
        (tmp_path / "films.csv").write_text("poster,genres\n" + "".join(rows))
        for command in ("train", "split", "pack"):
            options = [*TINY, "--min-films", "20"] if command == "train" else ["--min-films", "20"]
            line = failing(capsys, command, tmp_path / "films.csv", "--out", tmp_path / "out", *options)
            assert "of 30 usable films only Drama is left; at least two genres with 20 films each are needed" in line
        assert not (tmp_path / "out").exists()

    def test_genres_of_model_and_catalogue_that_do_not_match(
        self, trained: Path, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = "".join(f"{film.poster},{'Noir' if i % 2 else 'Drama'}\n" for i, film in enumerate(catalogue.films))
        (tmp_path / "films.csv").write_text("poster,genres\n" + rows)
        out = tmp_path / "out"
        line = failing(capsys, "evaluate", trained / "genres.onnx", tmp_path / "films.csv", "--out", out)
        assert "only Drama is left" in line
        assert not out.exists()

    def test_model_files(self, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        poster = tmp_path / "poster.jpg"
        poster.touch()
        for name, content in (
            ("none", None),
            ("text", b"hello"),
            ("half", (trained / "genres.onnx").read_bytes()[:5000]),
        ):
            path = tmp_path / f"{name}.onnx"
            if content is not None:
                path.write_bytes(content)
            assert f"{name}.onnx" in failing(capsys, "predict", poster, "--model", path)

    @pytest.mark.parametrize(
        "options",
        [
            ["--epochs", "0"],
            ["--epochs", "many"],
            ["--size", "48"],
            ["--size", "48x9999"],
            ["--loss", "hinge"],
            ["--learning-rate", "-1"],
            ["--min-films", "0"],
            ["--test", "1.5"],
            ["--validation", "0.6", "--test", "0.6"],
            ["--keep", "everything"],
            ["--model", "resnet50"],
            ["--widths", "a,b"],
            ["--threads", "0"],
            [""],
            ["--nonsense", "1"],
            ["--split", "missing.csv"],
            ["--genre-map", "missing.csv"],
            ["--config", "missing.toml"],
        ],
        ids=" ".join,
    )
    def test_options(self, options: list[str], table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out"
        try:
            status = main(["train", str(table), "--out", str(out), *TINY, *options])
        except SystemExit as stop:  # argparse's own exit
            status = int(stop.code or 0)
        assert status == 2
        assert "error: " in capsys.readouterr().err
        assert not out.exists()

    def test_a_misspelt_option_is_answered_in_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        for words, line in (
            (["train", "x.csv", "--out", "y", "--epoch", "3"], "--epoch 3; did you mean --epochs?"),
            (["predict", "x.jpg", "--modell=z"], "--modell=z; did you mean --model?"),
            (["predcit", "x.jpg"], "did you mean predict?"),
            (["predict", "x.jpg", "--at", "exakt"], "did you mean exact?"),
            (["fit", "packed"], "required: --out; see: onesheet fit --help"),
            (["tran"], "choose from 'predict'"),
            (["fit", "packed", "--out", "y", "--widths", "8,x"], "got '8,x'; see: onesheet fit --help"),
        ):
            with pytest.raises(SystemExit) as stop:
                main(words)
            error = capsys.readouterr().err
            assert stop.value.code == 2 and line in error and error.count("\n") == 1

    def test_no_poster_that_is_there(self, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        line = failing(capsys, "predict", tmp_path / "none.jpg", "--model", trained / "genres.onnx")
        assert "no such file or folder" in line and "none.jpg" in line

    def test_a_folder_that_cannot_be_written(
        self, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").touch()
        assert "cannot write" in failing(capsys, "audit", table, "--out", tmp_path / "file" / "out")

    def test_files_that_are_no_runs_are_not_overwritten(
        self, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "split.csv").write_text("id,split\n")
        assert "holds a split.csv that is no run's" in failing(capsys, "train", table, "--out", tmp_path, *TINY)
        assert (tmp_path / "split.csv").read_text() == "id,split\n"
        before = table.read_bytes()
        assert "would be overwritten" in failing(capsys, "split", table, "--out", table)
        assert table.read_bytes() == before

    def test_a_config_with_a_wrong_type(self, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "c.toml").write_text('epochs = "three"\n')
        line = failing(capsys, "train", table, "--out", tmp_path / "out", "--config", tmp_path / "c.toml")
        assert "epochs in" in line and "must be a whole number; got 'three'" in line


COMMANDS = sorted(
    next(action for action in build_parser()._actions if action.dest == "command").choices  # type: ignore[arg-type]
)


@pytest.mark.parametrize(
    "command", [[], *([name] for name in COMMANDS)], ids=lambda words: " ".join(words) or "onesheet"
)
def test_help_is_free_of_heavy_packages(command: list[str]) -> None:
    code = (
        "import sys\nimport onesheet\nfrom onesheet.__main__ import main\n"
        f"try:\n    main({[*command, '--help']!r})\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'lightning', 'transformers', 'onnx', 'onnxruntime', 'pyarrow', 'matplotlib', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


WITHOUT_EXTRAS = """
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'torch', 'lightning', 'transformers', 'onnx', 'onnxscript', 'pyarrow', 'matplotlib',
                                  'jinja2', 'safetensors', 'sklearn', 'scipy', 'pandas', 'cleanlab'}:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Absent())
from onesheet.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as `pip install onesheet-genres` alone would."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, *arguments], capture_output=True, text=True, check=False
    )


def test_the_core_alone_predicts_and_names_the_extra_for_the_rest(
    trained: Path, table: Path, catalogue: Catalogue, tmp_path: Path
) -> None:
    model, poster = str(trained / "genres.onnx"), catalogue.films[0].poster
    predicted = without_extras("predict", poster, "--model", model, "--json")
    assert predicted.returncode == 0 and json.loads(predicted.stdout)["path"] == poster, predicted.stderr
    for arguments in (
        ["train", str(table), "--out", str(tmp_path / "run")],
        ["export", str(trained), "--out", str(tmp_path / "m.onnx")],
        ["predict", poster, "--model", model, "--parquet", str(tmp_path / "p.parquet")],
    ):
        rejected = without_extras(*arguments)
        assert rejected.returncode == 2
        assert "run: pip install 'onesheet-genres[" in rejected.stderr and "Traceback" not in rejected.stderr
    audited = without_extras("audit", str(table), "--out", str(tmp_path / "audit"))
    assert audited.returncode == 0, audited.stderr

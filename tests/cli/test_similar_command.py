from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from onesheet.__main__ import main
from onesheet.data import Catalogue
from onesheet.predict import index_posters, load


@pytest.fixture
def folder(catalogue: Catalogue, tmp_path: Path) -> Path:
    folder = tmp_path / "posters"
    folder.mkdir()
    for film in catalogue.films[:20]:
        shutil.copy2(film.poster, folder)
    return folder


def test_a_table_json_and_csv_say_the_same(
    folder: Path, motif_model: Path, catalogue: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    query = catalogue.films[50].poster
    words = ["similar", query, "--in", str(folder), "--model", str(motif_model), "--top", "4"]
    expected = [
        neighbour.to_dict() for neighbour in index_posters(folder, predictor=load(motif_model)).nearest(query, top=4)
    ]
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == expected
    assert main([*words, "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [{"path": row["path"], "similarity": float(row["similarity"])} for row in rows] == expected
    assert main(words) == 0
    table = capsys.readouterr().out
    assert [Path(str(one["path"])).name in table for one in expected] == [True] * 4


def test_the_poster_itself_is_no_answer_and_unreadable_ones_are_listed(
    folder: Path, motif_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    words = ["similar", str(folder / "0003.png"), "--in", str(folder), "--model", str(motif_model), "--json"]
    assert main([*words, "--index", str(tmp_path / "index"), "--top", "50"]) == 1
    captured = capsys.readouterr()
    found = [Path(json.loads(line)["path"]).name for line in captured.out.splitlines()]
    assert len(found) == 19 and "0003.png" not in found
    assert "1 unreadable:" in captured.err and "broken.jpg" in captured.err
    assert (tmp_path / "index" / "index.json").exists() and not (folder / ".onesheet-index").exists()


def test_faults_are_said_in_a_line(
    folder: Path, motif_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, poster = ["--model", str(motif_model)], str(folder / "0003.png")
    with pytest.raises(SystemExit, match="2"):
        main(["similar", poster, "b.webp", "--in", str(folder), *model])
    said = "unrecognized arguments: b.webp; onesheet similar takes one POSTER at a time"
    assert said in capsys.readouterr().err
    assert main(["similar", poster, "--in", str(tmp_path / "none"), *model]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert main(["similar", str(tmp_path / "none.png"), "--in", str(folder), *model]) == 2
    assert "no such file" in capsys.readouterr().err and not (folder / ".onesheet-index").exists()
    (folder / ".onesheet-index").touch()
    assert main(["similar", poster, "--in", str(folder), *model]) == 2
    assert "choose another place with --index FOLDER" in capsys.readouterr().err
    (folder / ".onesheet-index").unlink()
    assert main(["similar", poster, "--in", str(folder), *model]) == 0
    (folder / ".onesheet-index" / "index.json").write_text("{")
    assert main(["similar", poster, "--in", str(folder), *model]) == 0
    assert "was damaged; it is made anew" in capsys.readouterr().err

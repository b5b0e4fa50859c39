from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from onesheet.__main__ import main
from onesheet.apps.library import backups
from onesheet.data import Catalogue
from onesheet.files import cannot_write
from onesheet.predict import load

NFOS = {
    "bare": b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\r\n<movie>\r\n\t<title>Bare</title>\r\n</movie>\r\n',
    "has": b"<movie><genre>Nonsense</genre></movie> https://example.org",
    "locked": b"<movie><lockedfields>Genres</lockedfields></movie>",
}


@pytest.fixture
def library(catalogue: Catalogue, tmp_path: Path) -> Path:
    root = tmp_path / "films"
    for number, (name, data) in enumerate(NFOS.items()):
        folder = root / f"{name} (1999)"
        folder.mkdir(parents=True)
        shutil.copy(catalogue.films[number].poster, folder / "poster.png")
        (folder / "film.mkv").touch()
        (folder / "movie.nfo").write_bytes(data)
    return root


def nfos(library: Path) -> dict[str, bytes]:
    return {path.parent.name.removesuffix(" (1999)"): path.read_bytes() for path in library.glob("*/*.nfo")}


def test_scan_in_every_form(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["library", "scan", str(library)]) == 0
    table = capsys.readouterr().out
    assert "3 films: 0 without poster, 0 without NFO, 2 without genres" in table and "(locked)" in table
    assert main(["library", "scan", str(library), "--json"]) == 0
    films = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [film["film"] for film in films] == ["bare (1999)", "has (1999)", "locked (1999)"]
    assert films[0]["missing"] == ["genres"] and films[2]["locked_by"] == "<lockedfields>"
    assert main(["library", "scan", str(library), "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["genres"] for row in rows] == ["", "Nonsense", ""]


def test_what_cannot_be_read_is_listed(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (library / "has (1999)" / "movie.nfo").write_text("<movie>")
    (library / "bare (1999)" / "poster.png").write_text("no picture")
    assert main(["library", "scan", str(library)]) == 1
    error = capsys.readouterr().err
    assert "2 unreadable or unclear:" in error and "broken XML: no element found" in error and "not a picture" in error
    assert main(["library", "scan", str(library / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_suggest_in_every_form(library: Path, motif_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["library", "suggest", str(library), "--model", str(motif_model), "--at", "balanced"]
    expected = {}
    predictor = load(motif_model)
    for name in NFOS:
        expected[f"{name} (1999)"] = predictor.predict(library / f"{name} (1999)" / "poster.png").genres
    assert main([*words, "--json"]) == 0
    films = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {film["film"]: {one["genre"]: one["probability"] for one in film["suggested"]} for film in films}
    assert found == expected and all(expected.values())
    assert [film["reason"] for film in films] == ["missing", "missing", "disagree"]
    assert main([*words, "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["film"]: row["suggested"] for row in rows} == {
        name: "|".join(genres) for name, genres in expected.items()
    }
    assert all(0 <= float(row["Comedy"]) <= 1 for row in rows)
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "Nonsense" in table and "disagree" in table and "%" in table
    for folder in ("bare (1999)", "locked (1999)"):
        shutil.rmtree(library / folder)
    (library / "has (1999)" / "movie.nfo").write_text(
        f"<movie>{''.join(f'<genre>{g}</genre>' for g in predictor.genres.names)}</movie>"
    )
    assert main(words) == 0
    assert capsys.readouterr().out == "films: 1; none lacks a predicted genre\n"


def test_write_shows_then_writes_and_undo_restores(
    library: Path, motif_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["library", "write", str(library), "--model", str(motif_model), "--at", "balanced"]
    (library.parent / "map.toml").write_text('Nonsense = "Nonsense"\n')
    mapped = ["--genre-map", str(library.parent / "map.toml")]
    assert main(words) == 1  # the locked one is listed
    shown = capsys.readouterr()
    assert "+       <genre>" in shown.out and "has (1999)" not in shown.out
    assert "NFO files that would change: 1; pass --apply to write them" in shown.err
    assert "locked (1999): its genres are locked by <lockedfields>; pass --even-locked to change them" in shown.err
    assert nfos(library) == NFOS and not (library / ".onesheet-backup").exists()
    assert main([*words, *mapped, "--add", "--even-locked", "--lock", "--apply"]) == 0
    assert "NFO files written: 3; undo with: onesheet library undo" in capsys.readouterr().err
    written = nfos(library)
    assert b"\r\n\t<genre>" in written["bare"] and written["bare"].startswith(b"\xef\xbb\xbf<?xml")
    assert written["has"].startswith(b"<movie><genre>Nonsense</genre><genre>")
    assert written["has"].endswith(b"<lockedfields>Genres</lockedfields></movie> https://example.org")
    assert main([*words, *mapped, "--add", "--even-locked", "--apply"]) == 0
    assert "NFO files written: 0; nothing to change" in capsys.readouterr().err
    assert main(["library", "undo", str(library)]) == 0
    assert "files restored: 3; the backups stay in " in capsys.readouterr().out and nfos(library) == NFOS
    assert main(["library", "undo", str(library)]) == 2
    assert "nothing to undo" in capsys.readouterr().err


@pytest.mark.parametrize("form", [[], ["--kometa", "genres.yml"]])
def test_films_that_no_genre_is_sure_enough_for_are_told(
    library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    for name in ("bare", "locked"):
        Image.new("RGB", (32, 48), "grey").save(library / f"{name} (1999)" / "poster.png")
    unsure = "2 without genres, as none is sure enough at precise:\n  bare (1999)\n  locked (1999)\n"
    monkeypatch.chdir(library)
    assert main(["library", "write", ".", "--at", "precise", *form]) == 1
    assert unsure in capsys.readouterr().err


def test_films_without_genres_and_poster_are_told(
    library: Path, motif_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bare", "has"):
        (library / f"{name} (1999)" / "poster.png").unlink()
    for action in ("suggest", "write"):
        assert main(["library", action, str(library), "--model", str(motif_model)]) == 1
        assert "1 without genres and without a poster:\n  bare (1999)\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device"), 2, "disk full while writing"),
    ],
    ids=["Ctrl-C", "full disk"],
)
def test_a_write_that_ends_early_says_what_it_wrote(
    error: BaseException,
    status: int,
    said: str,
    library: Path,
    tmp_path: Path,
    motif_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spaced = library.rename(library.with_name("my films"))
    append = backups._append

    def fail_at_the_second(journal: Path, record: dict[str, Any]) -> None:
        if journal.exists():
            raise cannot_write(journal, error) if isinstance(error, OSError) else error
        append(journal, record)

    monkeypatch.setattr(backups, "_append", fail_at_the_second)
    words = ["library", "write", str(spaced), "--model", str(motif_model), "--at", "balanced", "--add", "--apply"]
    (tmp_path / "map.toml").write_text('Nonsense = "Nonsense"\n')
    words += ["--genre-map", str(tmp_path / "map.toml")]
    assert main(words) == status
    shown = capsys.readouterr()
    assert f"NFO files written: 1; undo with: onesheet library undo '{spaced}'" in shown.err and said in shown.err
    assert shown.out.count("+++ ") == 1
    assert main(["library", "undo", str(spaced)]) == 0 and nfos(spaced) == NFOS


def test_kometa_leaves_nfo_files_alone(
    library: Path, motif_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "genres.yml"
    words = ["library", "write", str(library), "--model", str(motif_model), "--at", "balanced", "--kometa", str(out)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert set(yaml.safe_load(shown)["metadata"]) == {"bare (1999)", "locked (1999)"} and not out.exists()
    assert main([*words, "--apply"]) == 0
    assert out.read_text() == shown and nfos(library) == NFOS
    assert main([*words, "--apply"]) == 2
    assert "exists already and may contain your own lines" in capsys.readouterr().err
    for option in ("--create-nfo", "--lock"):
        assert main([*words, option]) == 2
        assert "leave out --create-nfo, --even-locked and --lock" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([*words[:-1], str(tmp_path / "file" / "genres.yml"), "--apply"]) == 2
    assert "; pass another file to --kometa" in capsys.readouterr().err


def test_a_map_is_needed_where_genres_are_strange(
    library: Path, motif_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(library)
    words = ["library", "write", ".", "--model", str(motif_model), "--add"]
    assert main([*words, "--apply"]) == 3
    assert "edit genre-map.toml, then add: --genre-map genre-map.toml" in capsys.readouterr().err
    assert nfos(library) == NFOS and '"Nonsense" = "Nonsense"  # 1 film' in Path("genre-map.toml").read_text()
    assert main([*words, "--apply", "--even-locked", "--at", "generous", "--genre-map", "genre-map.toml"]) == 0


def test_clean_shows_then_writes(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "map.toml").write_text('Nonsense = "Drama"\n')
    words = ["library", "clean", str(library), "--genre-map", str(tmp_path / "map.toml")]
    assert main(words) == 0
    assert "+<movie><genre>Drama</genre></movie>" in capsys.readouterr().out and nfos(library) == NFOS
    assert main([*words, "--apply", "--quiet", "--backups", str(tmp_path / "backups")]) == 0
    shown = capsys.readouterr()
    assert shown.out == "" and "NFO files written: 1; undo with: " in shown.err and "--backups" in shown.err
    assert nfos(library)["has"] == b"<movie><genre>Drama</genre></movie> https://example.org"
    assert main(["library", "undo", str(library), "--backups", str(tmp_path / "backups")]) == 0
    assert nfos(library) == NFOS


def test_what_is_left_out_is_counted_and_listed(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (library / "bare (1999)" / "Extras").mkdir()
    assert main(["library", "scan", str(library)]) == 0
    assert capsys.readouterr().err == "left out (1): extras of a film\n"
    assert main(["library", "scan", str(library), "--verbose"]) == 0
    assert "Extras\n" in capsys.readouterr().err
    assert main(["library", "scan", str(library), "--quiet"]) == 0
    assert capsys.readouterr().out == "3 films: 0 without poster, 0 without NFO, 2 without genres\n"


def test_a_film_whose_genres_players_fetch(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(library / "locked (1999)")
    shutil.rmtree(library / "has (1999)")
    (library / "bare (1999)" / "movie.nfo").write_text("<movie><title>A</title></movie>\nhttps://example.org/1")
    assert main(["library", "scan", str(library)]) == 0
    table = capsys.readouterr().out
    assert "movie.nfo (web address)" in table and "1 film: 0 without poster" in table
    assert main(["library", "scan", str(library), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["web_address"] is True


@pytest.mark.parametrize("share", ["2", "-0.1", "nan", "x"])
def test_a_probability_that_is_none(share: str, library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["library", "suggest", str(library), f"--at-least={share}"])
    assert f"--at-least: must be a number from 0 to 1; got '{share}'" in capsys.readouterr().err


def test_a_library_whose_folder_cannot_be_written(
    library: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (library / ".onesheet-backup").write_text("in the way")
    (tmp_path / "map.toml").write_text('Nonsense = "Drama"\n')
    words = ["library", "clean", str(library), "--genre-map", str(tmp_path / "map.toml"), "--apply"]
    assert main(words) == 2
    assert "pass another folder for the backups" in capsys.readouterr().err
    assert main([*words, "--backups", str(tmp_path / "backups")]) == 0
    assert b"Drama" in nfos(library)["has"]
    assert main(["library", "undo", str(library)]) == 2
    assert "pass the backups folder of the write" in capsys.readouterr().err
    assert main(["library", "undo", str(library), "--backups", str(tmp_path / "backups")]) == 0
    assert nfos(library) == NFOS

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motifs import MOTIFS, draw_poster
from onesheet.__main__ import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Posters, the same name twice, in the folder the command is called from."""
    rng = np.random.default_rng(5)
    for place, genres in {"a": ["Comedy", "Horror"], "b": ["Drama"]}.items():
        (tmp_path / place).mkdir()
        Image.fromarray(draw_poster(genres, rng)).save(tmp_path / place / "poster.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_picture_and_a_line_for_each_poster_and_genre_given(
    folder: Path, motif_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", "a", "b", "--model", str(motif_model)]
    for _ in range(2):  # the second time over the first one's pictures
        assert main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(" ")[2] for line in lines if line.startswith("  ")] in (
            ["Comedy", "Horror", "Drama"],
            ["Horror", "Comedy", "Drama"],
        )
        for part in ("upper left  explanations/poster-comedy.png", "right  explanations/poster-horror.png"):
            assert any(line.endswith(part) for line in lines)
        written = sorted(path.name for path in (folder / "explanations").iterdir())
        assert written == ["poster-comedy.png", "poster-drama.png", "poster-horror.png"]
    with Image.open(folder / "explanations" / "poster-comedy.png") as picture:
        assert picture.size == (32, 48)


def test_named_genres_and_posters_of_the_same_name(
    folder: Path, motif_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", "a/poster.png", "b/poster.png", "--model", str(motif_model), "--out", "out"]
    assert main([*words, "--genre", "Drama", "--genre", "Comedy"]) == 0
    assert capsys.readouterr().out.count("\n  Drama ") == 2
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "poster-comedy-2.png",
        "poster-comedy.png",
        "poster-drama-2.png",
        "poster-drama.png",
    ]


def test_no_poster_is_written_over(folder: Path, motif_model: Path) -> None:
    poster = folder / "a" / "poster.png"
    other = poster.rename(folder / "a" / "poster-comedy.png")
    poster.write_bytes(other.read_bytes())
    before = other.read_bytes()
    assert main(["explain", "a", "--model", str(motif_model), "--genre", "Comedy", "--out", "a"]) == 0
    assert other.read_bytes() == before
    assert {path.name for path in (folder / "a").iterdir()} == {
        "poster.png",
        "poster-comedy.png",
        "poster-comedy-2.png",
        "poster-comedy-comedy.png",
    }


def test_where_no_genre_is_sure_the_likeliest_is_explained(
    folder: Path, motif_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(draw_poster([], np.random.default_rng(1))).save(folder / "none.png")
    assert main(["explain", "none.png", "--model", str(motif_model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "none.png  (none is sure enough; the likeliest:)" and len(lines) == 2
    assert lines[1].split()[0] in MOTIFS


def test_unreadable_posters_are_listed_and_stop_nobody(
    folder: Path, motif_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert main(["explain", "a", "missing.jpg", "--model", str(motif_model)]) == 1
    captured = capsys.readouterr()
    assert "2 unreadable:\n" in captured.err and "broken.jpg" in captured.err and "missing.jpg" in captured.err
    assert (folder / "explanations" / "poster-comedy.png").exists()


def test_wrong_genres_are_rejected_before_anything_is_written(
    folder: Path, motif_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "a", "--model", str(motif_model), "--genre", "Horor"]) == 2
    assert "unknown genre 'Horor'; did you mean Horror?" in capsys.readouterr().err
    assert not (folder / "explanations").exists()
    (folder / "file").touch()
    assert main(["explain", "a", "--model", str(motif_model), "--out", "file"]) == 2
    assert "cannot write" in capsys.readouterr().err

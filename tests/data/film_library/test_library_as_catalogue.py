"""A film library is a catalogue: its NFO files name the genres, in the library's own words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motifs import MOTIFS, draw_poster
from onesheet.__main__ import main
from onesheet.data import read_catalogue

OWN = {"Comedy": "Komödie", "Drama": "Drama", "Horror": "Weihnachten"}  # a name of its own, not a synonym


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """60 films, each in a folder of its own, a few without NFO, poster or genre."""
    root = tmp_path / "films"
    for number in range(60):
        genre = tuple(MOTIFS)[number % len(MOTIFS)]
        folder = root / f"Film {number} ({1960 + number})"
        folder.mkdir(parents=True)
        (folder / f"Film {number} ({1960 + number}).mkv").touch()
        if number != 7:
            Image.fromarray(draw_poster([genre], np.random.default_rng(number))).save(folder / "poster.jpg")
        if number != 8:
            genres = "" if number == 9 else f"<genre>{OWN.get(genre, genre)}</genre>"
            (folder / "movie.nfo").write_text(
                f"<movie><title>Film {number}</title><year>{1960 + number}</year>{genres}"
                f'<uniqueid type="imdb">tt{number:07}</uniqueid></movie>',
                encoding="utf-8",
            )
    (root / "Film 10 (1970)" / "movie.nfo").write_text("<movie><genre>Drama</movie>", encoding="utf-8")
    return root


def test_a_library_is_read_in_its_own_words(library: Path) -> None:
    catalogue = read_catalogue(library, min_films=1)
    assert set(catalogue.genres.names) == {OWN.get(genre, genre) for genre in MOTIFS}
    films = {film.film_id: film for film in catalogue.films}
    assert len(films) == 56 and films["tt0000003"].title == "Film 3" and films["tt0000003"].year == 1963
    assert films["tt0000003"].genres == (OWN.get(genre := tuple(MOTIFS)[3 % len(MOTIFS)], genre),)
    assert Path(films["tt0000003"].poster) == library / "Film 3 (1963)" / "poster.jpg"
    flags = catalogue.findings.counts
    assert flags["no-poster"] == 1 and flags["no-genre"] == 2 and flags["bad-row"] == 1


def test_a_folder_of_films_by_genre_is_a_library_where_it_has_nfo_files(library: Path, tmp_path: Path) -> None:
    (tmp_path / "sorted").mkdir()
    library.rename(tmp_path / "sorted" / "Old ones")
    (tmp_path / "sorted" / "New ones").mkdir()
    assert len(read_catalogue(tmp_path / "sorted", min_films=1)) == 56


def test_it_trains_a_model_that_suggests_in_the_librarys_words(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--min-films", "5", "--draws", "10", "--out", str(tmp_path / "run")]
    assert main(["train", str(library), *words]) == 0
    capsys.readouterr()
    model = str(tmp_path / "run" / "genres.onnx")
    assert main(["library", "suggest", str(library), "--model", model, "--json"]) in (0, 1)
    suggested = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {film["film"]: film["suggested"][0]["genre"] for film in suggested} == {
        "Film 8 (1968)": "Weihnachten",  # drawn as the other films of that genre
        "Film 9 (1969)": "Komödie",
    }

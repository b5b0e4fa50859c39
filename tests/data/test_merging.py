"""Several catalogues made one: nothing lost, nothing joined that is two."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from onesheet.data.catalogue import Film
from onesheet.data.merging import join_rows, merge
from onesheet.data.reading import read_catalogue


def draw(path: Path, colour: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 12), (colour, 20, 90)).save(path)


def table(path: Path, *rows: tuple[object, ...], heading: tuple[str, ...] = ("id", "genres")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heading, *rows])
    return path


def films(catalogue) -> dict[str, tuple[str, ...]]:
    return {film.film_id: film.genres for film in catalogue.films}


def test_by_imdb_id_and_posters_of_each_other(tmp_path):
    chu, kaggle = tmp_path / "chu", tmp_path / "kaggle"
    for number in 1, 2, 3:
        draw(chu / "Images" / f"tt000000{number}.jpg", number)
    draw(kaggle / "posters" / "4.jpg", 4), draw(kaggle / "posters" / "2.jpg", 22)
    table(
        chu / "train.csv",
        ("tt0000001", "['War']"),
        ("tt0000002", "['War']"),
        ("tt0000004", "['News']"),
        heading=("Id", "Genre"),
    )
    table(
        kaggle / "MovieGenre.csv",
        *(
            (1, "News|War", "One (1991)"),
            (2, "War", "Two"),
            (3, "Drama", "Three"),
            (4, "Drama", "Four"),
            (5, "Drama", "Five"),
        ),
        heading=("imdbId", "Genre", "Title"),
    )
    alone = read_catalogue(kaggle)
    assert alone.findings.counts["no-poster"] == 3
    both = read_catalogue(chu, kaggle)
    assert films(both) == {
        "tt0000001": ("News", "War"),
        "tt0000002": ("War",),
        "tt0000003": ("Drama",),
        "tt0000004": ("Drama", "News"),
    }
    assert both.findings.counts == {"no-poster": 1, "merged-film": 3}
    said = {finding.film_id: finding for finding in both.findings.of("merged-film")}
    assert said["tt0000001"].score == 1 and "genres War and News|War" in said["tt0000001"].detail
    one = both.films[0]
    assert (one.title, one.year, one.source, Path(one.poster).parent.name) == ("One", 1991, "chu", "Images")
    # the second poster of film 2 is not lost without a word
    assert Path(said["tt0000002"].poster) == kaggle / "posters" / "2.jpg"


def test_bare_ids_of_one_catalogue_never_find_posters_of_another(tmp_path):
    draw(tmp_path / "a" / "1.png", 1), draw(tmp_path / "a" / "2.png", 2)
    draw(tmp_path / "b" / "2.png", 3)
    one = table(tmp_path / "a" / "t.csv", (1, "War"), (2, "Drama"))
    two = table(tmp_path / "b" / "t.csv", (1, "War"), (2, "News"))
    catalogue = read_catalogue(one, two)
    assert films(catalogue) == {"1": ("War",), "t.csv-1:2": ("Drama",), "t.csv-2:2": ("News",)}
    assert catalogue.findings.counts == {"no-poster": 1}


def test_by_identical_poster(tmp_path):
    draw(tmp_path / "a" / "x.png", 1), draw(tmp_path / "a" / "z.png", 5)
    draw(tmp_path / "b" / "tt0000001.png", 1), draw(tmp_path / "b" / "tt0000002.png", 7)
    one = table(tmp_path / "a" / "one.csv", ("x", "War"), ("z", "War"))
    two = table(tmp_path / "b" / "two.csv", ("tt0000001", "War|News"), ("tt0000002", "Drama"))
    catalogue = read_catalogue(one, two)
    assert films(catalogue) == {"tt0000001": ("News", "War"), "z": ("War",), "tt0000002": ("Drama",)}
    (finding,) = catalogue.findings
    assert (finding.flag, finding.film_id) == ("merged-film", "tt0000001")
    assert "the same poster file in one.csv and two.csv" in finding.detail


def test_different_imdb_ids_and_placeholders_stay_apart(tmp_path):
    for name in "tt0000001", "tt0000002":
        draw(tmp_path / name / f"{name}.png", 1)
    apart = [
        table(tmp_path / f"tt000000{n}" / "t.csv", (f"tt000000{n}", genre)) for n, genre in ((1, "War"), (2, "News"))
    ]
    assert len(read_catalogue(*apart)) == 2
    for folder, names in (("p", "ab"), ("q", "c")):
        for name in names:
            draw(tmp_path / folder / f"{name}.png", 1)
    one = table(tmp_path / "p" / "t.csv", ("a", "War"), ("b", "News"))
    two = table(tmp_path / "q" / "t.csv", ("c", "War"))
    assert len(read_catalogue(one, two)) == 3


def test_the_same_file_given_twice_is_one_catalogue(tmp_path):
    draw(tmp_path / "a.png", 1), draw(tmp_path / "b.png", 2)
    path = table(tmp_path / "t.csv", ("a", "War"), ("b", "News"))
    assert films(read_catalogue(path, path)) == {"a": ("War",), "b": ("News",)}


def test_spellings_are_joined_across_catalogues(tmp_path):
    draw(tmp_path / "a" / "tt0000001.png", 1), draw(tmp_path / "a" / "tt0000003.png", 1)
    draw(tmp_path / "b" / "tt0000002.png", 2)
    one = table(tmp_path / "a" / "t.csv", ("tt0000001", "Sci-Fi"), ("tt0000003", "Sci-Fi"))
    two = table(tmp_path / "b" / "t.csv", ("tt0000002", "sci-fi|War"))
    assert read_catalogue(one, two).genres.names == ("Sci-Fi", "War")


def test_repeated_rows_unite_their_genres():
    rows = [
        Film("a", "a.jpg", ("War",)),
        Film("b", "b.jpg", ("War",)),
        Film("a", "a.jpg", ("News",), title="A", year=1950),
    ]
    joined, findings = join_rows([*rows, rows[1]], say=True)
    assert joined == [Film("a", "a.jpg", ("News", "War"), title="A", year=1950), rows[1]]
    assert [(finding.film_id, finding.score) for finding in findings] == [("a", 1.0), ("b", 0.2)]
    assert join_rows(rows, say=False)[1] == []


def test_merged_ids_are_unique_and_films_accounted_for():
    sources = [[Film(str(n), f"/none/{s}/{n}.jpg", ("War",), source="same") for n in range(5)] for s in range(3)]
    merged, findings = merge(sources)
    assert len(merged) + len(findings) == 15 and len({film.film_id for film in merged}) == 15


def test_a_genre_that_one_catalogue_does_not_have_is_unknown_for_its_films(tmp_path):
    for name, count, third in (("a", 60, "Short"), ("b", 60, "Drama"), ("few", 9, "Drama")):
        (tmp_path / name).mkdir()
        rows = ["id,poster,genres"]
        for number in range(count):
            Image.new("RGB", (8, 12), (number, ord(name[0]), count)).save(tmp_path / name / f"{number}.png")
            genres = third if number % 3 == 0 else ("Drama", "Comedy")[number % 2]
            rows.append(f"{name}{number},{number}.png,{genres}")
        (tmp_path / name / "films.csv").write_text("\n".join(rows))
    catalogue = read_catalogue(*(tmp_path / name / "films.csv" for name in ("a", "b", "few")))
    unknown = {film.film_id[0]: film.unknown for film in catalogue.films}
    assert unknown == {"a": set(), "b": {"Short"}, "f": set()}  # of nine films two or three would be, by chance none
    assert [source.line.count("has no films of Short, which are taken as unknown") for source in catalogue.sources] == [
        0,
        1,
        0,
    ]
    known = catalogue.known
    assert known is not None and (~known).sum() == 60
    assert not catalogue.labels[~known].any()

"""Every layout, option and error of reading, from real files that the test makes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from onesheet.data.readers.layouts import LAYOUTS
from onesheet.data.reading import read_catalogue
from onesheet.errors import CatalogueError


def draw(path: Path | str, colour: int = 0) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 12), (colour % 256, colour // 256 % 256, 90)).save(path)
    return path


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def films(catalogue) -> dict[str, tuple[str, ...]]:
    return {film.film_id: film.genres for film in catalogue.films}


FILMS = [("a", ["Comedy", "Drama"]), ("b", ["Drama"]), ("c", ["Sci-Fi", "Drama"])]
WANTED = {name: tuple(sorted(genres)) for name, genres in FILMS}


def write_delimited(path: Path, rows, *, delimiter=",", encoding="utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


@pytest.fixture
def posters(tmp_path):
    for number, (name, _) in enumerate(FILMS):
        draw(tmp_path / "posters" / f"{name}.png", number)
    return tmp_path


def chu(folder: Path, inside: str = "") -> Path:
    rows = [
        ["Id", "Genre", "Comedy", "Drama", "N/A"],
        ["tt0086425", "['Comedy', 'Drama']", 1, 1, 0],
        ["tt0085549", "['Drama']", 0, 1, 0],
        ["tt0085549", "['Drama']", 0, 1, 0],
        ["tt0000001", "['N/A']", 0, 0, 1],
    ]
    for number, name in enumerate(["tt0086425", "tt0085549", "tt0000001", "tt0000009"]):
        draw(folder / "Images" / f"{name}.jpg", number)
    write_delimited(folder / inside / "train.csv", rows)
    write_delimited(folder / "split.csv", [["Id", "split"], ["tt0086425", "train"]])
    return folder


@pytest.mark.parametrize("inside", ["", "Images"])
@pytest.mark.parametrize("given_path", ["folder", "table"])
def test_chu_and_guo(tmp_path, inside, given_path):
    folder = chu(tmp_path / "chu", inside)
    before = snapshot(tmp_path)
    catalogue = read_catalogue(folder if given_path == "folder" else folder / inside / "train.csv")
    assert films(catalogue) == {"tt0086425": ("Comedy", "Drama"), "tt0085549": ("Drama",)}
    assert catalogue.findings.counts == {"no-row": 1, "no-genre": 1, "repeated-id": 1}
    assert Path(next(iter(catalogue.findings.of("no-row"))).poster).name == "tt0000009.jpg"
    assert snapshot(tmp_path) == before


def test_chu_and_guo_part_tables_and_metadata(tmp_path):
    for part, (name, genre) in {"train": ("tt0000001", "War"), "val": ("tt0000002", "News")}.items():
        draw(tmp_path / "one" / "Images" / f"{name}.jpg", int(name[-1]))
        draw(tmp_path / "two" / part / f"{name}.jpg", int(name[-1]))
        for path in tmp_path / "one" / f"{part}.csv", tmp_path / "two" / part / "metadata.csv":
            write_delimited(path, [["Id", "Genre"], [name, f"['{genre}']"]])
    wanted = {"tt0000001": ("War",), "tt0000002": ("News",)}
    assert films(read_catalogue(tmp_path / "one")) == films(read_catalogue(tmp_path / "two")) == wanted


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
@pytest.mark.parametrize("snake", [False, True])
@pytest.mark.parametrize("given_path", [".", "MovieGenre.csv"])
def test_kaggle_movie_genre(tmp_path, encoding, snake, given_path):
    headings = ["imdbId", "Imdb Link", "Title", "IMDB Score", "Genre", "Poster"]
    headings = ["imdb_id", "imdb_link", "title", "imdb_score", "genre", "poster"] if snake else headings
    url = "https://images.example/V1_UX182_CR0,0,182,268_AL_.jpg"
    rows = [
        headings,
        [114709, "http://www.imdb.com/title/tt114709", "Toy Story (1995)", 8.3, "Animation|Comedy", url],
        [1000095, "x", "Pokémon (2006)", "", "Action", url],
        [12, "x", "Gone", "", "Action", url],
    ]
    write_delimited(tmp_path / "MovieGenre.csv", rows, encoding=encoding)
    draw(tmp_path / "posters" / "114709.webp"), draw(tmp_path / "posters" / "tt1000095.jpg", 1)
    catalogue = read_catalogue(tmp_path / given_path)
    first, second = catalogue.films
    assert (first.film_id, first.title, first.year, first.genres) == (
        "tt0114709",
        "Toy Story",
        1995,
        ("Animation", "Comedy"),
    )
    assert (second.film_id, second.title, second.year) == ("tt1000095", "Pokémon", 2006)
    assert [finding.film_id for finding in catalogue.findings.of("no-poster")] == ["tt0000012"]


def test_folder_per_genre(tmp_path):
    draw(tmp_path / "Drama" / "heat.png", 1), draw(tmp_path / "Crime" / "heat.png", 2)  # one name
    draw(tmp_path / "Drama" / "x.png", 3), draw(tmp_path / "War" / "y.png", 3)  # one content
    draw(tmp_path / "Drama" / "1.png", 4), draw(tmp_path / "War" / "1.png", 5)  # counted by each folder
    draw(tmp_path / "stray.png", 6)
    catalogue = read_catalogue(tmp_path)
    assert films(catalogue) == {
        "heat": ("Crime", "Drama"),
        "x": ("Drama", "War"),
        "Drama/1.png": ("Drama",),
        "War/1.png": ("War",),
    }
    assert catalogue.findings.counts == {"no-row": 1}


def test_folder_per_genre_below_train_and_test(tmp_path):
    draw(tmp_path / "train" / "Drama" / "x.png", 1), draw(tmp_path / "test" / "War" / "y.png", 2)
    draw(tmp_path / "test" / "War" / "again.png", 2)
    catalogue = read_catalogue(tmp_path)
    assert catalogue.genres.names == ("Drama", "War") and len(catalogue) == 2
    assert catalogue.findings.counts == {"repeated-id": 1}  # the second copy is said


def test_a_column_of_image_names_by_any_heading(tmp_path):
    draw(tmp_path / "a.png"), draw(tmp_path / "b.png", 1)
    path = write_delimited(
        tmp_path / "t.csv", [["name", "IMDb", "genres"], ["a.png", 8.1, "War"], ["b.png", 7, "News"]]
    )
    assert films(read_catalogue(path)) == {"a": ("War",), "b": ("News",)}


def test_ways_to_write_a_folder(tmp_path, monkeypatch):
    draw(tmp_path / "art" / "a.png"), draw(tmp_path / "art" / "b.png", 1)
    (tmp_path / "tables").mkdir()
    rows = [["poster", "genres"], ["../art/a.png", "War"], ["./../art//b.png", "News"]]
    write_delimited(tmp_path / "tables" / "t.csv", rows)
    monkeypatch.chdir(tmp_path / "art")
    catalogue = read_catalogue("../tables/../tables/t.csv", posters=".")
    assert len(catalogue) == 2 and not catalogue.findings
    assert all(Path(film.poster).is_file() for film in catalogue.films)


def test_poster_paths(tmp_path):
    (
        draw(tmp_path / "p" / "x" / "1.jpg", 1),
        draw(tmp_path / "p" / "y" / "1.jpg", 2),
        draw(tmp_path / "q" / "z.jpg", 3),
    )
    (tmp_path / "p" / "dir.jpg").mkdir()
    rows = [
        ["image_path", "genres"],
        ["p/x/1.jpg", "War"],
        ["p\\y\\1.jpg", "War|News"],
        [str(tmp_path / "q" / "z.jpg"), "News"],
    ]
    path = write_delimited(
        tmp_path / "t.csv", [*rows, ["p/none.jpg", "War"], ["p/dir.jpg", "War"], ["../x\0y.jpg", "War"]]
    )
    catalogue = read_catalogue(path)
    assert films(catalogue) == {"p/x/1.jpg": ("War",), "p\\y\\1.jpg": ("News", "War"), "z": ("News",)}
    assert catalogue.findings.counts == {"no-poster": 3}


def test_posters_option(tmp_path):
    table = write_delimited(
        tmp_path / "t.csv", [["film", "kind", "art"], ["x", "War", "a.png"], ["y", "News", "/b.png"]]
    )
    (
        draw(tmp_path / "far" / "a.png"),
        draw(tmp_path / "away" / "deep" / "b.png", 1),
        draw(tmp_path / "far" / "rest.png", 2),
    )
    places = [tmp_path / "far", tmp_path / "away"]
    catalogue = read_catalogue(table, posters=places, poster_column="art", genre_column="kind", id_column="film")
    assert films(catalogue) == {"x": ("War",), "y": ("News",)}
    assert catalogue.findings.counts == {"no-row": 1}


def test_pictures_beside_a_table_whose_posters_lie_elsewhere_are_not_posters(posters):
    draw(posters / "logo.png", 9)
    path = write_delimited(posters / "t.csv", [["id", "genres"], *([i, "|".join(g)] for i, g in FILMS)])
    assert not read_catalogue(path).findings


def test_spellings_and_what_is_no_genre(tmp_path):
    cells = [
        "drama",
        " Drama ",
        "Drama|N/A",
        "Film  Noir|DRAMA",
        "N/A",
        "",
        "(no genres listed)",
        r"\N",
        "nan",
    ]
    for number in range(len(cells)):
        draw(tmp_path / f"{number}.png", number)
    catalogue = read_catalogue(
        write_delimited(tmp_path / "t.csv", [["id", "genres"], *([n, cell] for n, cell in enumerate(cells))])
    )
    assert catalogue.genres.names == ("Drama", "Film Noir")
    assert catalogue.findings.counts == {"no-genre": 5, "mapped-genre": 2}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".toml", "dict"])
def test_genre_map(posters, suffix):
    mapping = {"sci-fi": "Science Fiction", "Comedy": "", "Western": "West"}
    texts = {
        ".csv": "from,to\nsci-fi,Science Fiction\nComedy,\nWestern,West\n",
        ".tsv": "sci-fi\tScience Fiction\nComedy\t\nWestern\tWest\n",
        ".json": json.dumps(mapping),
        ".toml": '"sci-fi" = "Science Fiction"\nComedy = ""\nWestern = "West"\n',
    }
    source = mapping
    if suffix != "dict":
        source = posters / f"map{suffix}"
        source.write_text(texts[suffix], encoding="utf-8")
    path = write_delimited(posters / "t.csv", [["id", "genres"], *([i, "|".join(g)] for i, g in FILMS)])
    catalogue = read_catalogue(path, genre_map=source)
    assert catalogue.genres.names == ("Drama", "Science Fiction")
    said = [finding.detail for finding in catalogue.findings.of("mapped-genre")]
    assert "Comedy -> dropped: 1 rows" in said and "Sci-Fi -> Science Fiction: 1 rows" in said
    assert "Western -> West: 0 rows" in said


def test_min_films(posters):
    path = write_delimited(posters / "t.csv", [["id", "genres"], ["a", "War|News"], ["b", "News|War"], ["c", "Drama"]])
    catalogue = read_catalogue(path, min_films=2)
    assert catalogue.genres.names == ("News", "War") and len(catalogue) == 2
    assert catalogue.findings.counts == {"no-genre": 1, "rare-genre": 1}
    with pytest.raises(CatalogueError, match="--min-films"):
        read_catalogue(path, min_films=3)


def refused(*paths, **options) -> str:
    with pytest.raises(CatalogueError) as error:
        read_catalogue(*paths, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_errors_say_what_and_cure(posters, tmp_path):
    def table(text: str | bytes, name: str = "t.csv") -> Path:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.md").write_text("x", encoding="utf-8")
    assert "no catalogue given" in refused()
    assert "no such path" in refused(tmp_path / "none.csv")
    assert "is empty" in refused(tmp_path / "empty")
    assert "neither a table" in refused(tmp_path / "text")
    assert "is no table" in refused(tmp_path / "posters" / "a.png")
    assert "is empty" in refused(table(""))
    assert "is empty" in refused(table("id,genres\n"))
    assert "seen: id, plot; name it with --genre-column" in refused(table("id,plot\na,b\n"))
    assert "--poster-column or --id-column" in refused(table("plot,genres\na,War\n"))
    assert "did you mean 'genres'" in refused(table("id,genres\na,War\n"), genre_column="genrs")
    assert "--posters" in refused(table("id,genres\nnone,War\n"))
    assert "no such folder or zip file of posters" in refused(table("id,genres\na,War\n"), posters=tmp_path / "none")
    assert "one genre only in" in refused(table("id,genres\na,War\nb,War\n"))
    assert "has a poster and a genre" in refused(table("id,genres\na,N/A\n"))
    assert "'min_films' option must be 1 or more; got 0" in refused(table("id,genres\na,War\n"), min_films=0)
    assert "no readable Parquet" in refused(table(b"PAR1 no", "t.parquet"))
    assert "is no JSON" in refused(table("[1,", "t.json"))
    good = table("id,genres\na,War\nb,News\n")
    assert "no such genre mapping" in refused(good, genre_map=tmp_path / "none.csv")
    assert "two columns" in refused(good, genre_map=table("a,b,c\n", "map.csv"))
    assert "map names to names" in refused(good, genre_map=table('{"a": 1}', "map.json"))
    assert "cannot be read" in refused(good, genre_map=table("a = ", "map.toml"))
    assert "several tables" in refused_several(tmp_path)


def refused_several(tmp_path: Path) -> str:
    folder = tmp_path / "two"
    folder.mkdir()
    for name in "x.csv", "y.csv":
        write_delimited(folder / name, [["id", "genres"], ["a", "War"]])
    return refused(folder)


def test_any_other_file_is_a_table():
    assert list(LAYOUTS)[-1] == "table"

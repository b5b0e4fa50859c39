"""The forms in which people have their tables: one small catalogue, written in each, and read back exactly."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from onesheet.audit import audit
from onesheet.data import read_catalogue, write_catalogue
from onesheet.data.columns import says_something_else
from onesheet.data.findings import Finding, Findings
from onesheet.data.genre_cells import GenreCells
from onesheet.data.poster_folders import Disk
from onesheet.errors import CatalogueError, UnreadablePoster
from onesheet.images import open_poster
from onesheet.packed.splitting import has_own_split, own_split, read_split
from onesheet.pipeline.preparation import split_by
from onesheet.pipeline.recipe import Recipe
from onesheet.zipped import MAX_MEMBER_BYTES

GENRES = ("Action", "Comedy", "Crime", "Drama", "Film-Noir", "Horror", "Romance", "Sci-Fi", "Thriller", "Western")


def films_of(count: int = 24) -> dict[str, tuple[str, ...]]:
    """IMDb id -> one to three genres; every genre occurs."""
    chance = random.Random(7)
    picked = {
        f"tt{12007 + 37 * n:07d}": tuple(sorted(chance.sample(GENRES, chance.choice((1, 2, 3))))) for n in range(count)
    }
    return picked | {f"tt{90000 + n:07d}": (genre,) for n, genre in enumerate(GENRES)}


FILMS = films_of()


def draw(path: Path, number: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 12), (number % 256, number // 256 % 256, 90)).save(path)
    return path


def posters(folder: Path, name: Callable[[str], str] = lambda film: f"{film}.png") -> Path:
    for number, film in enumerate(FILMS):
        draw(folder / name(film), number)
    return folder


def write(path: Path, rows: Sequence[Sequence[object]], *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def read(*paths: Path, **options) -> dict[str, tuple[str, ...]]:
    return {film.film_id: film.genres for film in read_catalogue(*paths, **options).films}


def genre_table(folder: Path, cell: Callable[[tuple[str, ...]], object]) -> Path:
    posters(folder / "posters")
    return write(folder / "films.csv", [["imdb_id", "genres"], *([film, cell(names)] for film, names in FILMS.items())])


def one_hot(folder: Path, on: object = 1, off: object = 0, heading: Callable[[str], str] = str, more=()) -> Path:
    """`more`: headings and cells of columns beside, each (heading, cell of a row's number)."""
    posters(folder / "posters")
    rows = [["Id", *(name for name, _ in more), *map(heading, GENRES)]]
    for number, (film, names) in enumerate(FILMS.items()):
        beside = [cell(number) for _, cell in more]
        rows.append([film, *beside, *(on if genre in names else off for genre in GENRES)])
    return write(folder / "films.csv", rows)


CELLS: dict[str, Callable[[tuple[str, ...]], object]] = {
    "python": lambda names: str(list(names)),
    "json": lambda names: json.dumps(names),
    "tuple": str,
    "set": lambda names: "{" + ", ".join(map(repr, names)) + "}",
    "nested": lambda names: str([list(names)]),
    "numpy": lambda names: "[" + " ".join(map(repr, names)) + "]",
    "numpy repr": lambda names: f"array({list(names)}, dtype=object)",
    "postgres": lambda names: "{" + ",".join(f'"{name}"' if " " in name else name for name in names) + "}",
    "unquoted": lambda names: f"[{', '.join(names)}]",
    "objects": lambda names: json.dumps([{"id": 1, "name": name} for name in names]),
    "numpy objects": lambda names: "[" + "\n ".join(str({"id": 7, "name": name}) for name in names) + "]",
    "object": lambda names: json.dumps({f"/m/{n}": name for n, name in enumerate(names)}),
    "quoted": lambda names: ", ".join(map(repr, names)),
    "pipe": "|".join,
    "comma": ", ".join,
    "semicolon": "; ".join,
    "slash": "/".join,
    "spaced slash": " / ".join,
    "dash": " - ".join,
    "space": " ".join,
    "and": " and ".join,
    "in words": lambda names: " & ".join([", ".join(names[:-1]), names[-1]] if len(names) > 2 else names),
    "bullet": " • ".join,
    "lines": "\n".join,
    "underscore": "_".join,
    "tags": lambda names: " ".join(f"#{name}" for name in names),
    "angles": lambda names: "".join(f"<{name}>" for name in names),
    "labelled": lambda names: f"Genres: {', '.join(names)}",
    "JSON twice": lambda names: json.dumps(json.dumps(names)),
    "numpy 2": lambda names: "[" + ", ".join(f"np.str_({name!r})" for name in names) + "]",
    "object of lists": lambda names: json.dumps({"genres": names}),
    "flags": lambda names: json.dumps({genre: genre in names for genre in GENRES}),
    "several": lambda names: ("|" if len(names) == 2 else ", ").join(names),
}


@pytest.mark.parametrize("form", CELLS)
def test_genre_cells(tmp_path: Path, form: str) -> None:
    assert read(genre_table(tmp_path, CELLS[form])) == FILMS


def test_a_cell_that_opens_like_a_list_and_is_none_is_a_bad_row(tmp_path: Path) -> None:
    broken = next(iter(FILMS))
    cells = iter(["['Action', 'Drama", *(str(list(names)) for names in list(FILMS.values())[1:])])
    catalogue = read_catalogue(genre_table(tmp_path, lambda names: next(cells)))
    assert broken not in {film.film_id for film in catalogue.films}
    assert catalogue.findings.counts["bad-row"] == 1
    assert dict(catalogue.sources[0].unread) == {"no list of genres": 1}


def test_where_most_cells_are_broken_the_first_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"34 of 34 rows of .* the first is films.csv, row 1: no list of"):
        read_catalogue(genre_table(tmp_path, lambda names: str(list(names))[:-1]))


@pytest.mark.parametrize("word", ["<NA>", "#N/A", "Unknown", "None", r"\N", "(no genres listed)", "nan", ""])
def test_missing_words_are_no_genres(word: str) -> None:
    catalogue = GenreCells([word, "Drama|Crime"])
    assert catalogue.read(word) == ()


def test_the_numbers_of_tmdb_are_named(tmp_path: Path) -> None:
    posters(tmp_path / "posters")
    rows = [[film, "[18, 35]" if number % 2 else "[27]"] for number, film in enumerate(FILMS)]
    found = read(write(tmp_path / "films.csv", [["imdb_id", "genre_ids"], *rows]))
    assert set(found.values()) == {("Comedy", "Drama"), ("Horror",)}


def test_an_own_delimiter(tmp_path: Path) -> None:
    table = genre_table(tmp_path, "~".join)
    assert read(table, genre_delimiter="~") == FILMS


@pytest.mark.parametrize(
    "headings", [("Genre_1", "Genre_2", "Genre_3"), ("primary_genre", "secondary_genre", "genre3")]
)
def test_several_columns_of_genres_are_united(tmp_path: Path, headings: tuple[str, ...]) -> None:
    posters(tmp_path / "posters")
    rows = [[film, *names, *[""] * (3 - len(names))] for film, names in FILMS.items()]
    assert read(write(tmp_path / "films.csv", [["imdb_id", *headings], *rows])) == FILMS


@pytest.mark.parametrize(
    "on, off",
    [(1, 0), (1, -1), ("Y", "N"), ("yes", "no"), ("x", ""), ("T", "F"), ("True", "False"), ("1.0", "0.0"), (1, "")],
)
def test_one_hot_columns(tmp_path: Path, on: object, off: object) -> None:
    catalogue = read_catalogue(one_hot(tmp_path, on, off))
    assert {film.film_id: film.genres for film in catalogue.films} == FILMS
    assert catalogue.known is None


@pytest.mark.parametrize("prefix", ["genre_", "genres.", "Genre_is_", "Genre: ", "is_"])
def test_a_common_prefix_is_cut_off(tmp_path: Path, prefix: str) -> None:
    assert read(one_hot(tmp_path, heading=lambda name: prefix + name)) == FILMS


@pytest.mark.parametrize("form", ["genre[{}]", "('genre', '{}')", "{}_genre"])
def test_what_is_around_genres_in_headings_is_cut_off(tmp_path: Path, form: str) -> None:
    assert read(one_hot(tmp_path, heading=form.format)) == FILMS


def test_how_often_a_genre_occurs_is_on(tmp_path: Path) -> None:
    assert read(one_hot(tmp_path, on=3)) == FILMS


@pytest.mark.parametrize("on, off", [("ja", "nein"), (0.97, 0.02)])
def test_other_values_in_columns_of_genres_are_shown(tmp_path: Path, on: object, off: object) -> None:
    seen = ", ".join(sorted([str(on), str(off)]))
    with pytest.raises(CatalogueError, match=f"Action, Comedy, .* hold {seen}; write 1 for yes and 0 for no"):
        read_catalogue(one_hot(tmp_path, on, off))


def test_columns_of_0_and_1_that_are_no_genres_are_listed(tmp_path: Path) -> None:
    names = ["adult", "PG-13", "Rated_PG", "has_award", "Unnamed: 0.1", "Oscar_wins", "In_Colour", "Blockbuster"]
    catalogue = read_catalogue(one_hot(tmp_path, more=[(name, lambda number: number % 2) for name in names]))
    assert {film.film_id: film.genres for film in catalogue.films} == FILMS
    assert catalogue.sources[0].unused == tuple(names[1:])  # `adult` is no genre's in any table
    assert catalogue.findings.counts == {"unused-column": len(names) - 1}


def test_columns_of_genres_may_be_named(tmp_path: Path) -> None:
    table = one_hot(tmp_path, more=[("Heist_or_so", lambda number: number % 2)])
    found = read(table, genre_column="Heist_or_so,Drama")
    assert {name for names in found.values() for name in names} == {"Heist_or_so", "Drama"}


def test_an_odd_cell_removes_no_genre_and_blank_is_unknown(tmp_path: Path) -> None:
    table = one_hot(tmp_path)
    rows = list(csv.reader(table.open(encoding="utf-8")))
    drama = rows[0].index("Drama")
    first = next(row for row in rows[1:] if row[drama] == "1" and row.count("1") > 1)
    second = next(row for row in rows[1:] if row[drama] == "0")
    first[drama], second[drama] = "2", ""
    catalogue = read_catalogue(write(table, rows))
    assert {film.film_id: film.genres for film in catalogue.films} == FILMS
    assert [finding.film_id for finding in catalogue.findings.of("odd-cell")] == [first[0]]
    assert [film.film_id for film in catalogue.films if film.unknown == {"Drama"}] == [second[0]]
    known = catalogue.known
    assert known is not None and (~known).sum() == 1


@pytest.mark.parametrize(
    "written",
    [
        lambda film: film,
        lambda film: f"tt{int(film[2:])}",
        lambda film: str(int(film[2:])),
        lambda film: film[2:],
        lambda film: f"{int(film[2:])}.0",
        lambda film: f"http://www.imdb.com/title/{film}/?ref_=fn_tt_tt_1",
        lambda film: f"{int(film[2:]):e}",
        lambda film: f"{int(film[2:]):,}",
        lambda film: f"imdb:{film}",
        lambda film: f"/title/{film}/",
        lambda film: f"'{film}",
    ],
    ids=["whole", "tt bare", "bare", "padded", "float", "link", "power", "commas", "marked", "path", "quote"],
)
@pytest.mark.parametrize(
    "named", [lambda film: f"{film}.png", lambda film: f"{int(film[2:])}.png", lambda film: f"tt{int(film[2:])}.png"]
)
def test_imdb_ids(tmp_path: Path, written: Callable[[str], str], named: Callable[[str], str]) -> None:
    posters(tmp_path / "posters", named)
    rows = [[written(film), "|".join(names)] for film, names in FILMS.items()]
    assert read(write(tmp_path / "films.csv", [["imdbId", "genres"], *rows])) == FILMS


@pytest.mark.parametrize("named", ["{}-poster.png", "{}_large.png", "{}/folder.png", "{}.PNG"])
def test_posters_named_after_an_id_and_more(tmp_path: Path, named: str) -> None:
    posters(tmp_path / "posters", lambda film: named.format(film.upper()))
    rows = [[int(film[2:]), "|".join(names)] for film, names in FILMS.items()]
    table = write(tmp_path / "films.csv", [["imdbId", "genres"], *rows])
    assert read(table) == FILMS
    first = next(iter(FILMS))
    for name in (f"{first}-fanart.png", f"{first}/banner.png"):
        draw(tmp_path / "posters" / name)
    ambiguous = read_catalogue(table).findings.of("ambiguous-poster")
    assert [finding.film_id for finding in ambiguous] == ([] if "poster" in named else [first])


@pytest.mark.parametrize(
    "written",
    [
        lambda film: f"C:\\Users\\ana\\project\\posters\\{film}.png",
        lambda film: f"/content/drive/posters/{film}.png",
        lambda film: f"posters/{film}",
        lambda film: f"posters/{film}.jpg",
        lambda film: f"POSTERS/{film.upper()}.PNG",
        lambda film: f"https://images.example/{film}.png?size=large",
        lambda film: f"['posters/{film}.png']",
    ],
    ids=["windows", "absolute", "no suffix", "other suffix", "other case", "address", "list"],
)
def test_paths_are_matched_by_their_end(tmp_path: Path, written: Callable[[str], str]) -> None:
    posters(tmp_path / "posters")
    rows = [[written(film), "|".join(names)] for film, names in FILMS.items()]
    table = write(tmp_path / "films.csv", [["poster", "genres"], *rows])
    found = read_catalogue(table).films
    assert [Path(film.poster).stem for film in found] == list(FILMS)
    assert [film.genres for film in found] == list(FILMS.values())


def test_a_folder_for_each_film_is_told_by_the_longest_end(tmp_path: Path) -> None:
    posters(tmp_path / "art" / "posters", lambda film: f"{film}/poster.png")
    rows = [[f"/old/{film}/poster.png", "|".join(names)] for film, names in FILMS.items()]
    table = write(tmp_path / "films.csv", [["poster", "genres"], *rows])
    found = read_catalogue(table, posters=tmp_path / "art").films
    assert [Path(film.poster).parent.name for film in found] == list(FILMS)


def test_a_path_that_fits_several_files_is_a_finding(tmp_path: Path) -> None:
    posters(tmp_path / "art" / "a"), posters(tmp_path / "art" / "b")
    rows = [[f"{'a/' if n else ''}{film}.png", "|".join(names)] for n, (film, names) in enumerate(FILMS.items())]
    table = write(tmp_path / "films.csv", [["poster", "genres"], *rows])
    catalogue = read_catalogue(table, posters=tmp_path / "art")
    assert len(catalogue) == len(FILMS) - 1 and catalogue.findings.counts["ambiguous-poster"] == 1


def test_where_nothing_fits_the_error_shows_both_sides(tmp_path: Path) -> None:
    posters(tmp_path / "posters", lambda film: f"poster of {film}.png")
    table = write(tmp_path / "films.csv", [["poster", "genres"], ["x/a.png", "War"], ["x/b.png", "Drama"]])
    with pytest.raises(CatalogueError, match=r"the table names 'x/a.png', and a file there is '.*poster of tt0012007"):
        read_catalogue(table)
    with pytest.raises(CatalogueError, match=r"'genres' names a poster, as 'War'.*choose another --poster-column"):
        read_catalogue(table, poster_column="genres", genre_column="poster")


def zipped(path: Path, posters: Path, *, inside: str = "") -> Path:
    """The posters of a folder in a zip file; the folder goes."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for poster in sorted(posters.iterdir()):
            file.write(poster, f"{inside}{poster.name}")
        file.writestr("__MACOSX/._tt0012007.png", b"x")
    shutil.rmtree(posters)
    return path


@pytest.mark.parametrize("inside", ["", "archive/posters/"])
@pytest.mark.parametrize("place", ["beside", "in the folder", "told"])
def test_posters_in_a_zip_file(tmp_path: Path, place: str, inside: str) -> None:
    (tmp_path / "set").mkdir()
    table = genre_table(tmp_path / "set", "|".join)
    folder = tmp_path / "elsewhere" if place == "told" else table.parent
    archive = zipped(folder / "art.zip", table.parent / "posters", inside=inside)
    catalogue = read_catalogue(
        table.parent if place == "in the folder" else table, posters=archive if place == "told" else None
    )
    assert {film.film_id: film.genres for film in catalogue.films} == FILMS and not catalogue.findings
    assert not audit(catalogue, threads=2).of("missing", "unreadable", "exact-duplicate")
    assert len(audit(catalogue, threads=2)) == len(audit(read_catalogue(genre_table(tmp_path / "plain", "|".join))))
    first = catalogue.films[0].poster
    assert Path(first).parts[-1] == "tt0012007.png" and "art.zip" in first and not Path(first).exists()
    assert open_poster(first).width == 8
    write_catalogue(catalogue, tmp_path / "set" / "again.csv")
    assert {film.poster for film in read_catalogue(tmp_path / "set" / "again.csv").films} == {
        film.poster for film in catalogue.films
    }


def test_a_zip_file_of_harm_is_an_unreadable_poster(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "art.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("large.png", bytes(MAX_MEMBER_BYTES + 1))
        file.writestr("../outside.png", b"x")
    with pytest.raises(UnreadablePoster, match=r"'large.png' in art.zip unpacks to more than 64,000,000 bytes"):
        open_poster(tmp_path / "art.zip" / "large.png")
    with pytest.raises(UnreadablePoster, match="no such file"):
        open_poster(tmp_path / "art.zip" / "none.png")
    assert [Path(path).name for path in Disk().files(str(tmp_path / "art.zip")).values()] == ["large.png"]
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    assert not Disk().files(str(tmp_path / "broken.zip"))
    with pytest.raises(UnreadablePoster, match=r"broken\.zip"):
        open_poster(tmp_path / "broken.zip" / "a.png")


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]


def shapes() -> dict[str, Callable[[list[dict[str, str]]], str]]:
    def table(records: list[dict[str, str]], delimiter: str = ",", first: str = "", index: bool = False) -> str:
        file = io.StringIO()
        file.write(first)
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(records[0])
        writer.writerows([*([n] if index else []), *record.values()] for n, record in enumerate(records))
        return file.getvalue()

    return {
        "csv": table,
        "csv2": lambda records: table(records, ";"),
        "tsv": lambda records: table(records, "\t"),
        "sep.csv": lambda records: table(records, ";", "sep=;\n"),
        "index.csv": lambda records: table(records, index=True),
        "jsonl": lambda records: "\n".join(map(json.dumps, records)),
        "json": json.dumps,
        "indented.json": lambda records: json.dumps(records, indent=2),
        "documents.json": lambda records: "\n".join(json.dumps(record, indent=2) for record in records),
        "around.json": lambda records: json.dumps({"total": len(records), "movies": records}),
        "by id.json": lambda records: json.dumps({record["imdb_id"]: record for record in records}),
        "within.json": lambda records: json.dumps({"response": {"count": len(records), "movies": records}}),
        "lists.json": lambda records: json.dumps([list(records[0]), *(list(record.values()) for record in records)]),
        "columns.json": lambda records: json.dumps(
            {name: {str(n): record[name] for n, record in enumerate(records)} for name in records[0]}
        ),
        "mongo.jsonl": lambda records: "\n".join(json.dumps({"_id": {"$oid": "5"}, **record}) for record in records),
        "shell.txt": lambda records: "\n".join(
            json.dumps({"_id": "@", **record}, indent=1).replace('"@"', 'ObjectId("56fb")') for record in records
        ),
    }


IDS: dict[str, Callable[[str], str]] = {
    "whole": str,
    "bare": lambda film: str(int(film[2:])),
    "float": lambda film: f"{int(film[2:])}.0",
    "link": lambda film: f"https://www.imdb.com/title/{film}/",
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(
    shape=st.sampled_from(sorted(shapes())),
    form=st.sampled_from(sorted(CELLS)),
    encoding=st.sampled_from(ENCODINGS),
    style=st.sampled_from(sorted(IDS)),
)
def test_every_combination_reads_back(tmp_path: Path, shape: str, form: str, encoding: str, style: str) -> None:
    posters(tmp_path / "posters") if not (tmp_path / "posters").exists() else None
    records = [
        {"imdb_id": IDS[style](film), "title": "Amélie", "genres": str(CELLS[form](names))}
        for film, names in FILMS.items()
    ]
    suffix = shape.rpartition(".")[2].replace("csv2", "csv")
    path = tmp_path / f"films.{suffix}"
    path.write_bytes(shapes()[shape](records).encode(encoding))
    catalogue = read_catalogue(path)
    assert {film.film_id: film.genres for film in catalogue.films} == FILMS
    assert not catalogue.findings and {film.title for film in catalogue.films} == {"Amélie"}


@pytest.mark.parametrize("kind", [list, "|".join])
def test_genres_by_id_in_json(tmp_path: Path, kind: Callable[[tuple[str, ...]], object]) -> None:
    posters(tmp_path / "posters")
    (tmp_path / "films.json").write_text(json.dumps({film: kind(names) for film, names in FILMS.items()}))
    assert read(tmp_path / "films.json") == FILMS


def test_a_table_of_ids_without_headings_is_an_error_with_its_cure(tmp_path: Path) -> None:
    table = write(tmp_path / "films.csv", [[film, "A title", "|".join(names)] for film, names in FILMS.items()])
    with pytest.raises(CatalogueError, match=r"has no heading, its first line is tt0012007, A title, .*; add one"):
        read_catalogue(table)


@pytest.mark.parametrize("above", ["# made by me\n# on Monday\n", "My films\n\n"])
def test_lines_above_the_heading_are_an_error_with_its_cure(tmp_path: Path, above: str) -> None:
    rows = [[film, "A title", "|".join(names)] for film, names in FILMS.items()]
    table = write(tmp_path / "films.csv", [["imdb_id", "title", "genres"], *rows])
    table.write_text(above + table.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(
        CatalogueError, match=r"rows that do not fit its first line, .*delete the lines above the headi"
    ):
        read_catalogue(table)


def test_short_rows_are_filled_and_said(tmp_path: Path) -> None:
    posters(tmp_path / "posters")
    rows = [[film, "|".join(names), *(["t", "h"] if n % 3 else [])] for n, (film, names) in enumerate(FILMS.items())]
    catalogue = read_catalogue(write(tmp_path / "films.csv", [["imdb_id", "genres", "tagline", "page"], *rows]))
    assert len(catalogue) == len(FILMS) and not catalogue.findings
    assert catalogue.sources[0].notes == ("12 short rows filled with empty cells",)


@pytest.mark.parametrize("delimiter", [" ", ","])
@pytest.mark.parametrize("all_columns", [True, False])
def test_a_table_without_headings(tmp_path: Path, delimiter: str, all_columns: bool) -> None:
    posters(tmp_path / "posters")
    rows = [[f"posters/{film}.png", *(int(genre in names) for genre in GENRES)] for film, names in FILMS.items()]
    table = write(tmp_path / "data.csv", rows, delimiter=delimiter)
    names = tmp_path / "names.txt"
    names.write_text("\n".join([*(["paths"] if all_columns else []), *GENRES]), encoding="utf-8")
    assert read(table, genres=names) == FILMS
    with pytest.raises(CatalogueError, match=r"has no heading.*--genres FILE"):
        read_catalogue(table)
    names.write_text("Drama\nComedy\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match="got 2 names with --genres"):
        read_catalogue(table, genres=names)


SPLITS = ("train", "validation", "test")


def parts(count: int = len(FILMS)) -> list[str]:
    return [SPLITS[min(2, number % 5 // 2)] if number % 5 else "train" for number in range(count)]


def wanted() -> dict[str, str]:
    return dict(zip(FILMS, parts(), strict=True))


@pytest.mark.parametrize("form", ["tables", "named tables", "sets", "column", "folders", "folders of sets", "wrapped"])
def test_a_split_of_its_own_is_used(tmp_path: Path, form: str) -> None:
    root = tmp_path / "set" / "inner" if form == "wrapped" else tmp_path / "set"
    words = {"train": "training", "validation": "val", "test": "testing"}
    if form == "folders of sets":
        words = {"train": "train_set", "validation": "validation_set", "test": "test_set"}
    rows = {film: [film, "|".join(names)] for film, names in FILMS.items()}
    if form in ("tables", "named tables"):
        posters(root / "posters")
        for split in SPLITS:
            own = [rows[film] for film, part in wanted().items() if part == split]
            name = "films_" if form == "named tables" else ""
            write(root / f"{name}{words[split][:5].rstrip('i')}.csv", [["imdb_id", "genres"], *own])
    elif form == "sets":
        posters(root / "posters")
        for split in SPLITS:
            own = [rows[film] for film, part in wanted().items() if part == split]
            write(root / f"{split[:5].rstrip('i')}Set.csv", [["imdb_id", "genres"], *own])
    elif form == "column":
        posters(root / "posters")
        own = [[*rows[film], words[part]] for film, part in wanted().items()]
        write(root / "films.csv", [["imdb_id", "genres", "subset"], *own])
    else:
        for number, (film, part) in enumerate(wanted().items()):
            for genre in FILMS[film]:
                draw(root / words[part] / genre / f"{film}.png", number)
    catalogue = read_catalogue(tmp_path / "set")
    assert {film.film_id: film.genres for film in catalogue.films} == FILMS
    assert has_own_split(catalogue)
    split = own_split(catalogue, seed=0)
    assert {film.film_id: part for film, part in zip(split.catalogue.films, split.splits, strict=True)} == wanted()


def test_validation_is_taken_from_train_where_there_is_none(tmp_path: Path) -> None:
    posters(tmp_path / "posters")
    rows = [[film, "|".join(names), n % 4 == 0] for n, (film, names) in enumerate(FILMS.items())]
    catalogue = read_catalogue(write(tmp_path / "films.csv", [["imdb_id", "genres", "is_test"], *rows]))
    split = own_split(catalogue, seed=0)
    assert [film.film_id for n, film in enumerate(catalogue.films) if split.splits[n] == "test"] == list(FILMS)[::4]
    assert 0 < (split.splits == "validation").sum() < 10


def test_a_film_on_both_sides_is_a_finding_and_is_tested_on_alone(tmp_path: Path) -> None:
    posters(tmp_path / "posters")
    rows = [[film, "|".join(names)] for film, names in FILMS.items()]
    write(tmp_path / "train.csv", [["imdb_id", "genres"], *rows])
    write(tmp_path / "test.csv", [["imdb_id", "genres"], *rows[:5]])
    catalogue = read_catalogue(tmp_path)
    assert catalogue.findings.counts["leak"] == 5
    assert [film.film_id for film in catalogue.films if film.split == "test"] == list(FILMS)[:5]


def test_near_duplicates_on_both_sides_of_an_own_split_are_counted(tmp_path: Path) -> None:
    posters(tmp_path / "posters")
    rows = [[film, "|".join(names), part] for (film, names), part in zip(FILMS.items(), parts(), strict=True)]
    catalogue = read_catalogue(write(tmp_path / "films.csv", [["imdb_id", "genres", "split"], *rows]))
    pairs = [next(film for film, own in wanted().items() if own == part) for part in ("train", "test")]
    found = Findings(Finding("near-duplicate", 0.9, film, group="1") for film in pairs)
    said: list[str] = []
    split = split_by(Recipe(catalogue=("films.csv",)), catalogue.without(found), notify=said.append)
    assert [finding.film_id for finding in split.findings.of("leak")] == pairs[1:]
    assert said[-1].startswith(
        "1 films have nearly the same poster in an earlier split, which flatters metrics; --resp"
    )


def test_an_unlabelled_test_table_is_left_out_and_said(tmp_path: Path) -> None:
    posters(tmp_path / "posters")
    write(tmp_path / "train.csv", [["imdb_id", "genres"], *([film, "|".join(n)] for film, n in FILMS.items())])
    write(tmp_path / "test.csv", [["imdb_id"], ["tt0000001"]])
    catalogue = read_catalogue(tmp_path)
    assert len(catalogue) == len(FILMS) and catalogue.findings.counts["unlabelled"] == 1


@pytest.mark.parametrize("heading", ["split", "part", "set", "fold", "subset"])
@pytest.mark.parametrize("way", [lambda film: film, lambda film: f"posters/{film}.png", lambda film: f"{film}.png"])
def test_a_split_file_names_films_by_id_path_or_name(tmp_path: Path, heading: str, way: Callable[[str], str]) -> None:
    catalogue = read_catalogue(genre_table(tmp_path, "|".join))
    rows = [[part, way(film)] for film, part in wanted().items()]
    split = read_split(catalogue, write(tmp_path / "split.csv", [[heading, "filename"], *rows]))
    assert {film.film_id: part for film, part in zip(split.catalogue.films, split.splits, strict=True)} == wanted()


def test_names_that_are_no_genres_are_findings_and_an_error_where_most_are(tmp_path: Path) -> None:
    catalogue = read_catalogue(genre_table(tmp_path, lambda names: "|".join([*names, "Rated_PG"])))
    (finding,) = catalogue.findings.of("odd-genre")
    assert finding.detail.startswith("Rated_PG (34 films)") and "--genre-map" in finding.action
    with pytest.raises(
        CatalogueError, match=r"10 of 10 names do not look like genres, such as 'Action \(50%\)' \(has a n"
    ):
        read_catalogue(genre_table(tmp_path, lambda names: ", ".join(f"{name} (50%)" for name in names)))
    with pytest.raises(CatalogueError, match=r"2 of 2 names do not look like genres, such as '0' \(is a number\)"):
        read_catalogue(genre_table(tmp_path, lambda names: str(len(names) % 2)))
    assert says_something_else("has_oscar") and not says_something_else("Martial Arts")


def test_the_summary_says_what_was_understood(tmp_path: Path) -> None:
    catalogue = read_catalogue(genre_table(tmp_path, "|".join), min_films=5)
    (source,) = catalogue.sources
    assert source.line == "films.csv: 34 rows; ids in imdb_id; genres in genres, separated by '|'"
    kept, left_out = catalogue.genre_counts
    assert set(kept) | set(left_out) == set(GENRES) and all(count >= 5 for count in kept.values())

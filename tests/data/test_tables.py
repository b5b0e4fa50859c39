"""Every form of table, from real files that the test makes: delimiters, encodings, quoting, JSON, Parquet."""

from __future__ import annotations

import csv
import json
import os
import sys
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from onesheet.data.cells import imdb_id
from onesheet.data.genre_cells import GenreCells
from onesheet.data.genre_map import is_no_genre
from onesheet.data.reading import read_catalogue
from onesheet.data.tables import read_table
from onesheet.errors import CatalogueError, MissingExtra


def draw(path: Path | str, colour: int = 0) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 12), (colour % 256, colour // 256 % 256, 90)).save(path)
    return path


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


def one_hot_rows(on="1", off="0"):
    names = ["Comedy", "Drama", "Sci-Fi"]
    rows = [["id", "title", *names]]
    return rows + [[i, f"Film {i}", *(on if name in genres else off for name in names)] for i, genres in FILMS]


@pytest.mark.parametrize("join", ["|".join, ";".join, ", ".join, " / ".join, json.dumps, str])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_genre_text_in_any_delimiter(posters, join, delimiter):
    path = write_delimited(
        posters / "t.csv", [["id", "genres"], *([i, join(g)] for i, g in FILMS)], delimiter=delimiter
    )
    assert films(read_catalogue(path)) == WANTED


@pytest.mark.parametrize("on, off", [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_one_hot_columns(posters, on, off):
    assert films(read_catalogue(write_delimited(posters / "t.csv", one_hot_rows(on, off)))) == WANTED


def test_a_genre_list_wins_over_one_hot_columns(posters):
    rows = [
        [*row, genre] for row, genre in zip(one_hot_rows(), ["Genre", "['War']", "['War']", "['News']"], strict=True)
    ]
    assert read_catalogue(write_delimited(posters / "t.csv", rows)).genres.names == ("News", "War")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_encodings(tmp_path, encoding):
    draw(tmp_path / "Amélie.png"), draw(tmp_path / "b.png", 1)
    rows = [
        ["poster", "genres", "title"],
        ["Amélie.png", "Comédie", "Le fabuleux déjà"],
        ["b.png", "Drama", "x"],
    ]
    film = read_catalogue(write_delimited(tmp_path / "t.csv", rows, encoding=encoding)).films[0]
    assert (Path(film.poster).name, film.genres, film.title) == (
        "Amélie.png",
        ("Comédie",),
        "Le fabuleux déjà",
    )


def test_one_stray_byte_does_not_spoil_the_rest(tmp_path):
    draw(tmp_path / "a.png"), draw(tmp_path / "b.png", 1)
    (tmp_path / "t.csv").write_bytes("id,genres,title\na,Drama,Zoë\nb,War,Jos".encode() + b"\xe9\n")
    assert [film.title for film in read_catalogue(tmp_path / "t.csv").films] == ["Zoë", "José"]


@pytest.mark.parametrize(
    "name",
    [
        "with space.png",
        'quo"te.png',
        "new\nline.png",
        "数字.png",
        "a,b.png",
        "it's.png",
        os.fsdecode(b"\xe9.png"),
    ],
)
def test_ordinary_names(tmp_path, name):
    draw(tmp_path / "images" / name), draw(tmp_path / "images" / "other.png", 1)
    with (tmp_path / "t.csv").open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file).writerows([["poster", "genre"], [f"images/{name}", "War"], ["images/other.png", "News"]])
    catalogue = read_catalogue(tmp_path / "t.csv")
    assert [Path(film.poster).name for film in catalogue.films] == [name, "other.png"]
    assert not catalogue.findings


def test_composed_and_decomposed_names_are_one(tmp_path):
    draw(tmp_path / unicodedata.normalize("NFD", "é.png")), draw(tmp_path / "b.png", 1)
    path = write_delimited(tmp_path / "t.csv", [["poster", "genre"], ["é.png", "War"], ["b.png", "News"]])
    assert len(read_catalogue(path)) == 2


def test_very_long_lines_and_quoted_newlines(posters):
    rows = [["id", "plot", "genres"], *([i, "line\n" * 30 + "x" * 300_000, "|".join(g)] for i, g in FILMS)]
    before = csv.field_size_limit()
    assert films(read_catalogue(write_delimited(posters / "t.csv", rows))) == WANTED
    assert csv.field_size_limit() == before


def test_an_open_quote_loses_one_row_and_says_it(posters):
    lines = [
        "id,title,genres",
        'a,"open,War',
        *(f"b{n},t,Drama" for n in range(600)),
        "b,ok,Drama",
        "c,ok,Comedy",
    ]
    (posters / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    catalogue = read_catalogue(posters / "t.csv")
    assert set(films(catalogue)) == {"b", "c"}
    assert [finding.detail for finding in catalogue.findings.of("bad-row")] == [
        "t.csv, line 2: 2 fields where the heading has 3"
    ]


def test_tsv_without_quoting(posters):
    (posters / "title.basics.tsv").write_text(
        'tconst\tprimaryTitle\tisAdult\tgenres\na\t"Open\t0\tComedy,Drama\nb\tx\t0\tDrama\nc\ty\t0\t\\N\n',
        "utf-8",
    )
    catalogue = read_catalogue(posters / "title.basics.tsv")
    assert films(catalogue) == {"a": ("Comedy", "Drama"), "b": ("Drama",)}
    assert catalogue.findings.counts == {"no-genre": 1}


def test_unreadable_rows_are_said(posters):
    (posters / "t.csv").write_text("id,genres\na,Comedy\nb\nc,\"['War'\"\nb,Drama\n,\n,News\n", encoding="utf-8")
    catalogue = read_catalogue(posters / "t.csv")
    assert films(catalogue) == {"a": ("Comedy",), "b": ("Drama",)}
    assert catalogue.findings.counts["bad-row"] == 3


@pytest.mark.parametrize("form", ["lines", "array"])
def test_json(posters, form):
    records = [{"id": i, "genres": [{"id": 1, "name": g} for g in genres], "year": 1999} for i, genres in FILMS]
    text = json.dumps(records) if form == "array" else "\n".join([*map(json.dumps, records), "{broken", "[1]"])
    path = posters / ("t.json" if form == "array" else "t.jsonl")
    path.write_text(text, encoding="utf-8")
    catalogue = read_catalogue(path)
    assert films(catalogue) == WANTED and catalogue.films[0].year == 1999
    assert len(catalogue.findings.of("bad-row")) == (0 if form == "array" else 2)


def test_parquet_list_column(posters):
    table = pa.table({"id": [i for i, _ in FILMS], "genres": [g for _, g in FILMS], "score": [1.0, None, 2.0]})
    pq.write_table(table, posters / "t.parquet")
    assert films(read_catalogue(posters / "t.parquet")) == WANTED


def test_parquet_without_pyarrow_names_the_extra(posters, monkeypatch):
    pq.write_table(pa.table({"id": ["a"], "genres": ["War"]}), posters / "t.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'onesheet-genres\[parquet\]'"):
        read_catalogue(posters / "t.parquet")


GENRE = (
    st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="|;,/[](){}'\""), min_size=1)
    .map(str.strip)
    .filter(lambda name: not is_no_genre(name) and " - " not in name and not name.isdigit())
)


@given(
    st.lists(st.lists(GENRE.filter(bool), min_size=1, max_size=4), min_size=1, max_size=5),
    st.sampled_from("|;,jp"),
)
def test_genre_cells_read_back(rows, form):
    write = {"j": json.dumps, "p": str}.get(form, form.join)
    cells = [write(names) for names in rows]
    read = GenreCells(cells)
    assert [list(read.read(cell)) for cell in cells] == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_table_or_a_catalogue_error(tmp_path, data):
    for name in "t.csv", "t.tsv", "t.jsonl", "t.json":
        (tmp_path / name).write_bytes(data)
        try:
            table = read_table(tmp_path / name)
        except CatalogueError:
            continue
        assert all(len(row) == len(table.columns) for row in table.rows)


@pytest.mark.parametrize(
    "written, wanted",
    [("tt1", ""), ("tt0000000", ""), ("TT0114709", "tt0114709"), ("tt10000001", "tt10000001"), ("²", "")],
)
def test_imdb_ids(written, wanted):
    assert imdb_id(written, numbers=True) == wanted


def workbook(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> Path:
    """The least that Excel opens."""

    def cell(value: object, column: int, row: int) -> str:
        place = f"{chr(65 + column)}{row + 1}"
        if isinstance(value, bool | int | float):
            return f'<c r="{place}" t="{"b" if isinstance(value, bool) else "n"}"><v>{value:d}</v></c>'
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>' if value != "" else ""

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    names = list(enumerate(sheets, 1))
    listed = "".join(f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"/>' for n, name in names)
    links = "".join(
        f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n, _ in names
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="r" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        file.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>'
        )
        file.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}">{links}</Relationships>')
        for n, name in names:
            rows = "".join(
                f'<row r="{y + 1}">{"".join(cell(value, x, y) for x, value in enumerate(row))}</row>'
                for y, row in enumerate(sheets[name])
            )
            file.writestr(
                f"xl/worksheets/sheet{n}.xml", f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
            )
    return path


def test_a_workbook_is_read(tmp_path: Path) -> None:
    rows = [["imdbId", "Title", "Genre", "Drama"], [12007, "Amélie & co", "Comedy|Drama", True], ["", "", "", ""]]
    path = workbook(tmp_path / "films.xlsx", {"about": [["made by me"]], "films": [*rows, [12008, "", "War", False]]})
    table = read_table(path)
    assert table.columns == ("imdbId", "Title", "Genre", "Drama")
    assert table.rows == [[12007, "Amélie & co", "Comedy|Drama", True], [12008, "", "War", False]]
    assert table.notes == ("sheet 'films', the longest; not read: 'about'",)


def test_a_workbook_is_a_catalogue(tmp_path: Path) -> None:
    for film in (12007, 12008, 12009):
        draw(tmp_path / "posters" / f"tt{film:07d}.png", film)
    rows = [["imdbId", "Comedy", "Drama"], [12007, 1, 0], [12008, 1, 1], [12009, 0, True]]
    workbook(tmp_path / "films.xlsx", {"films": rows})
    for place in (tmp_path, tmp_path / "films.xlsx"):
        films = read_catalogue(place).films
        assert {film.film_id: film.genres for film in films} == {
            **{"tt0012007": ("Comedy",), "tt0012008": ("Comedy", "Drama")},
            "tt0012009": ("Drama",),
        }


def test_a_workbook_that_is_none_or_too_large_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "films.xlsx"
    path.write_bytes(b"id,genres\n")
    with pytest.raises(CatalogueError, match=r"films.xlsx' is no readable Excel workbook \(.*\); save it as"):
        read_table(path)
    workbook(path, {"films": []})
    with pytest.raises(CatalogueError, match="is empty"):
        read_table(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("xl/worksheets/sheet2.xml", '<sheetData><row r="1048576"><c r="XFD1048576"/></row></sheetData>')
    with pytest.raises(CatalogueError, match="has a sheet of more than 50,000,000 cells; save it as CSV"):
        read_table(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("xl/sharedStrings.xml", "w") as part:
        for _ in range(1001):
            part.write(bytes(1_000_000))
    assert path.stat().st_size < 2_000_000
    with pytest.raises(CatalogueError, match="unpacks to more than 1,000,000,000 bytes"):
        read_table(path)


def test_a_workbook_without_its_extra_is_an_error_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    path = workbook(tmp_path / "films.xlsx", {"films": [["id", "genres"], [1, "War"]]})
    with pytest.raises(
        MissingExtra, match=r"reading Excel needs python_calamine; run: pip install 'onesheet-genres\[excel\]'"
    ):
        read_table(path)

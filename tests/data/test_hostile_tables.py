"""Tables that mean harm: formulas, endless lines, deep nesting, wrong encodings, NULs; and no XML at all."""

from __future__ import annotations

import ast
import csv
import io
import json
import random
import tarfile
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onesheet.apps.fetch.film_queries import read_queries
from onesheet.data import Catalogue, Film, Findings, read_catalogue, write_catalogue
from onesheet.data.catalogue_writer import catalogue_csv
from onesheet.data.findings import Finding
from onesheet.data.genre_cells import GenreCells
from onesheet.data.genre_map import read_genre_map
from onesheet.data.poster_folders import Disk
from onesheet.data.readers import imdb, shards
from onesheet.data.tables import MAX_DOCUMENT_BYTES, MAX_LINE_BYTES, read_headings, read_table
from onesheet.errors import CatalogueError, OnesheetError
from onesheet.evaluation.predictions_file import Predictions, read_predictions, write_predictions
from onesheet.evaluation.results import read_evaluation
from onesheet.genres import GenreSet
from onesheet.options import read_config
from onesheet.packed import split
from onesheet.packed.splitting import read_split
from onesheet.packed.store import open_packed
from onesheet.predict.index_files import read_index
from onesheet.reporting.plot_files import _write_csv
from onesheet.spreadsheets import neutral, original
from onesheet.training.run import open_run

SOURCE = Path(__file__).parents[2] / "src"
FORMULAS = ["=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "'=1", "''+1"]


@given(st.text(st.sampled_from("'=+-@\t\ra＝"), max_size=6))
def test_every_cell_can_be_had_back(cell: str) -> None:
    written = neutral(cell)
    assert original(written) == cell
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))


def films(folder: Path) -> Catalogue:
    made = []
    for number, formula in enumerate(FORMULAS * 2):
        poster = folder / f"=poster{number}.png"
        poster.write_bytes(b"x")
        made.append(Film(f"={number}", str(poster), ("+Noir", "Drama"), title=formula, source="@x", group=f"-{number}"))
    return Catalogue(tuple(made), GenreSet(["+Noir", "Drama"]))


def assert_no_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) > 1
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")), cell


def test_a_catalogue_has_no_formula_and_comes_back(tmp_path: Path) -> None:
    catalogue, path = films(tmp_path), tmp_path / "films.csv"
    write_catalogue(catalogue, path)
    with path.open(newline="", encoding="utf-8") as file:
        assert_no_formula(file.read())
    assert_no_formula(catalogue_csv(catalogue).decode())
    again = read_catalogue(path)
    assert [(f.film_id, f.genres, f.poster) for f in again.films] == [
        (f.film_id, f.genres, f.poster) for f in catalogue.films
    ]
    assert [film.title for film in again.films] == [film.title.strip() for film in catalogue.films]


def test_a_split_and_findings_have_none_and_come_back(tmp_path: Path) -> None:
    parts = split(films(tmp_path), seed=0)
    parts.write_csv(tmp_path / "split.csv")
    assert_no_formula((tmp_path / "split.csv").read_bytes().decode())
    assert read_split(parts.catalogue, tmp_path / "split.csv").splits.tolist() == parts.splits.tolist()
    findings = Findings(Finding("exact-duplicate", 1.0, f"={n}", text, text, text) for n, text in enumerate(FORMULAS))
    findings.write_csv(tmp_path / "findings.csv")
    with (tmp_path / "findings.csv").open(newline="", encoding="utf-8") as file:
        assert_no_formula(file.read())
    assert Findings.read_csv(tmp_path / "findings.csv") == findings


def test_answers_and_sheets_have_none_and_come_back(tmp_path: Path) -> None:
    count, genres = len(FORMULAS), GenreSet(["+Noir", "Drama"])
    labels = np.ones((count, 2), bool)
    answers = Predictions(
        film_ids=[f"={n}" for n in range(count)],
        titles=FORMULAS,
        posters=FORMULAS,
        genres=genres,
        labels=labels,
        probabilities=np.full((count, 2), 0.25, np.float32),
        predicted={"balanced": labels},
    )
    write_predictions(tmp_path / "predictions.csv", answers)
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        assert_no_formula(file.read())
    again = read_predictions(tmp_path / "predictions.csv")
    assert list(again.titles) == FORMULAS and list(again.film_ids) == answers.film_ids
    _write_csv(tmp_path / "sheet.csv", ["=genre", "value"], [["@x", -0.5]])
    assert (tmp_path / "sheet.csv").read_text(encoding="utf-8") == "'=genre,value\n'@x,-0.5\n"


def test_one_module_writes_csv() -> None:
    """It makes every cell neutral."""
    for path in set(SOURCE.rglob("*.py")) - {SOURCE / "onesheet" / "spreadsheets.py"}:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)}
        assert not names & {"writer", "DictWriter"}, path


@pytest.mark.parametrize(("name", "head"), [("a.csv", b"poster,genres\n"), ("a.jsonl", b"{}\n"), ("a.json", b'["')])
def test_a_line_of_a_gigabyte_is_refused_within_bounds(name: str, head: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(head)
        file.truncate(1_000_000_000)  # the rest takes no room on the disk
    tracemalloc.start()
    try:
        with pytest.raises(
            CatalogueError, match=r"a line of more than 10,000,000 bytes|one JSON value of more than 100"
        ):
            read_table(path)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()


def test_a_heading_of_a_gigabyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate(1_000_000_000)
    with pytest.raises(CatalogueError, match="a line of more than 10,000,000 bytes; give a table, a line a film"):
        read_headings(path)
    assert MAX_DOCUMENT_BYTES > MAX_LINE_BYTES


def test_long_lines_that_are_short_enough_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"poster,genres\n" + b"a" * 9_000_000 + b",Drama\n" + b"b,Drama\r\n" * 100)
    assert len(read_table(path).rows) == 101


DEEP = "[" * 100_000
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a table": ("films.json", lambda folder: read_table(folder / "films.json")),
    "a genre mapping": ("map.json", lambda folder: read_genre_map(folder / "map.json")),
    "an evaluation": ("evaluation.json", lambda folder: read_evaluation(folder / "evaluation.json")),
    "a run": ("run.json", open_run),
    "a packed store": ("manifest.json", open_packed),
    "a configuration": ("config.toml", lambda folder: read_config(folder / "config.toml", known={})),
}


@pytest.mark.parametrize("name", READERS)
def test_deep_nesting_is_one_error(name: str, tmp_path: Path) -> None:
    file, read = READERS[name]
    (tmp_path / file).write_text(f"a = {DEEP}" if file.endswith("toml") else DEEP, encoding="utf-8")
    with pytest.raises(OnesheetError) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_deep_index_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(DEEP, encoding="utf-8")
    with pytest.raises(ValueError, match="nested too deep"):
        read_index(tmp_path)


def test_one_deep_or_endless_line_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"poster": "a.jpg", "genres": ["Drama"]}\n' + DEEP + "\n", encoding="utf-8")
    assert read_table(path).bad == ["line 2: not a JSON object"]
    for cell in (DEEP, "[" + "1," * 100_000, "['a'" + "+'a'" * 30_000 + "]"):
        found = GenreCells([cell]).read(cell)
        assert isinstance(found, ValueError) and str(found).startswith("no list of genres")


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\0\xd8,\0", b"\xff\xfe\x00", bytes(range(256)) * 4, b"\0" * 999, b'"' * 999]
)
def test_what_is_no_text_is_refused_or_gives_rows(data: bytes, tmp_path: Path) -> None:
    for name in ("a.csv", "a.tsv", "a.json", "a.jsonl"):
        path = tmp_path / name
        path.write_bytes(data)
        try:
            read_catalogue(path)
        except CatalogueError as error:
            assert "\n" not in str(error)


def test_a_member_of_a_tar_is_read_as_far_as_a_poster_may_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_BYTES", 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, length in (("a.jpg", 1000), ("a.txt", 5), ("b.jpg", 5_000_000), ("b.txt", 5)):
            member = tarfile.TarInfo(name)
            member.size = length
            tar.addfile(member, io.BytesIO(b"D" * length))
    source = shards.WEBDATASET.read(tmp_path / "a.tar", Disk(), None)
    assert source.folder
    assert sorted(path.stat().st_size for path in (source.folder / "posters").iterdir()) == [1000, 1001]


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE])
@pytest.mark.parametrize("length", [-1024, -512, 0, 2**44, 2**80])
@pytest.mark.parametrize("name", ["a.jpg", "a"])
def test_a_tar_of_false_headings_is_one_error_or_read(
    kind: bytes, length: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, length
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) * 2000)
    with suppress(CatalogueError):
        shards.WEBDATASET.read(tmp_path / "a.tar", Disk(), None)


def put_bytes(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def test_a_carriage_return_in_the_heading_is_no_traceback(tmp_path: Path) -> None:
    table = read_table(put_bytes(tmp_path, "a.csv", b"po\rster,genres\n1,2\n"))
    assert table.columns == ("po ster", "genres") and table.rows == [["1", "2"]]


@pytest.mark.parametrize(
    "table",
    [
        ("a.jsonl", rb'{"id": "1", "poster": "b.png", "title": "\ud800", "genres": ["Drama", "C\udfff"]}'),
        ("a.json", rb'[{"id": "\ud800", "poster": "b.png", "title": "x", "genres": ["Drama", "C"]}]'),
        ("a.csv", rb"""id,poster,genres
1,b.png,"['Drama', 'C\ud800']"
"""),
        ("a.jsonl", rb"""{"poster": "\ud800.png", "genres": ["Drama", "C"]}
{"poster": "b.png", "genres": ["Drama", "C"]}"""),
    ],
)  # fmt: skip
def test_halves_of_letters_can_be_written_again(table: tuple[str, bytes], tmp_path: Path) -> None:
    put_bytes(tmp_path, "b.png", b"x")
    catalogue = read_catalogue(put_bytes(tmp_path, *table))
    assert len(catalogue) == 1
    write_catalogue(catalogue, tmp_path / "again.csv")


@pytest.mark.parametrize(
    "described",
    [
        *([], {"info": None}, {"info": []}, {"info": {"features": []}}, {"info": {"features": {"genres": []}}}),
        *({"info": {"features": {"genres": {"_type": "ClassLabel", **names}}}} for names in ({}, {"names": None})),
    ],
    ids=str,
)
def test_descriptions_of_columns_that_are_none_are_left_out(
    described: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"image": [b"\x89PNG", b"\x89PNG"], "genres": [["Drama"], ["Comedy"]]})
    path = tmp_path / "set" / "a.parquet"
    path.parent.mkdir()
    parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(described)}), path)
    assert read_catalogue(path).genres.names == ("Comedy", "Drama")


def test_an_endless_line_of_imdbs_table_is_refused(tmp_path: Path) -> None:
    put_bytes(tmp_path, "tt0000001.png", b"x")
    table = put_bytes(tmp_path, "title.basics.tsv", "\t".join(imdb.HEADING).encode() + b"\n")
    with table.open("ab") as file:
        file.truncate(500_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(CatalogueError, match="a line of more than 10,000,000 bytes"):
            read_catalogue(table)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()


LARGE: dict[str, Callable[[Path], object]] = {
    "map.json": read_genre_map,
    "map.toml": read_genre_map,
    "films.txt": lambda path: read_queries([path], tmdb=False),
}


@pytest.mark.parametrize("name", LARGE)
def test_files_larger_than_such_files_are_not_read(name: str, tmp_path: Path) -> None:
    path = put_bytes(tmp_path, name, b"")
    with path.open("wb") as file:
        file.truncate(300_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(CatalogueError, match=r"more than 10+,000,000 bytes"):
            LARGE[name](path)
        assert tracemalloc.get_traced_memory()[1] < MAX_LINE_BYTES
    finally:
        tracemalloc.stop()


def test_a_large_film_of_mm_imdb_is_one_bad_row(tmp_path: Path) -> None:
    put_bytes(tmp_path, "split.json", b"{}")
    for number, film in enumerate((b'{"genres": ["Drama", "Comedy"]}', b"")):
        put_bytes(tmp_path, f"dataset/000000{number + 1}.jpeg", b"x")
        put_bytes(tmp_path, f"dataset/000000{number + 1}.json", film)
    with (tmp_path / "dataset" / "0000002.json").open("wb") as file:
        file.truncate(120_000_000)
    catalogue = read_catalogue(tmp_path)
    assert [film.film_id for film in catalogue.films] == ["tt0000001"]
    bad = [finding.detail for finding in catalogue.findings if finding.flag == "bad-row"]
    assert len(bad) == 1 and bad[0].endswith("0000002.json: no film with genres (ValueError)")


SEEDS = {
    "a.csv": b"id,poster,genres,title\n1,b.png,Drama|Comedy,A (1999)\n2,b.png,\"['Drama', 'War']\",B\n",
    "a.tsv": b"id\tposter\tDrama\tWar\n1\tb.png\t1\t0\n2\tb.png\t0\t1\n",
    "a.jsonl": rb'{"id": 1, "poster": "b.png", "genres": ["Drama", {"name": "War"}], "title": "\ud83c\udfac"}' + b"\n",
    "a.json": b'[{"id": 1.5, "poster": "b.png", "genres": "Drama|War", "year": 1999, "title": null}]',
}
PIECES = [b"\r", b"\n", b"\0", b'"', b"\xff", b"\\ud800", b"[", b"{", b"null", b",", b"\t", b"NaN", b"9" * 400, b"'"]


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_tables_are_read_or_one_error(name: str, tmp_path: Path) -> None:
    put_bytes(tmp_path, "b.png", b"x")
    chance, outcomes = random.Random(name), set()
    for _ in range(300):
        data = bytearray(SEEDS[name])
        for _ in range(chance.choice((1, 1, 2, 5))):
            place = chance.randrange(len(data))
            data[place : place + chance.choice((0, 1, 1, 9))] = chance.choice(PIECES)
        try:
            write_catalogue(read_catalogue(put_bytes(tmp_path, name, bytes(data))), tmp_path / "out" / "a.csv")
            outcomes.add("read")
        except OnesheetError as error:
            assert "\n" not in str(error), data
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_nul_bytes_stay_in_their_cell(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"x")
    path = tmp_path / "a.csv"
    path.write_bytes(b"film_id,poster,genres,title\n1,a\0.png,Drama,x\n2,b.png,Drama|Crime,A\0B\n")
    catalogue = read_catalogue(path)
    assert [film.film_id for film in catalogue.films] == ["2"] and "A" in catalogue.films[0].title
    json.dumps(catalogue.films[0].title)


def test_no_other_module_reads_xml() -> None:
    """`data/film_library/nfo.py` rejects every entity, so there is nothing in which billion laughs could expand."""
    for path in set(SOURCE.rglob("*.py")) - {SOURCE / "onesheet" / "data" / "film_library" / "nfo.py"}:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"xml", "lxml", "defusedxml", "bs4", "pickle"}, path

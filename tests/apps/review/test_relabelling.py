from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from onesheet.apps.review.relabelling import Change, is_one_table, relabelled
from onesheet.data import read_catalogue
from onesheet.data.reading import read_table_rows


def written(folder: Path, table: bytes, name: str = "films.csv", posters: Sequence[str] = ("1", "2", "3")) -> Path:
    (folder / "posters").mkdir(exist_ok=True)
    for number, poster in enumerate(posters):
        Image.new("RGB", (20, 30), (number, 0, 0)).save(folder / "posters" / f"{poster}.png")
    (folder / name).write_bytes(table)
    return folder / name


def changed(path: Path, **changes: tuple[tuple[str, ...], tuple[str, ...]]) -> bytes:
    (found,) = read_table_rows(path)
    assert is_one_table([found])
    return relabelled(found, {film[1:]: Change(*change) for film, change in changes.items()}, {})


HEAD = b"id,title,poster,genres,shelf\n"
DRAMA_TO_HORROR = (("Drama",), ("Horror",))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # other rows, bad ones and blanks among them, and other cells stay as they are
        (
            HEAD + b'1,"a, b",posters/1.png,Drama,=1+1\n\n2,x,posters/2.png,Comedy|Drama,\n7,gone\n3, \'=y ,"",, \n',
            HEAD + b'1,"a, b",posters/1.png,Horror,=1+1\n\n2,x,posters/2.png,Comedy|Drama,\n7,gone\n3, \'=y ,"",, \n',
        ),
        # delimiter, mark, line ends, quotes, no last line end, a line end in a cell
        (
            b'\xef\xbb\xbfid;title;"genres"\r\n1;"two\r\nlines";"Drama"\r\n2;b;"Comedy, Drama"\r\n3;c;Comedy',
            b'\xef\xbb\xbfid;title;"genres"\r\n1;"two\r\nlines";"Horror"\r\n2;b;"Comedy, Drama"\r\n3;c;Comedy',
        ),
        # tabs, bytes that are no UTF-8, a quote inside a cell
        (
            b'id\ttitle\tgenres\r\n1\tAm\xe9lie "x"\tDrama\r\n2\tb\tComedy\r\n',
            b'id\ttitle\tgenres\r\n1\tAm\xe9lie "x"\tHorror\r\n2\tb\tComedy\r\n',
        ),
        # a stray carriage return in a title
        (b"id,title,genres\n1,a\rb,Drama\n2,b,Comedy\n", b"id,title,genres\n1,a\rb,Horror\n2,b,Comedy\n"),
        # one carriage return a line
        (b"id,genres,title\r1,Drama,a\r2,Comedy,b\r", b"id,genres,title\r1,Horror,a\r2,Comedy,b\r"),
        # lists as Python and JSON write them
        (
            b"id,genres\n1,\"['Drama']\"\n2,\"['Comedy', 'Drama']\"\n",
            b"id,genres\n1,\"['Horror']\"\n2,\"['Comedy', 'Drama']\"\n",
        ),
        (b'id,genres\n1,"[""Drama""]"\n2,"[""Comedy""]"\n', b'id,genres\n1,"[""Horror""]"\n2,"[""Comedy""]"\n'),
        ("id\tgenres\n1\tDrama\n2\té\n".encode("utf-16"), "id\tgenres\n1\tHorror\n2\té\n".encode("utf-16")),
    ],
)
def test_only_the_genre_cell_changes(table: bytes, expected: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, table)
    assert changed(path) == table
    assert changed(path, _1=DRAMA_TO_HORROR) == expected


def test_several_genres_as_the_column_writes_them(tmp_path: Path) -> None:
    path = written(tmp_path, b'id,genres\n1,\n2,"Comedy, Drama"\n3,Drama\n')
    new = changed(path, _1=((), ("Comedy", "Horror")), _2=(("Comedy", "Drama"), ("Drama",)))
    assert new == b'id,genres\n1,"Comedy, Horror"\n2,"Drama"\n3,Drama\n'


def test_a_cell_keeps_what_was_not_decided_about(tmp_path: Path) -> None:
    path = written(tmp_path, b"id,genres\n1,Western|drama| Sci-Fi\n2,Drama\n3,N/A\n")
    # Western was too rare for the catalogue; the person took Drama for Horror, and gave the third a genre
    new = changed(
        path, _1=(("Drama", "Sci-Fi"), ("Horror", "Sci-Fi")), _3=((), ("Comedy",)), _2=(("Drama",), ("Drama",))
    )
    assert new == b"id,genres\n1,Western|Sci-Fi|Horror\n2,Drama\n3,Comedy\n"


def test_a_genre_that_holds_the_delimiter_is_read_again(tmp_path: Path) -> None:
    for several in (b"Comedy;Drama", b'"Comedy,Drama"'):
        path = written(tmp_path, b"id,genres\n1,Drama\n2," + several + b"\n")
        path.write_bytes(changed(path, _1=(("Drama",), ("Horror; Mystery",))))
        films = {film.film_id: film.genres for film in read_catalogue(path).films}
        assert films == {"1": ("Horror; Mystery",), "2": ("Comedy", "Drama")}


def test_the_columns_delimiter_stays_though_its_last_cell_changes(tmp_path: Path) -> None:
    path = written(tmp_path, b'id,genres\n1,Drama|Comedy\n2,"Mind, Body"\n3,Drama\n')
    path.write_bytes(changed(path, _1=(("Comedy", "Drama"), ("Drama",))))
    films = {film.film_id: film.genres for film in read_catalogue(path).films}
    assert films == {"1": ("Drama",), "2": ("Mind, Body",), "3": ("Drama",)}


def test_a_film_of_several_rows_changes_in_each(tmp_path: Path) -> None:
    path = written(tmp_path, b"id,genres\n1,Drama\n1,Comedy|Drama\n2,Drama\n")
    new = changed(path, _1=(("Comedy", "Drama"), ("Comedy", "Horror")))
    assert new == b"id,genres\n1,Comedy|Horror\n1,Comedy|Horror\n2,Drama\n"


def test_what_is_no_single_table(tmp_path: Path) -> None:
    one_hot = written(tmp_path, b"id,Drama,Comedy\n1,1,0\n2,0,1\n", "hot.csv")
    assert not is_one_table(read_table_rows(one_hot))
    two = written(tmp_path, b"id,genres\n1,Drama\n", "a.csv"), written(tmp_path, b"id,genres\n2,Drama\n", "b.csv")
    assert not is_one_table(read_table_rows(*two))
    lines = written(tmp_path, b'{"id": "1", "genres": ["Drama"]}\n', "films.jsonl")
    assert not is_one_table(read_table_rows(lines))
    movielens = tmp_path / "ml"
    movielens.mkdir()
    written(movielens, b"movieId,title,genres\n1,a,Drama\n", "movies.csv")
    written(movielens, b"movieId,imdbId,tmdbId\n1,114709,\n", "links.csv")
    assert not is_one_table(read_table_rows(movielens))

from __future__ import annotations

import codecs
import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onesheet.apps.library.nfo_editing import with_genres, with_lock
from onesheet.data.film_library.nfo import MAX_BYTES, parse_nfo, split_genres
from onesheet.errors import LibraryError

KODI = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>\r\n'
    "<!-- written on a Tuesday -->\r\n"
    "<movie>\r\n"
    "    <title>Amélie &amp; Co</title>\r\n"
    "    <premiered>2001-04-25</premiered>\r\n"
    '    <uniqueid type="imdb" default="true">tt0211915</uniqueid>\r\n'
    "    <genre>Comedy / Romance</genre>\r\n"
    "    <actor><name>A</name><genre>no genre of the film</genre><thumb/></actor>\r\n"
    "    <?player keep?><unknown b='2' a=\"1\"><![CDATA[ <genre>neither</genre> ]]></unknown  >\r\n"
    "</movie>\r\n"
    "https://www.themoviedb.org/movie/194\r\n"
)


@pytest.mark.parametrize(
    ("encode", "declared"),
    [
        (lambda text: text.encode(), "UTF-8"),
        (lambda text: codecs.BOM_UTF8 + text.encode(), "UTF-8"),
        (lambda text: text.encode("utf-16"), "UTF-16"),
        (lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "utf-16"),
        (lambda text: text.encode("utf-16-le"), "UTF-16"),
        (lambda text: text.encode("cp1252"), "windows-1252"),
        (lambda text: text.encode("latin-1"), "ISO-8859-1"),
        (lambda text: b"\r\n \t" + text.encode(), "UTF-8"),
    ],
    ids=[
        "utf-8",
        "utf-8 BOM",
        "utf-16 BOM",
        "utf-16 BE BOM",
        "utf-16 without BOM",
        "cp1252",
        "latin-1",
        "blanks first",
    ],
)
def test_a_film_in_every_encoding(encode, declared: str) -> None:
    text = KODI.replace("UTF-8", declared)
    nfo = parse_nfo(encode(text))
    assert (nfo.title, nfo.year, nfo.genres, nfo.root) == ("Amélie & Co", 2001, ("Comedy", "Romance"), "movie")
    line = "    <genre>Comedy / Romance</genre>\r\n"
    new = "    <genre>War &amp; Peace</genre>\r\n"
    assert with_genres(nfo, ["Comedy", "Romance", "War & Peace"]) == encode(text.replace(line, line + new))
    assert with_genres(nfo, ["War & Peace"]) == encode(text.replace(line, new))
    assert with_genres(nfo, ["Romance", "Comedy"]) == encode(text)


def test_letters_that_the_encoding_lacks_become_references() -> None:
    data = b'<?xml version="1.0" encoding="iso-8859-1"?><movie><title>\xe9</title></movie>'
    changed = with_genres(parse_nfo(data), ["Комедия"])
    assert parse_nfo(changed).genres == ("Комедия",) and b"<title>\xe9</title><genre>&#1050;" in changed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<movie/>", "<movie><genre>War</genre></movie>"),
        ("<movie />", "<movie ><genre>War</genre></movie>"),
        ("<movie a='/'></movie >", "<movie a='/'><genre>War</genre></movie >"),
        ("<movie>/></movie>", "<movie>/><genre>War</genre></movie>"),
        ("<movie><genre/></movie>", "<movie><genre/><genre>War</genre></movie>"),
        ("<movie><genre></genre></movie>", "<movie><genre></genre><genre>War</genre></movie>"),
        (
            "<movie>\n\t<a/>\n\t<!-- b -->\n</movie>\n\nnext",
            "<movie>\n\t<a/>\n\t<genre>War</genre>\n\t<!-- b -->\n</movie>\n\nnext",
        ),
        ("<movie>\r  <a><b/></a>\r</movie>", "<movie>\r  <a><b/></a>\r  <genre>War</genre>\r</movie>"),
        ("<movie><a>1</a>\n<b/></movie>", "<movie><a>1</a>\n<b/>\n<genre>War</genre></movie>"),
        ("<movie><genre>N/A</genre></movie>", "<movie><genre>N/A</genre><genre>War</genre></movie>"),
        ("<movie><genre>A</genre></movie>", "<movie><genre>War</genre></movie>"),
        (
            "<movie>\n <genre>A</genre>\n <x/>\n <genre>B</genre>\n</movie>",
            "<movie>\n <genre>War</genre>\n <x/>\n</movie>",
        ),
    ],
)
def test_where_a_genre_is_put(before: str, after: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        assert with_genres(parse_nfo(before.encode(encoding)), ["War"]) == after.encode(encoding)


def test_locks() -> None:
    for inside, lock in (
        ("<lockdata>true</lockdata>", "<lockdata>"),
        ("<lockdata>True</lockdata>", "<lockdata>"),
        ("<lockdata>false</lockdata><lockedfields>Name|Genres</lockedfields>", "<lockedfields>"),
        ("<lockedfields>Name</lockedfields><lockedfields>genres</lockedfields>", "<lockedfields>"),
        ("<lockdata>false</lockdata><lockedfields>Name|Overview</lockedfields>", ""),
        ("", ""),
    ):
        assert parse_nfo(f"<movie>{inside}</movie>".encode()).lock == lock


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<movie/>", "<movie><lockedfields>Genres</lockedfields></movie>"),
        ("<movie>\n <a/>\n</movie>x", "<movie>\n <a/>\n <lockedfields>Genres</lockedfields>\n</movie>x"),
        ("<movie><lockedfields/><a/></movie>", "<movie><lockedfields>Genres</lockedfields><a/></movie>"),
        ("<movie><lockedfields> </lockedfields></movie>", "<movie><lockedfields>Genres</lockedfields></movie>"),
        (
            "<movie><lockedfields>Name</lockedfields ></movie>",
            "<movie><lockedfields>Name|Genres</lockedfields ></movie>",
        ),
        (
            "<movie><lockedfields>genres|Name</lockedfields></movie>",
            "<movie><lockedfields>genres|Name</lockedfields></movie>",
        ),
        ("<movie><lockdata>true</lockdata></movie>", "<movie><lockdata>true</lockdata></movie>"),
    ],
)
def test_where_a_lock_is_put(before: str, after: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        locked = with_lock(parse_nfo(before.encode(encoding)))
        assert locked == after.encode(encoding) and parse_nfo(locked).lock


@pytest.mark.parametrize(
    "data",
    [
        b"https://www.imdb.com/title/tt0083658/\r\n",
        "\ufeffhttp://a.b".encode("utf-16-le"),
        b"<< art >> HTTPS://imdb.com",
    ],
)
def test_an_address_alone_is_no_fault(data: bytes) -> None:
    nfo = parse_nfo(data)
    assert nfo.root == "" and nfo.genres == ()


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (b"<movie><title>Angels & Dust</title></movie>", "Angels & Dust"),
        (b"<movie><title>R&B; &foo; &amp;c &#233;</title></movie>", "R&B; &foo; &c \xe9"),
        (b"<movie><title>Am&eacute;lie &nbsp;&lt;3&copy;</title></movie>", "Am\xe9lie \xa0<3\xa9"),
        (b"<movie><title>Am\xe9lie</title></movie>", "Am\xe9lie"),
        (b'<?xml version="1.0" encoding="utf-8"?>\n<movie><title>\x93A\x94</title></movie>', "\u201cA\u201d"),
        (b'<?xml version="1.0" encoding="utf-16"?>\n<movie><title>U</title></movie>', "U"),
        (b'<?xml version="1.0" encoding="klingon"?><movie><title>K</title></movie>', "K"),
        ('<?xml version="1.0" encoding="gb2312"?><movie><title>花\u9555</title></movie>'.encode("gb18030"), "花\u9555"),
        (
            '<?xml version="1.0" encoding="Shift_JIS"?><movie><title>七人の侍ソ</title></movie>'.encode("cp932"),
            "七人の侍ソ",
        ),
        ('<?xml version="1.0" encoding="big5"?><movie><title>功夫</title></movie>'.encode("big5"), "功夫"),
        ('<?xml version="1.0" encoding="euc-kr"?><movie><title>기생충</title></movie>'.encode("cp949"), "기생충"),
        ('<?xml version="1.0" encoding="koi8-r"?><movie><title>Сталкер</title></movie>'.encode("koi8-r"), "Сталкер"),
        (b"<movie><title><![CDATA[R & B &amp; &eacute;]]></title></movie>", "R & B &amp; \xe9"),
    ],
)
def test_what_players_forgive_is_read_and_only_the_genre_is_added(data: bytes, title: str) -> None:
    nfo = parse_nfo(data)
    assert nfo.title == title
    changed = with_genres(nfo, ["Komödie"])
    assert parse_nfo(changed).genres == ("Komödie",)
    added = b"<genre>Kom&#246;die</genre>" if nfo.writing == "ascii" else "<genre>Komödie</genre>".encode()
    assert changed == data.replace(b"</title></movie>", b"</title>" + added + b"</movie>")


@pytest.mark.parametrize(
    ("inside", "names"),
    [
        ("<genre>Kinder-/Familienfilm / Animation</genre>", ("Kinder-/Familienfilm", "Animation")),
        ("<genre>Action,Films, Thriller</genre>", ("Action", "Films", "Thriller")),
        ("<genre>A|B; C</genre>", ("A", "B", "C")),
        ("<genre><name>Action</name></genre>", ("Action",)),
        ("<genre>\n<name>Action</name>\n<name>War</name></genre>", ("Action", "War")),
        ("<genre><id>3</id><name>War</name></genre>", ("War",)),
        ("<genre>N/A</genre><genre>War / none</genre>", ("War",)),
        ("<genre>A &amp; B</genre>", ("A & B",)),
    ],
)
def test_how_genres_are_written(inside: str, names: tuple[str, ...]) -> None:
    assert parse_nfo(f"<movie>{inside}</movie>".encode()).genres == names


@pytest.mark.parametrize(
    ("before", "genres", "after"),
    [
        ('<genre clear="true">A</genre>', ["War"], '<genre clear="true">War</genre>'),
        (
            "<genre clear='true'>A</genre><genre>B</genre>",
            ["War", "B"],
            '<genre clear="true">War</genre><genre>B</genre>',
        ),
        ("<genre clear='true'>A</genre><genre>B</genre>", ["B"], '<genre clear="true">B</genre>'),
        ('<genre clear="true">A</genre>', ["A", "War"], '<genre clear="true">A</genre><genre>War</genre>'),
        ('<genre clear="false">A</genre>', ["War"], "<genre>War</genre>"),
        (
            "<genre>Kinder-/Familienfilm</genre>",
            ["Kinder-/Familienfilm", "War"],
            "<genre>Kinder-/Familienfilm</genre><genre>War</genre>",
        ),
        ("<genre>A,B</genre>", ["A", "B"], "<genre>A,B</genre>"),
        ("<genre>A</genre><genre>B</genre>", ["C", "B"], "<genre>C</genre><genre>B</genre>"),
        ("<genre>A</genre><genre>B</genre><genre>C</genre>", ["D"], "<genre>D</genre>"),
        (
            "\n <genre>A / B</genre>\n <genre>C</genre>",
            ["D", "B", "C"],
            "\n <genre>D</genre>\n <genre>B</genre>\n <genre>C</genre>",
        ),
    ],
)
def test_clear_is_carried_over_and_names_stay_whole(before: str, genres: list[str], after: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        nfo = parse_nfo(f"<movie>{before}</movie>".encode(encoding))
        assert with_genres(nfo, genres) == f"<movie>{after}</movie>".encode(encoding)


def test_ids_and_an_address_behind() -> None:
    nfo = parse_nfo(
        b'<movie><uniqueid type="IMDB" default="true">tt0211915</uniqueid><uniqueid type="tmdb">194</uniqueid>'
        b"<uniqueid>7</uniqueid></movie>\nhttps://www.themoviedb.org/movie/194"
    )
    assert nfo.ids == {"imdb": "tt0211915", "tmdb": "194"} and nfo.address
    assert not parse_nfo(b"<movie><plot>https://a.b</plot></movie>").address


BOMB = b'<!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><movie><title>&b;</title></movie>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "neither XML nor"),
        (b" \r\n\x00", "empty"),
        (b"just a note", "neither XML nor a web address"),
        (b"<movie><title>Up</movie>", "broken XML: mismatched tag"),
        (b"<movie><title>Up</title>", "broken XML: no element found"),
        (BOMB, "declares the entity 'a', which could expand without limit; remove the declaration"),
        (b'<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><movie>&x;</movie>', "declares the entity 'x'"),
        (b"<movie/>" + b" " * MAX_BYTES, "larger than 5,000,000 bytes"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, why: str) -> None:
    with pytest.raises(LibraryError, match=re.escape(why)):
        parse_nfo(data)


NAMES = (
    st.text(st.characters(categories=("L", "N"), include_characters="&<>'\"-/ "), min_size=1)
    .map(lambda name: " ".join(name.split()))
    .filter(lambda name: split_genres(name) == (name,))
)
SPACE = st.text(" \t", max_size=4)
BREAK = st.sampled_from(["\n", "\r\n", "\r", ""])
TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFFFD, exclude_categories=("Cs",)), max_size=12)
PIECES = st.one_of(
    TEXT.map(lambda text: f"<!--{text.replace('-', '')}-->"),
    TEXT.map(lambda text: f"<?pi {text.replace('?', '')}?>"),
    TEXT.map(lambda text: f"<plot z='1' a=\"/>\">{html.escape(text)}</plot\t>"),
    TEXT.map(lambda text: f"<plot><![CDATA[{text.replace(']', '')}]]></plot>"),
    TEXT.map(lambda text: f"<set><genre>{html.escape(text)}</genre><name/></set>"),
    st.sampled_from(["<genre/>", "<thumb a='b' />", "<empty></empty>", "loose text />", "<é>é</é>"]),
    st.lists(NAMES, min_size=1, max_size=3).map(lambda names: f"<genre>{html.escape(' / '.join(names))}</genre>"),
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])


@given(
    pieces=st.lists(st.tuples(BREAK, SPACE, PIECES), max_size=8),
    trailing=st.sampled_from(["", "\n", "\r\nhttps://www.imdb.com/title/tt1/", "<movie>a second</movie>", "\x00&<"]),
    new=st.lists(NAMES, max_size=3, unique=True),
    encoding=ENCODINGS,
)
def test_everything_but_the_genres_survives(
    pieces: list[tuple[str, str, str]], trailing: str, new: list[str], encoding: str
) -> None:
    """Taking the added elements out again leaves the very bytes; so does adding nothing."""
    body = "".join("".join(piece) for piece in pieces)
    data = f"<movie>{body}</movie>{trailing}".encode(encoding)
    nfo = parse_nfo(data)
    added = [name for name in new if name not in nfo.genres]
    changed = with_genres(nfo, [*nfo.genres, *added])
    after = parse_nfo(changed)
    assert after.genres == (*nfo.genres, *added)
    begin = next(at for at in range(len(data) + 1) if data[: at + 1] != changed[: at + 1] or at == len(data))
    length = len(changed) - len(data)
    assert data[:begin] == changed[:begin] and data[begin:] == changed[begin + length :]
    replaced = parse_nfo(with_genres(nfo, [*added, "Only"]))
    assert set(replaced.genres) == {*added, "Only"}
    others = [(one.name, one.text) for one in nfo.children if one.name != "genre"]
    assert [(one.name, one.text) for one in replaced.children if one.name != "genre"] == others


@given(data=st.binary(max_size=300) | st.binary(max_size=60).map(lambda noise: b"<movie><genre>" + noise + b"</movie>"))
def test_noise_is_read_or_refused(data: bytes) -> None:
    try:
        nfo = parse_nfo(data)
    except LibraryError:
        return
    assert nfo.data == data

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from onesheet.data.film_library.films import LibraryFilm, ids_in, title_and_year
from onesheet.data.film_library.scanning import scan_library, unreadable_posters
from onesheet.errors import LibraryError

MOVIE = "<movie><title>{}</title><year>1999</year><genre>{}</genre></movie>"


def lay(root: Path, *names: str) -> None:
    """Files: an NFO's film is called after the file, a poster is a picture, anything else is empty."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".nfo":
            path.write_text(MOVIE.format(path.stem, "Drama"), encoding="utf-8")
        elif path.suffix in (".jpg", ".png", ".tbn", ".webp"):
            Image.new("RGB", (40, 60)).save(path, "JPEG" if path.suffix == ".tbn" else None)
        else:
            path.touch()


def films(root: Path) -> dict[str, LibraryFilm]:
    return {film.name: film for film in scan_library(root).films}


def beside(film: LibraryFilm, root: Path) -> tuple[str | None, str | None]:
    """Its poster's and NFO's names below the root."""
    poster, nfo = (path and str(path.relative_to(root)) for path in (film.poster, film.nfo))
    return poster or None, nfo or None


@pytest.mark.parametrize(
    ("files", "poster", "nfo"),
    [
        (["A.mkv", "A.nfo", "A-poster.jpg"], "A-poster.jpg", "A.nfo"),
        (["A.mkv", "movie.nfo", "poster.png"], "poster.png", "movie.nfo"),
        (["A.mkv", "A.nfo", "movie.nfo", "folder.jpg"], "folder.jpg", "movie.nfo"),
        (["A.mkv", "a.NFO", "A.tbn"], "A.tbn", "a.NFO"),
        (["A.mkv", "movie.tbn"], "movie.tbn", None),
        (["A.mkv", "POSTER.jpg", "fanart.jpg"], "POSTER.jpg", None),
        (["A.mkv", "fanart.jpg", "A-thumb.jpg", "banner.png", "notes.txt"], None, None),
        (["A.mkv", "cover.webp", "default.png"], "cover.webp", None),
        (["A.mkv", "poster.jpg", "A-poster.png", "A.jpg"], "A.jpg", None),
        (["A.mkv", "poster.webp", "poster.jpg", "poster.tbn"], "poster.jpg", None),
        (["A-cd1.avi", "A-cd2.avi", "A.nfo", "A-poster.jpg"], "A-poster.jpg", "A.nfo"),
        (["A-cd1.avi", "A-cd2.avi", "A-cd1.nfo", "poster.jpg"], "poster.jpg", "A-cd1.nfo"),
        (["X (1999)-cd1.avi", "X (1999)-cd2.avi", "X (1999).nfo", "X (1999).jpg"], "X (1999).jpg", "X (1999).nfo"),
        (["X (1999) - 4K.mkv", "X (1999) - 1080p.mkv", "movie.nfo", "poster.jpg"], "poster.jpg", "movie.nfo"),
        (["VIDEO_TS/VIDEO_TS.IFO", "VIDEO_TS/VTS_01_1.VOB", "movie.nfo", "poster.jpg"], "poster.jpg", "movie.nfo"),
        (["BDMV/STREAM/1.m2ts", "X (1999).nfo"], None, "X (1999).nfo"),
        (["VIDEO_TS/VIDEO_TS.IFO", "VIDEO_TS/VIDEO_TS.nfo", "poster.jpg"], "poster.jpg", "VIDEO_TS/VIDEO_TS.nfo"),
        (["bdmv/index.bdmv", "bdmv/Index.NFO", "folder.jpg"], "folder.jpg", "bdmv/Index.NFO"),
        (["A.mkv", "A-trailer.mp4", "sample.mkv", "poster.jpg", "Extras/B.mkv"], "poster.jpg", None),
        (["movie.nfo", "poster.jpg"], "poster.jpg", "movie.nfo"),
        (["A.nfo", "folder.jpg"], "folder.jpg", "A.nfo"),
        (["poster.jpg"], "poster.jpg", None),
        (["A-poster.jpg"], "A-poster.jpg", None),
        (["A.strm"], None, None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_film_with_a_folder_of_its_own(files: list[str], poster: str | None, nfo: str | None, tmp_path: Path) -> None:
    lay(tmp_path / "X (1999)", *files)
    (film,) = scan_library(tmp_path).films
    assert film.name == "X (1999)" and film.year == 1999
    assert beside(film, tmp_path / "X (1999)") == (poster, nfo)
    assert film.genres == (("Drama",) if nfo else ())
    absent = [name for name, there in (("poster", poster), ("nfo", nfo), ("genres", nfo)) if not there]
    assert film.missing == tuple(absent)


def test_films_that_share_a_folder(tmp_path: Path) -> None:
    """Bare names are the folder's there, not a film's."""
    lay(tmp_path, "in/A (1999).mkv", "in/A (1999).nfo", "in/A (1999)-poster.jpg", "in/B [tmdbid-7].mp4", "in/B.jpg")
    lay(tmp_path, "in/poster.jpg", "in/movie.nfo", "in/other.nfo", "in/Shorts/C/C.mkv")
    found = films(tmp_path)
    assert list(found) == ["in/A (1999)", "in/B [tmdbid-7]", "in/Shorts/C"]
    assert beside(found["in/A (1999)"], tmp_path / "in") == ("A (1999)-poster.jpg", "A (1999).nfo")
    film = found["in/B [tmdbid-7]"]
    assert (film.title, film.year, film.poster, film.nfo) == ("B", None, None, None)
    assert film.new_nfo == tmp_path / "in" / "B [tmdbid-7].nfo"
    left = {remark.path.name: remark.why for remark in scan_library(tmp_path).left_out}
    assert left == dict.fromkeys(["movie.nfo", "other.nfo"], "several videos are here, and it is unclear whose it is")


def test_parts_and_versions_with_nfos_of_their_own_are_films_of_their_own(tmp_path: Path) -> None:
    lay(tmp_path, "Saga/Saga - One.mkv", "Saga/Saga - One.nfo", "Saga/Saga - Two.mkv", "Saga/Saga - Two.nfo")
    lay(tmp_path, "in/War Part 1.mkv", "in/War Part 1.nfo", "in/War Part 2.mkv", "in/War Part 2.nfo")
    lay(tmp_path, "in/Peace Part 1.mkv", "in/Peace Part 2.mkv", "in/Peace.nfo")
    names = ["Saga/Saga - One", "Saga/Saga - Two", "in/Peace", "in/War Part 1", "in/War Part 2"]
    assert {name: film.nfo and film.nfo.stem for name, film in films(tmp_path).items()} == {
        name: name.split("/")[1] for name in names
    }


def test_one_loose_film_at_the_root_and_accents_spelt_two_ways(tmp_path: Path) -> None:
    lay(tmp_path, "Ame\u0301lie (2001).mkv", "Amélie (2001)-poster.jpg", "B/C (2002).mkv")
    found = films(tmp_path)
    assert [(film.title, film.year) for film in found.values()] == [("Ame\u0301lie", 2001), ("C", 2002)]
    assert found["Ame\u0301lie (2001)"].poster == tmp_path / "Amélie (2001)-poster.jpg"


def test_one_loose_film_at_the_root_hides_nothing_below_it(tmp_path: Path) -> None:
    """Extras are a film's only where it has a folder of its own."""
    lay(tmp_path, "A.mkv", "poster.jpg", "movie.nfo", "Shorts/B.mkv", "Other/C/C.mkv", "Other/C/Extras/D.mkv")
    library = scan_library(tmp_path)
    assert [film.name for film in library.films] == ["A", "Other/C", "Shorts"]
    assert beside(library.films[0], tmp_path) == (None, None)
    assert {str(remark.path.relative_to(tmp_path)): remark.why for remark in library.left_out} == {
        "movie.nfo": "belongs to no film here; if this is one film's folder, pass the one above",
        "Other/C/Extras": "extras of a film",
    }


def test_a_film_with_two_nfos(tmp_path: Path) -> None:
    """Kodi reads one or the other by a setting; so both count, and where they differ nobody knows the genres."""
    lay(tmp_path, "A/A.mkv", "A/A.nfo", "A/movie.nfo", "B/B.mkv", "B/B.nfo", "B/movie.nfo", "C/C.mkv", "C/movie.nfo")
    (tmp_path / "B" / "B.nfo").write_text("<movie><genre>War</genre></movie>")
    (tmp_path / "C" / "C.nfo").write_text("<movie>")
    library = scan_library(tmp_path)
    same, differ, broken = library.films
    assert (same.nfo, same.twins, same.fault) == (tmp_path / "A" / "movie.nfo", (tmp_path / "A" / "A.nfo",), "")
    assert differ.twins == () and differ.fault.startswith("has other genres than 'movie.nfo'")
    assert (broken.genres, broken.twins, broken.fault) == (("Drama",), (), "")
    assert {remark.path.name: remark.why for remark in library.unread} == {
        "B.nfo": f"{differ.fault}; make them the same or delete one",
        "C.nfo": "broken XML: no element found: line 1, column 7",
    }


def test_a_disc_that_cannot_be_listed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, "A/BDMV/index.nfo")
    listed = Path.iterdir

    def refuse(self: Path) -> object:
        if self.name == "BDMV":
            raise PermissionError(13, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    library = scan_library(tmp_path)
    assert [(remark.path.name, remark.why) for remark in library.unread] == [
        ("BDMV", "cannot be listed: Permission denied")
    ]
    assert [film.name for film in library.films] == ["A"]


def test_what_is_no_film_or_cannot_be_read_is_said(tmp_path: Path) -> None:
    lay(tmp_path, "A/A.mkv", "Series/tvshow.nfo", "Series/S1/E1.mkv", "E/E.mkv", "Bad/Bad.mkv", "Url/U.mkv", ".x/X.mkv")
    lay(tmp_path, "Two/T.mkv", "Two/T.nfo", "Two/movie.nfo", "A/poster.png")
    (tmp_path / "A" / "poster.png").write_text("no picture")
    (tmp_path / "E" / "E.nfo").write_text("<episodedetails/>")
    (tmp_path / "Bad" / "Bad.nfo").write_text("<movie><title>")
    (tmp_path / "Url" / "U.nfo").write_text("https://www.themoviedb.org/movie/78")
    (tmp_path / "link").symlink_to(tmp_path / "A")
    os.mkfifo(tmp_path / "A" / "A.nfo")
    library = scan_library(tmp_path)
    found = {film.name: film for film in library.films}
    assert list(found) == ["A", "Bad", "Two", "Url"]
    assert {remark.path.name: remark.why for remark in library.unread} == {
        "A.nfo": "not an ordinary file",
        "Bad.nfo": "broken XML: no element found: line 1, column 14",
    }
    assert {remark.path.name: remark.why for remark in library.left_out} == {
        "Series": "TV show; --kind shows reads its tvshow.nfo",
        "E.nfo": "describes a <episodedetails>, not a <movie>",
        "link": "link to a folder that is read in its own place",
    }
    assert found["Url"].web_address and found["Url"].missing == ("poster", "genres")
    assert found["Bad"].missing == ("poster",) and found["Two"].title == "movie"
    (unread,) = unreadable_posters(library.films)
    assert unread.path.name == "poster.png" and "not a picture of a known format" in unread.why


@pytest.mark.parametrize(
    ("files", "poster", "nfo"),
    [
        (["X-trailer1.mp4", "X-trailer2.mp4", "X.mkv", "movie.nfo", "poster.jpg"], "poster.jpg", "movie.nfo"),
        (["X.mkv", "X trailer.mp4", "X - Trailer 2.mp4", "poster.jpg"], "poster.jpg", None),
        (["X.mkv", "sample-x.mkv", "X.sample.mkv", "X-featurette3.mkv", "poster.jpg"], "poster.jpg", None),
        (
            ["VIDEO_TS.IFO", "VIDEO_TS.VOB", "VTS_01_0.VOB", "VTS_01_1.VOB", "movie.nfo", "poster.jpg"],
            "poster.jpg",
            "movie.nfo",
        ),
        (["X (1999) {edition-Final Cut}.mkv", "X (1999).mkv", "movie.nfo", "poster.jpg"], "poster.jpg", "movie.nfo"),
        (["X.1999.1080p.BluRay-GRP.mkv", "X.1999.2160p.UHD.mkv", "movie.nfo", "poster.jpg"], "poster.jpg", "movie.nfo"),
        (["CD1/X.avi", "CD2/X.avi", "movie.nfo", "poster.jpg"], "poster.jpg", "movie.nfo"),
        (["Disc 1/VIDEO_TS/VTS.VOB", "Disc 2/VIDEO_TS/VTS.VOB", "poster.jpg"], "poster.jpg", None),
        (["X.mkv", "Plex Versions/Optimized for TV/X.mp4", "poster.jpg"], "poster.jpg", None),
        (["X.mkv", "Extras/Y.mkv", "@eaDir/X.mkv/SYNO.jpg", "Trailers/T.mkv", "poster.jpg"], "poster.jpg", None),
        (["X.wtv", "X-poster.jpg"], "X-poster.jpg", None),
        (["X.mk3d", "poster.jpg"], "poster.jpg", None),
        (["X.mkv", "X.nfo", "movie.nfo", "poster.jpg"], "poster.jpg", "movie.nfo"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_belongs_to_one_film(files: list[str], poster: str | None, nfo: str | None, tmp_path: Path) -> None:
    lay(tmp_path / "X (1999)", *files)
    lay(
        tmp_path,
        "#recycle/Z.mkv",
        "$RECYCLE.BIN/Z.mkv",
        "lost+found/Z.mkv",
        "@eaDir/Z.mkv",
        "Old/Z.mkv",
        "Old/.nomedia",
    )
    lay(tmp_path, "Older/Z.mkv", "Older/.ignore")
    (film,) = scan_library(tmp_path).films
    assert film.name == "X (1999)" and beside(film, tmp_path / "X (1999)") == (poster, nfo)


@pytest.mark.parametrize(
    ("files", "new"),
    [
        (["X (1999)/X (1999).mkv"], "X (1999)/X (1999).nfo"),
        (["X (1999)/X (1999)-cd1.avi", "X (1999)/X (1999)-cd2.avi"], "X (1999)/movie.nfo"),
        (["X (1999)/X (1999) - 1080p.mkv", "X (1999)/X (1999) - 2160p.mkv"], "X (1999)/movie.nfo"),
        (["X (1999)/VIDEO_TS/VTS_01_1.VOB"], "X (1999)/movie.nfo"),
        (["X (1999)-cd1.avi", "X (1999)-cd2.avi"], "X (1999).nfo"),
    ],
)
def test_where_an_nfo_is_made(files: list[str], new: str, tmp_path: Path) -> None:
    lay(tmp_path, *files)
    (film,) = scan_library(tmp_path).films
    assert film.new_nfo == tmp_path / new


def test_editions_in_a_shared_folder_are_one_film(tmp_path: Path) -> None:
    lay(tmp_path, "A (1999) {edition-Final Cut}.mkv", "A (1999).mkv", "A (1999).nfo", "B (2001).mkv")
    found = films(tmp_path)
    assert list(found) == ["A (1999)", "B (2001)"]
    assert found["A (1999)"].nfo == tmp_path / "A (1999).nfo"


def test_links_are_followed_once_and_marked(tmp_path: Path) -> None:
    lay(tmp_path, "real/S (2001)/S.mkv", "real/S (2001)/movie.nfo", "real/S (2001)/poster.jpg", "lib/A (1999)/A.mkv")
    for name in ("S (2001)", "again"):
        (tmp_path / "lib" / name).symlink_to(tmp_path / "real" / "S (2001)")
    (tmp_path / "lib" / "A (1999)" / "loop").symlink_to(tmp_path / "lib")
    library = scan_library(tmp_path / "lib")
    assert {film.name: film.outside for film in library.films} == {"A (1999)": False, "S (2001)": True}
    assert {remark.path.name for remark in library.left_out} == {"again", "loop"}


def test_a_lone_poster_among_several_videos_is_unclear(tmp_path: Path) -> None:
    lay(tmp_path, "in/A (1999).mkv", "in/B (2000).mkv", "in/movie.nfo", "in/poster.jpg")
    for film in scan_library(tmp_path).films:
        assert (film.poster, film.nfo, film.unclear) == (None, None, ("movie.nfo", "poster.jpg"))


def test_the_first_poster_that_is_one_is_taken(tmp_path: Path) -> None:
    lay(tmp_path, "Fan/Fan.mkv", "Fan/poster.jpg", "Brk/Brk.mkv", "Brk/folder.jpg", "Thm/T.mkv", "Thm/poster.jpg")
    Image.new("RGB", (160, 90)).save(tmp_path / "Fan" / "Fan.jpg")
    (tmp_path / "Brk" / "poster.jpg").touch()
    for name in ("Fan/poster.jpg", "Brk/folder.jpg", "Thm/poster.jpg"):
        Image.new("RGB", (100, 150)).save(tmp_path / name)
    Image.new("RGB", (40, 60)).save(tmp_path / "Thm" / "T.jpg")
    found = {name: film.poster and film.poster.name for name, film in films(tmp_path).items()}
    assert found == {"Fan": "poster.jpg", "Brk": "folder.jpg", "Thm": "poster.jpg"}
    assert [path.name for path in films(tmp_path)["Fan"].more_posters] == ["Fan.jpg"]


def test_a_releases_text_is_no_nfo(tmp_path: Path) -> None:
    lay(tmp_path, "A/a.mkv", "A/movie.nfo", "B/b.mkv", "C/c.mkv", "C/movie.nfo")
    art = "\r\n █▓▒ GRP PRESENTS ▒▓█\r\n".encode()
    (tmp_path / "A" / "a.nfo").write_bytes(art + b"IMDB: https://www.imdb.com/title/tt1234567/\r\n")
    (tmp_path / "B" / "b.nfo").write_bytes(art)
    (tmp_path / "C" / "c.nfo").write_text("<html></html>")
    library = scan_library(tmp_path)
    first, second, third = library.films
    assert (first.genres, first.fault, first.twins, first.web_address) == (("Drama",), "", (), False)
    assert (second.nfo, second.fault) == (None, "") and second.new_nfo.name == "movie.nfo"
    assert third.genres == ("Drama",) and library.unread == ()


def test_shows(tmp_path: Path) -> None:
    lay(tmp_path, "Y/Season 01/Y S01E01.mkv", "Y/Season 01/Y S01E01.nfo", "Y/poster.jpg", "Z/1x02.mkv", "Z/poster.jpg")
    (tmp_path / "Y" / "tvshow.nfo").write_text("<tvshow><title>Y</title><genre>War</genre></tvshow>")
    lay(tmp_path, "Film (1999)/Film.mkv")
    (show,) = scan_library(tmp_path, kind="shows").films
    assert (show.name, show.genres, show.nfo, show.is_show) == ("Y", ("War",), tmp_path / "Y" / "tvshow.nfo", True)
    assert show.poster == tmp_path / "Y" / "poster.jpg"
    library = scan_library(tmp_path)
    assert [film.name for film in library.films] == ["Film (1999)"]
    assert {remark.path.name for remark in library.left_out} == {"Y", "1x02"}


def test_excluded_by_patterns(tmp_path: Path) -> None:
    lay(tmp_path, "Kids/A/A.mkv", "B/B.mkv", "Old/C/C.mkv", "D/.ignore", "D/D.mkv", "D/keep (1999).mkv")
    (tmp_path / "D" / ".ignore").write_text("# comment\nD.*\n")
    library = scan_library(tmp_path, exclude=["kids", "Old/*"])
    assert [film.name for film in library.films] == ["B", "D"]
    assert {remark.path.name for remark in library.left_out} == {"Kids", "Old", "D.mkv"}


def test_names_of_releases_and_ids() -> None:
    assert title_and_year("The.Quiet.Quay.2019.1080p.BluRay.x264-GRP") == ("The Quiet Quay", 2019)
    assert title_and_year("2001.A.Space.Odyssey.1968.2160p") == ("2001 A Space Odyssey", 1968)
    assert title_and_year("Season 01") is None and title_and_year("1917.mkv") is None
    assert ids_in("A (2001) [imdbid-tt0000001]", "A {tmdb-7}") == {"imdb": "tt0000001", "tmdb": "7"}


def test_nothing_to_scan(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    for folder, why in ((tmp_path, "no film in"), (tmp_path / "none", "no such folder")):
        with pytest.raises(LibraryError, match=why):
            scan_library(folder)

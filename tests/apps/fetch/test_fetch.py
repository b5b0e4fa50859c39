"""Fetching from a local server that speaks as the services do: what they have, what goes wrong, stops and keys."""

from __future__ import annotations

import csv
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from film_services import drawn_poster, film_services

from onesheet.__main__ import build_parser, main
from onesheet.apps.fetch import fetch
from onesheet.apps.fetch.rate_limits import RateLimit, RetryPolicy, Stopped
from onesheet.apps.fetch.services import SERVICES
from onesheet.data import read_catalogue
from onesheet.errors import CatalogueError, ConfigError, FetchError, MissingExtra, OnesheetError
from onesheet.files import sole_use

V3, TOKEN = "0123456789abcdef0123456789abcdef", "eyJhbGciOi.J9eyJhdWQi.secretpart"
QUICK = RetryPolicy(tries=4, first_seconds=0.01, longest_seconds=5, timeout_seconds=30)


@pytest.fixture
def services():
    with film_services() as found:
        yield found


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("TMDB_API_KEY", TOKEN)
    monkeypatch.setenv("OMDB_API_KEY", V3)


def ask(services, service, films, out, **options):
    url = services.url + ("/3" if service == "tmdb" else "")
    quick = {"url": url, "posters_url": f"{services.url}/t/p", "per_second": 500, "retry_policy": QUICK}
    return fetch(service, films, out, **(quick | options))


def films(fetched) -> dict[str, tuple[str, ...]]:
    return {film.film_id: film.genres for film in fetched.catalogue.films}


def detail(fetched) -> str:
    (finding,) = fetched.catalogue.findings
    return finding.detail


def test_tmdb_by_number_id_and_title_gives_a_catalogue_that_is_read(services, tmp_path):
    fetched = ask(services, "tmdb", ["1", "tt0000002", "heat (1996)"], tmp_path / "out")
    assert films(fetched) == {
        "tt0000001": ("Action", "Drama"),
        "tt0000002": ("Comedy",),
        "tt0000059": ("Action", "Drama"),
    }
    assert fetched.unanswered == 0 and not fetched.catalogue.findings
    again = read_catalogue(tmp_path / "out")
    assert [(film.film_id, film.title, film.year) for film in again.films] == [
        ("tt0000001", "Film 1", 1901),
        ("tt0000002", "Film 2", 1902),
        ("tt0000059", "Heat", 1995),
    ]
    assert not again.findings
    assert Path(again.films[0].poster).read_bytes() == drawn_poster(1)
    assert services.count("/t/p/") == {f"/t/p/w342/{number}.jpg": 1 for number in (1, 2, 59)}
    assert "not endorsed or certified by TMDB" in (tmp_path / "out" / "LICENCES.md").read_text()


def test_the_year_finds_the_film_among_those_of_its_title_and_may_be_one_off(services, tmp_path):
    fetched = ask(services, "tmdb", ["Heat (1986)", "Heat (1996)"], tmp_path)
    assert sorted(films(fetched)) == ["tmdb-60", "tt0000059"]
    searches = [query.get("year") for path, query, _ in services.asked if path == "/3/search/movie"]
    assert sorted(searches, key=str) == ["1986", "1996", None]  # without the year only what it did not find


def test_what_tmdb_does_not_have_is_found_out_and_said(services, tmp_path):
    wanted = ["1", "999", "tt9999999", "Heat (2001)", "57", "58", "60"]
    fetched = ask(services, "tmdb", wanted, tmp_path)
    assert films(fetched) == {"tt0000001": ("Action", "Drama"), "tmdb-60": ("Comedy",)}
    assert fetched.catalogue.findings.counts == {"no-poster": 1, "no-genre": 1, "not-fetched": 3}
    assert fetched.unanswered == 0
    rows = list(csv.DictReader((tmp_path / "findings.csv").open(encoding="utf-8")))
    assert {row["detail"].split(":")[0] for row in rows} == {"999", "tt9999999", "Heat (2001)", "57", "58"}
    before = len(services.asked)
    ask(services, "tmdb", wanted, tmp_path)
    assert len(services.asked) == before  # what is known for good is not asked again


@pytest.mark.parametrize("size", ["w92", "original"])
def test_discovery_pages_limit_and_size(services, tmp_path, size):
    fetched = ask(
        services, "tmdb", [], tmp_path, discover="with_genres=28&sort_by=popularity.desc", limit=25, size=size
    )
    assert list(films(fetched)) == [f"tt{number:07d}" for number in range(1, 26)]
    assert services.count("/3/discover") == {"/3/discover/movie": 2}
    pages = [query for path, query, _ in services.asked if "discover" in path]
    assert [(page["with_genres"], page["sort_by"], page["page"]) for page in pages] == [
        ("28", "popularity.desc", "1"),
        ("28", "popularity.desc", "2"),
    ]
    assert set(services.count("/t/p/")) == {f"/t/p/{size}/{number}.jpg" for number in range(1, 26)}


def test_omdb_by_id_and_title(services, tmp_path):
    fetched = ask(services, "omdb", ["tt0000001", "Heat (1995)", "tt9999999", "tt0000057", "tt0000058"], tmp_path)
    assert films(fetched) == {"tt0000001": ("Action", "Drama"), "tt0000059": ("Action", "Drama")}
    assert fetched.catalogue.findings.counts == {"no-poster": 1, "no-genre": 1, "not-fetched": 1}
    assert fetched.catalogue.films[1].year == 1995
    assert "CC BY-NC 4.0" in (tmp_path / "LICENCES.md").read_text()


def test_urls_of_kaggles_table(services, tmp_path):
    headings = ["imdbId", "Imdb Link", "Title", "IMDB Score", "Genre", "Poster"]
    url = f"{services.url}/images/M/V1_UX182_CR0,0,182,268_AL_/"
    rows = [
        [114709, "x", "Toy Story (1995)", 8.3, "Animation|Comedy", url + "1.jpg"],
        [113277, "x", "Heat (1995)", 8.2, "Crime", url + "none.png"],
        [7, "x", "No address", 8.2, "Crime", ""],
        [8, "x", "Amélie (2001)", 8.2, "Comedy", f"{services.url}/2.jpg"],
        [9, "x", "Bad address", 8.2, "Comedy", "http://[half/2.jpg"],
        [10, "x", "Bad port", 8.2, "Comedy", "http://127.0.0.1:x/2.jpg"],
    ]
    with (tmp_path / "MovieGenre.csv").open("w", encoding="latin-1", newline="") as file:
        csv.writer(file).writerows([headings, *rows])
    fetched = ask(services, "urls", [tmp_path / "MovieGenre.csv"], tmp_path / "out")
    assert films(fetched) == {"tt0114709": ("Animation", "Comedy"), "tt0000008": ("Comedy",)}
    assert [film.title for film in fetched.catalogue.films] == ["Amélie", "Toy Story"]
    assert fetched.catalogue.findings.counts == {"bad-row": 1, "not-fetched": 3}
    assert "- MovieGenre.csv" in (tmp_path / "out" / "LICENCES.md").read_text()
    assert services.url not in (tmp_path / "out" / "fetch.journal").read_text()  # addresses may hold secrets


def test_rows_without_ids_are_known_by_their_addresses(services, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(f"poster,genres\n{services.url}/1.jpg,War\n{services.url}/2.jpg,Drama\n{services.url}/1.jpg,War\n")
    assert sorted(films(ask(services, "urls", [table], tmp_path / "out")).values()) == [("Drama",), ("War",)]
    assert len(read_catalogue(tmp_path / "out")) == 2


def test_files_of_films(services, tmp_path):
    (tmp_path / "a.txt").write_text("tt0000001\n\n Heat (1995) \n", encoding="utf-8-sig")
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n900,0000002,862\n901,,3\n902,,\n")
    (tmp_path / "titles.csv").write_text("title,year\nFilm 4,1904\nFilm 5,\n")
    wanted = [tmp_path / "a.txt", tmp_path / "links.csv", tmp_path / "titles.csv", "tt0000001"]
    fetched = ask(services, "tmdb", wanted, tmp_path / "out")
    assert list(films(fetched)) == ["tt0000001", "tt0000002", "tt0000003", "tt0000004", "tt0000059"]
    said = [finding.detail for finding in fetched.catalogue.findings.of("bad-row")]
    assert said == [f"{row}: no id and no title with a year" for row in ("links.csv, row 3", "titles.csv, row 2")]


PASSING = [
    *([503], [500, 502], ["hang"], ["cut"], ["broken"], ["html"]),
    *([(429, {"Retry-After": "0"})], [(429, {})], [(503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"})]),
]


@pytest.mark.parametrize("faults", PASSING, ids=str)
def test_what_passes_by_itself_is_waited_for(services, tmp_path, faults):
    services.faults["/3/movie/1"] = list(faults)
    if faults[0] not in ("broken", "html"):
        services.faults["/t/p/w342/1.jpg"] = list(faults)
    patience = replace(QUICK, timeout_seconds=0.7) if "hang" in faults else QUICK
    fetched = ask(services, "tmdb", ["1", "2"], tmp_path, retry_policy=patience)
    assert len(fetched.catalogue) == 2 and fetched.unanswered == 0
    assert services.count("/3/movie/1")["/3/movie/1"] == 1 + len(faults)


@pytest.mark.parametrize("fault", ["half", "cut"])
def test_a_truncated_poster_is_taken_again_and_never_kept(services, tmp_path, fault):
    services.faults["/t/p/w342/1.jpg"] = [fault, fault]
    services.faults["/t/p/w342/2.jpg"] = [fault] * 9
    fetched = ask(services, "tmdb", ["1", "2", "3"], tmp_path)
    assert list(films(fetched)) == ["tt0000001", "tt0000003"] and fetched.unanswered == 1
    assert sorted(path.name for path in (tmp_path / "posters").iterdir()) == ["tt0000001.jpg", "tt0000003.jpg"]
    assert "gave up after 4 tries" in detail(fetched)
    services.faults.clear()
    assert len(ask(services, "tmdb", ["1", "2", "3"], tmp_path).catalogue) == 3  # the next run asks again


@pytest.mark.parametrize(
    ("fault", "final", "why"),
    [
        ("html", True, "not-an-image"),
        (404, True, "answers 404"),
        (403, False, "answers 403"),
        ("odd", None, "unexpected answer"),
    ],
)
def test_what_does_not_pass_is_not_asked_again_and_again(services, tmp_path, fault, final, why):
    path = "/3/movie/1" if fault == "odd" else "/t/p/w342/1.jpg"
    services.faults[path] = [fault] * 9
    fetched = ask(services, "tmdb", ["1", "2"], tmp_path)
    assert why in detail(fetched) and fetched.unanswered == (0 if final else 1)
    assert services.count(path)[path] == 1


def test_retry_after_holds_everybody(services, tmp_path):
    services.faults["/3/movie/1"] = [(429, {"Retry-After": "2"})]
    ask(services, "tmdb", [str(number) for number in range(1, 30)], tmp_path, per_second=100)
    asked = zip(services.asked, services.times, strict=True)
    times = sorted(moment for (path, _, _), moment in asked if path.startswith("/3/"))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    longest = gaps.index(max(gaps))
    assert gaps[longest] > 1.2 and len(gaps) - longest > 10  # most of the 30 came after the pause


def test_a_pause_too_long_is_an_error_and_what_was_had_is_kept(services, tmp_path):
    assert len(ask(services, "tmdb", ["1"], tmp_path).catalogue) == 1
    services.faults["/3/movie/2"] = [(429, {"Retry-After": "3600"})]
    with pytest.raises(FetchError, match="TMDB asks for a pause of 3600 s; run the same command again"):
        ask(services, "tmdb", ["1", "2"], tmp_path)
    assert "tt0000001" in (tmp_path / "films.csv").read_text()


def test_a_host_of_posters_that_wants_a_long_pause_is_left_alone_and_the_others_are_not(services, tmp_path):
    other = services.url.replace("127.0.0.1", "localhost")
    addresses = [f"{services.url}/{number}.jpg" for number in range(1, 30)] + [f"{other}/50.jpg"]
    rows = "".join(f"{address},War\n" for address in addresses)
    (tmp_path / "t.csv").write_text("poster,genres\n" + rows)
    for number in range(1, 30):
        services.faults[f"/{number}.jpg"] = [(429, {"Retry-After": "3600"})]
    fetched = ask(services, "urls", [tmp_path / "t.csv"], tmp_path / "out")
    assert len(fetched.catalogue) == 1 and fetched.unanswered == 29
    assert len(services.asked) <= 9  # those that were on their way


@pytest.mark.parametrize("fault", ["broken", "odd", 500, 404, 422])
def test_a_discovery_that_fails_is_said(services, tmp_path, fault):
    services.faults["/3/discover/movie"] = [fault] * 4
    why = (
        r"broken JSON; gave up|unexpected answer; run|answered 500; gave up|rejects the query; see .* answers 4(04|22)"
    )
    with pytest.raises(FetchError, match=why):
        ask(services, "tmdb", [], tmp_path, discover="with_genres=28")


def test_ctrl_c_ends_at_once_and_keeps_what_there_is(services, tmp_path):
    services.faults["/3/movie/9"] = [(429, {"Retry-After": "100"})]
    code = (
        "import signal, sys; from onesheet.apps.fetch import fetch\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell lets its background jobs ignore Ctrl-C
        "fetch('tmdb', sys.argv[3].split(), sys.argv[1], url=sys.argv[2] + '/3', posters_url=sys.argv[2] + '/t/p')\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path), services.url, " ".join(map(str, range(1, 50)))]
    with subprocess.Popen(words, env=os.environ, stderr=subprocess.PIPE) as process:
        ends = time.monotonic() + 120
        while not services.count("/movie/9") or (tmp_path / "fetch.journal").read_bytes().count(b"\n") < 3:
            assert time.monotonic() < ends and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert "\ntt00000" in (tmp_path / "films.csv").read_text()


@pytest.mark.parametrize("service", ["tmdb", "omdb"])
def test_a_wrong_key_stops_at_once(services, tmp_path, service):
    services.keys.clear()
    with pytest.raises(FetchError, match=f"rejects the key; check {service.upper()}_API_KEY"):
        ask(services, service, [f"tt{number:07d}" for number in range(1, 60)], tmp_path)
    assert len(services.asked) <= 16


def test_omdbs_daily_limit_is_told_from_a_wrong_key(services, tmp_path):
    assert len(ask(services, "omdb", ["tt0000001"], tmp_path).catalogue) == 1
    services.answer = lambda *_: (401, {"Response": "False", "Error": "Request limit reached!"})
    with pytest.raises(FetchError, match="used up; run the same command again tomorrow"):
        ask(services, "omdb", ["tt0000001", "tt0000002"], tmp_path)
    assert "tt0000001" in (tmp_path / "films.csv").read_text()


@pytest.mark.parametrize(("service", "key"), [("tmdb", V3), ("tmdb", TOKEN), ("omdb", V3)])
def test_the_key_is_never_seen(services, tmp_path, monkeypatch, caplog, capfd, service, key):
    monkeypatch.setenv(f"{service.upper()}_API_KEY", key)
    caplog.set_level(logging.DEBUG)
    first = "/3/find/tt0000001" if service == "tmdb" else "/"
    services.faults[first] = [503, "cut"]
    ask(services, service, ["tt0000001", "tt9999999"], tmp_path)
    with pytest.raises(FetchError) as broken:
        ask(
            services,
            service,
            ["tt0000002"],
            tmp_path / "b",
            url="http://127.0.0.1:1",
            retry_policy=RetryPolicy(2, 0.01),
        )
    services.keys.clear()
    with pytest.raises(FetchError) as rejected:
        ask(services, service, ["tt0000002"], tmp_path)
    assert (
        services.asked[0][1].get("api_key") == key
        or services.asked[0][1].get("apikey") == key
        or (services.asked[0][2]["Authorization"] == f"Bearer {key}")
    )
    seen = [caplog.text, *capfd.readouterr(), str(broken.value), str(rejected.value)]
    seen += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    error: BaseException | None = broken.value
    while error:
        seen.append(repr(error))
        error = error.__cause__ or error.__context__
    assert "HTTP Request" in caplog.text
    assert not any(key in text for text in seen)
    posters = [(query, headers) for path, query, headers in services.asked if path.endswith(".jpg")]
    assert posters and not any("Authorization" in headers or query for query, headers in posters)


def test_a_fetch_that_is_killed_goes_on_where_it_was(services, tmp_path):
    wanted, out = [str(number) for number in range(1, 51)], tmp_path / "out"
    code = (
        "import sys; from onesheet.apps.fetch import fetch\n"
        "fetch('tmdb', sys.argv[3].split(), sys.argv[1], url=sys.argv[2] + '/3', posters_url=sys.argv[2] + '/t/p')\n"
    )
    services.slowness = 0.05
    process = subprocess.Popen([sys.executable, "-c", code, str(out), services.url, " ".join(wanted)], env=os.environ)
    ends = time.monotonic() + 120
    while not (out / "fetch.journal").exists() or (out / "fetch.journal").read_bytes().count(b"\n") < 12:
        assert time.monotonic() < ends and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with (out / "fetch.journal").open("ab") as file:
        file.write(b'{"key": "50", "fl')  # a line that was being written
    had = len((out / "fetch.journal").read_bytes().splitlines()) - 2
    services.slowness, before = 0.0, len(services.asked)
    fetched = ask(services, "tmdb", wanted, out)
    assert len(fetched.catalogue) == 50
    assert len(services.asked) - before == 2 * (50 - had)  # nothing that was had is asked for again
    whole = ask(services, "tmdb", wanted, tmp_path / "whole")
    assert (out / "films.csv").read_bytes() == (tmp_path / "whole" / "films.csv").read_bytes()
    for film in whole.catalogue.films:
        assert (out / "posters" / Path(film.poster).name).read_bytes() == Path(film.poster).read_bytes()


def test_a_poster_that_was_deleted_is_fetched_again(services, tmp_path):
    ask(services, "tmdb", ["1", "2"], tmp_path)
    (tmp_path / "posters" / "tt0000001.jpg").unlink()
    assert len(ask(services, "tmdb", ["1", "2"], tmp_path).catalogue) == 2
    assert services.count("/t/p/") == {"/t/p/w342/1.jpg": 2, "/t/p/w342/2.jpg": 1}


def test_a_folder_of_another_fetch_is_rejected(services, tmp_path):
    ask(services, "tmdb", ["1"], tmp_path)
    with pytest.raises(
        FetchError, match=r"contains films of another fetch .service tmdb, size w342.; pass another folder"
    ):
        ask(services, "tmdb", ["1"], tmp_path, size="w500")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: [*lines, b'{"something": "else"}'],
        lambda lines: [lines[0], lines[1][:-9], lines[2]],
        lambda lines: [b"", *lines],
    ],
    ids=["a strange line", "half a line in the middle", "no first line"],
)
def test_a_damaged_journal_is_rejected_and_left_as_it_is(services, tmp_path, spoil):
    ask(services, "tmdb", ["1", "2"], tmp_path)
    path = tmp_path / "fetch.journal"
    spoilt = b"".join(line + b"\n" for line in spoil(path.read_bytes().splitlines()))
    path.write_bytes(spoilt)
    with pytest.raises(FetchError, match="is damaged; delete it"):
        ask(services, "tmdb", ["1"], tmp_path)
    assert path.read_bytes() == spoilt


def test_one_fetch_at_a_time_has_a_folder(services, tmp_path):
    with sole_use(tmp_path), pytest.raises(OnesheetError, match=r"is in use by process .* choose another --out"):
        ask(services, "tmdb", ["1"], tmp_path)
    assert len(ask(services, "tmdb", ["1"], tmp_path).catalogue) == 1
    assert not (tmp_path / ".lock").exists()


def test_what_had_no_poster_is_asked_again_once_its_line_is_deleted(services, tmp_path):
    assert ask(services, "tmdb", ["1", "57"], tmp_path).catalogue.findings.counts == {"no-poster": 1}
    path = tmp_path / "fetch.journal"
    path.write_text("".join(line for line in path.open() if '"flag": "no-poster"' not in line))  # as docs have it
    ask(services, "tmdb", ["1", "57"], tmp_path)
    assert services.count("/3/movie/") == {"/3/movie/1": 1, "/3/movie/57": 2}


def test_several_at_once_but_no_faster_than_is_polite(services, tmp_path):
    services.slowness = 0.1
    wanted = [str(number) for number in range(1, 31)]
    ask(services, "tmdb", wanted, tmp_path, per_second=40)
    assert services.most_busy > 2
    calls = [moment for (path, _, _), moment in zip(services.asked, services.times, strict=True) if "/3/" in path]
    assert max(calls) - min(calls) > 0.9 * 29 / 40


def test_pauses_grow_and_differ():
    rng, patience = random.Random(0), RetryPolicy(first_seconds=1, longest_seconds=30)
    pauses = [[patience.pause(tried, rng) for _ in range(200)] for tried in (1, 2, 3, 9)]
    assert [round(sum(some) / 200, 1) for some in pauses[:3]] == pytest.approx([1, 2, 4], rel=0.1)
    assert len(set(pauses[0])) == 200 and max(pauses[3]) == 30


def test_who_waits_is_woken_at_the_end():
    stopped = threading.Event()
    pace = RateLimit(1000, stopped)
    pace.hold(3600)
    stopped.set()
    with pytest.raises(Stopped):
        pace.turn()


def test_progress_is_told(services, tmp_path):
    told = []
    ask(services, "tmdb", ["1", "2", "999"], tmp_path, progress=lambda *line: told.append(line))
    assert [line[1:3] for line in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert told[-1][3] == "1 without poster or genres"


def test_errors_name_the_cure(services, tmp_path, monkeypatch):
    def rejected(*arguments, kind: type[Exception] = ConfigError, **options) -> str:
        with pytest.raises(kind) as error:
            ask(services, *arguments, tmp_path / "out", **options)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "use tmdb, omdb, urls" in rejected("imdb", ["1"])
    assert "use w92, w154" in rejected("tmdb", ["1"], size="w1")
    assert "only tmdb has a discover query" in rejected("omdb", [], discover="x=1")
    assert "no film to fetch" in rejected("tmdb", [])
    assert "such as with_genres=27" in rejected("tmdb", [], discover="horror")
    assert "without page and api_key" in rejected("tmdb", [], discover="api_key=1")
    assert "'Heat' is no film; pass an IMDb id, a TMDB number" in rejected("tmdb", ["Heat"])
    assert "'949' is no film; pass an IMDb id, 'Title (1995)'" in rejected("omdb", ["949"])
    assert "999: TMDB has no such film" in rejected("tmdb", ["999"], kind=FetchError)
    (tmp_path / "t.csv").write_text("plot,art\nx,y\n")
    assert "no usable genre column" in rejected("urls", [tmp_path / "t.csv"], kind=CatalogueError)
    monkeypatch.delenv("TMDB_API_KEY")
    assert "environment variable TMDB_API_KEY" in rejected("tmdb", ["1"])
    monkeypatch.setenv("TMDB_API_KEY", "a\nb")
    assert rejected("tmdb", ["1"]) == "the key in TMDB_API_KEY has characters that no key has; copy it again"
    monkeypatch.setitem(sys.modules, "httpx2", None)
    assert "pip install 'onesheet-genres[fetch]'" in rejected("tmdb", ["1"], kind=MissingExtra)


def test_the_command(services, tmp_path, monkeypatch, capsys):
    local = replace(SERVICES["tmdb"], url=f"{services.url}/3", posters=f"{services.url}/t/p", per_second=500)
    monkeypatch.setitem(SERVICES, "tmdb", local)
    words = ["fetch", "tmdb", "1", "tt0000002", "999", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert "2 films; left out: 1 not-fetched" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == {"not-fetched": 1}
    assert main(["audit", str(tmp_path / "out"), "--out", str(tmp_path / "audit"), "--threads", "1"]) == 0
    assert build_parser().parse_args(["fetch", "urls", "a.csv", "--out", "x"]).service == "urls"

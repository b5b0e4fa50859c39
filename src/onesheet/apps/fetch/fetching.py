"""Fetch films and posters into a catalogue."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from onesheet.apps.fetch import tmdb
from onesheet.apps.fetch.fetch_journal import Entry, Journal
from onesheet.apps.fetch.film_queries import FilmQueries, FilmQuery, read_addresses, read_queries
from onesheet.apps.fetch.rate_limits import RetryPolicy
from onesheet.apps.fetch.services import SERVICES, Service
from onesheet.data import Catalogue, Film, Finding, Findings, write_catalogue
from onesheet.data.poster_folders import image_suffix
from onesheet.errors import ConfigError, FetchError, NotFetched, require
from onesheet.files import cannot_write, sole_use, whole_file, write_text
from onesheet.genres import GenreSet
from onesheet.progress import Progress, shown

if TYPE_CHECKING:
    from onesheet.apps.fetch.service_connection import Connection

CONNECTIONS = 8
CATALOGUE, JOURNAL, NOTICE, FINDINGS = "films.csv", "fetch.journal", "LICENCES.md", "findings.csv"
_SAFE = re.compile(r"[A-Za-z0-9][\w-]{0,79}", re.ASCII)


@dataclass(frozen=True)
class Fetched:
    """The result of a fetch.

    Attributes:
        catalogue: the films with poster and genres, and findings about the others.
        path: its table, which `read_catalogue` reads.
        unanswered: number of films that another run may still fetch.
    """

    catalogue: Catalogue
    path: Path
    unanswered: int


def fetch(
    service: str,
    films: Sequence[str | Path],
    out: str | Path,
    *,
    discover: str | None = None,
    limit: int = 1000,
    size: str = "w342",
    url: str | None = None,
    posters_url: str | None = None,
    per_second: float | None = None,
    retry_policy: RetryPolicy | None = None,
    progress: Progress = shown,
) -> Fetched:
    """Fetch films and their posters into a folder, or resume an earlier fetch in it.

    The folder gets `films.csv`, `posters/`, `findings.csv`, `LICENCES.md` and `fetch.journal`. The key comes from the
    environment (`TMDB_API_KEY`, `OMDB_API_KEY`) and is never written. Films of earlier calls stay in the catalogue.

    Args:
        service: a key of `SERVICES`.
        films: for tmdb and omdb ids, "Title (1995)" or files of them; for urls tables with addresses and genres.
        out: the folder.
        discover: tmdb: a query; the films that it finds are fetched too.
        limit: at most this number of films of `discover`.
        size: tmdb: the posters' size, one of `tmdb.SIZES`.
        url: another address of the service.
        posters_url: tmdb: another address of the posters.
        per_second: requests per second; None = the service's default.
        retry_policy: tries, pauses and timeouts; None = the defaults.
        progress: called for every film.

    Raises:
        ConfigError: no key, no film, or a wrong option.
        FetchError: the service rejects the key, or no film could be fetched; earlier films are kept.
        CatalogueError: a file of films cannot be read.
        MissingExtra: httpx2 is not installed.
        OnesheetError: another process uses the folder, or it cannot be written.
    """
    if service not in SERVICES:
        raise ConfigError(f"unknown service {service!r}; use {', '.join(SERVICES)}")
    if size not in tmdb.SIZES:
        raise ConfigError(f"unknown size {size!r}; use {', '.join(tmdb.SIZES)}")
    chosen = SERVICES[service]
    queries, findings = _queries(service, films, discover)
    require("httpx2", purpose="fetching", extra="fetch")
    from onesheet.apps.fetch.service_connection import Connection

    connection = Connection(
        chosen,
        url or chosen.url,
        key=_key(chosen),
        per_second=per_second or chosen.per_second,
        retry_policy=retry_policy or RetryPolicy(),
    )
    try:
        if discover:
            queries = list(dict.fromkeys([*queries, *tmdb.discover(discover, limit, connection.get_json)]))
        order = {"service": service} | ({"size": size} if service == "tmdb" else {})
        posters = f"{posters_url or chosen.posters}/{size}"
        with sole_use(out):
            return _Fetching(chosen, posters, connection, Path(out), order).run(queries, findings, films, progress)
    finally:
        connection.close()


def _queries(service: str, films: Sequence[str | Path], discover: str | None) -> FilmQueries:
    if discover and service != "tmdb":
        raise ConfigError(f"only tmdb has a discover query; got {service!r}")
    if not films and not discover:
        raise ConfigError(f"no film to fetch from {service}; pass ids, 'Title (1995)' or files of them")
    return read_addresses(films) if service == "urls" else read_queries(films, tmdb=service == "tmdb")


def _key(service: Service) -> str:
    """The key from the environment; no message contains it."""
    key = os.environ.get(service.key, "").strip() if service.key else ""
    if service.key and not key:
        raise ConfigError(f"{service.name} needs a key; set the environment variable {service.key}")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the key in {service.key} has characters that no key has; copy it again")
    return key


class _Fetching:
    """One call of `fetch`."""

    def __init__(
        self, service: Service, posters: str, connection: Connection, out: Path, order: dict[str, str]
    ) -> None:
        self._service, self._posters, self._connection = service, posters, connection
        self._out, self._order = out, order

    def run(
        self,
        queries: Sequence[FilmQuery],
        findings: Sequence[Finding],
        sources: Sequence[str | Path],
        progress: Progress,
    ) -> Fetched:
        """Fetch what the journal lacks, and write the catalogue even after an error."""
        try:
            (self._out / "posters").mkdir(parents=True, exist_ok=True)
            journal = Journal(self._out / JOURNAL, self._order)
        except OSError as error:
            raise cannot_write(self._out, error) from error
        write_text(self._out / NOTICE, _notice(self._service, sources))
        try:
            self._fetch(queries, journal, progress)
        finally:
            journal.close()
            catalogue = self._write(list(journal.entries.values()), findings)
        if not len(catalogue):
            why = next((finding.detail for finding in catalogue.findings), "no film was found")
            raise FetchError(f"no film with a poster and a genre could be fetched; {why}")
        unanswered = sum(not entry.final for entry in journal.entries.values())
        return Fetched(catalogue, self._out / CATALOGUE, unanswered)

    def _fetch(self, queries: Sequence[FilmQuery], journal: Journal, progress: Progress) -> None:
        left = [film_query for film_query in queries if film_query.key not in journal.entries]
        done, without = len(queries) - len(left), 0
        progress("fetch", done, len(queries))
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="onesheet-fetch") as pool:
            try:
                for entry in _as_done(pool, self._one, left):
                    journal.add(entry)
                    done, without = done + 1, without + bool(entry.flag)
                    progress("fetch", done, len(queries), f"{without} without poster or genres" if without else "")
            finally:
                self._connection.stop()

    def _one(self, film_query: FilmQuery) -> Entry:
        """Fetch one film and its poster, in a thread."""
        try:
            try:
                found = self._service.look_up(film_query, self._connection.get_json, self._posters)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                raise NotFetched(f"{self._service.name} sent an unexpected answer", final=False) from None
            if not found.genres or not found.poster:
                flag = "no-poster" if found.genres else "no-genre"
                return Entry(film_query.key, flag, f"{self._service.name} has none", found.film_id)
            data = self._connection.poster(found.poster)
        except NotFetched as error:
            return Entry(
                film_query.key, "not-fetched", str(error), film_query.film_id or film_query.imdb, final=error.final
            )
        name = f"posters/{_file_name(found.film_id)}{image_suffix(data) or '.jpg'}"
        with whole_file(self._out / name) as part:
            part.write_bytes(data)
        return Entry(film_query.key, **(asdict(found) | {"poster": name}))

    def _write(self, entries: Sequence[Entry], findings: Sequence[Finding]) -> Catalogue:
        have = {entry.film_id: entry for entry in sorted(entries, key=lambda entry: entry.key) if not entry.flag}
        films = [
            Film(
                entry.film_id,
                str(self._out / entry.poster),
                entry.genres,
                entry.title,
                entry.year,
                self._order["service"],
            )
            for entry in sorted(have.values(), key=lambda entry: entry.film_id)
        ]
        lacking = [_finding(entry) for entry in sorted(entries, key=lambda entry: entry.key) if entry.flag]
        names = sorted({genre for film in films for genre in film.genres})
        catalogue = Catalogue(tuple(films), GenreSet(names), Findings([*findings, *lacking]))
        write_catalogue(catalogue, self._out / CATALOGUE)
        catalogue.findings.write_csv(self._out / FINDINGS)
        return catalogue


def _as_done(
    pool: ThreadPoolExecutor, work: Callable[[FilmQuery], Entry], queries: Sequence[FilmQuery]
) -> Iterator[Entry]:
    """Results in order of completion; only a few queries are in the pool at a time."""
    waiting = iter(queries)
    running: set[Future[Entry]] = {pool.submit(work, film_query) for film_query in islice(waiting, 2 * CONNECTIONS)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
        running |= {pool.submit(work, film_query) for film_query in islice(waiting, len(done))}


def _file_name(film_id: str) -> str:
    if _SAFE.fullmatch(film_id):
        return film_id
    return hashlib.sha256(film_id.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _finding(entry: Entry) -> Finding:
    action = "left out" if entry.final else "left out; run the same command again"
    return Finding(entry.flag, 1.0, entry.film_id, detail=f"{entry.key}: {entry.detail}", action=action)


def _notice(service: Service, sources: Sequence[str | Path]) -> str:
    tables = [f"- {Path(source).name}" for source in sources] if not service.url else []
    return "\n".join(
        ["# Where these films and posters come from", "", *tables, *([""] if tables else []), service.notice, ""]
    )

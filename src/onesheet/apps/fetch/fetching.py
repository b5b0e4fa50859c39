"""fetch: films that are wished for to a catalogue with posters."""

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
from onesheet.apps.fetch.pace import Patience
from onesheet.apps.fetch.services import SERVICES, Service
from onesheet.apps.fetch.wishes import Wish, Wishes, read_addresses, read_wishes
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
    """What a fetch has brought.

    Attributes:
        catalogue: the films with poster and genres, with the findings about all others.
        path: its table, which `read_catalogue` reads.
        unanswered: wishes that another run may still fulfil.
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
    patience: Patience | None = None,
    progress: Progress = shown,
) -> Fetched:
    """Fetch films and their posters into a folder; go on where an earlier call on that folder stopped.

    The folder gets `films.csv`, `posters/`, `findings.csv`, `LICENCES.md` and `fetch.journal`. The key comes from the
    environment (`TMDB_API_KEY`, `OMDB_API_KEY`) and is written nowhere. Films of earlier calls stay in the catalogue.

    Args:
        service: a key of `SERVICES`.
        films: for tmdb and omdb ids, "Title (1995)" or files of them; for urls tables with addresses and genres.
        out: the folder.
        discover: tmdb: a query; the films that it finds are fetched too.
        limit: of the films that `discover` finds, at most so many.
        size: tmdb: the posters' size, one of `tmdb.SIZES`.
        url: where the service is asked instead.
        posters_url: tmdb: where the posters are instead.
        per_second: requests a second instead of the service's own.
        patience: how long a service that does not answer is asked again.
        progress: called for every film.

    Raises:
        ConfigError: no key, no film, or an option that is wrong.
        FetchError: the service rejects the key, or no film could be had; what was fetched before is kept.
        CatalogueError: a file of films that cannot be read.
        MissingExtra: httpx2 is not installed.
        OnesheetError: another process fetches into the folder, or it cannot be written.
    """
    if service not in SERVICES:
        raise ConfigError(f"unknown service {service!r}; use {', '.join(SERVICES)}")
    if size not in tmdb.SIZES:
        raise ConfigError(f"unknown size {size!r}; use {', '.join(tmdb.SIZES)}")
    asked = SERVICES[service]
    wishes, findings = _wishes(service, films, discover)
    require("httpx2", purpose="fetching", extra="fetch")
    from onesheet.apps.fetch.service_connection import Connection

    line = Connection(
        asked,
        url or asked.url,
        key=_key(asked),
        per_second=per_second or asked.per_second,
        patience=patience or Patience(),
    )
    try:
        if discover:
            wishes = list(dict.fromkeys([*wishes, *tmdb.discover(discover, limit, line.ask)]))
        order = {"service": service} | ({"size": size} if service == "tmdb" else {})
        posters = f"{posters_url or asked.posters}/{size}"
        with sole_use(out):
            return _Fetching(asked, posters, line, Path(out), order).run(wishes, findings, films, progress)
    finally:
        line.close()


def _wishes(service: str, films: Sequence[str | Path], discover: str | None) -> Wishes:
    if discover and service != "tmdb":
        raise ConfigError(f"only tmdb can discover films; got {service!r}")
    if not films and not discover:
        raise ConfigError(f"no film to fetch from {service}; pass ids, 'Title (1995)' or files of them")
    return read_addresses(films) if service == "urls" else read_wishes(films, tmdb=service == "tmdb")


def _key(service: Service) -> str:
    """The key from the environment; never part of a message."""
    key = os.environ.get(service.key, "").strip() if service.key else ""
    if service.key and not key:
        raise ConfigError(f"{service.name} wants a key; put yours into the environment variable {service.key}")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the key in {service.key} holds what no key holds; copy it again")
    return key


class _Fetching:
    """One call of `fetch`."""

    def __init__(self, service: Service, posters: str, line: Connection, out: Path, order: dict[str, str]) -> None:
        self._service, self._posters, self._line, self._out, self._order = service, posters, line, out, order

    def run(
        self,
        wishes: Sequence[Wish],
        findings: Sequence[Finding],
        sources: Sequence[str | Path],
        progress: Progress,
    ) -> Fetched:
        """Fetch what the journal does not hold; write the catalogue whatever happens."""
        try:
            (self._out / "posters").mkdir(parents=True, exist_ok=True)
            journal = Journal(self._out / JOURNAL, self._order)
        except OSError as error:
            raise cannot_write(self._out, error) from error
        write_text(self._out / NOTICE, _notice(self._service, sources))
        try:
            self._fetch(wishes, journal, progress)
        finally:
            journal.close()
            catalogue = self._write(list(journal.entries.values()), findings)
        if not len(catalogue):
            why = next((finding.detail for finding in catalogue.findings), "no film was found")
            raise FetchError(f"no film with a poster and a genre could be fetched; {why}")
        unanswered = sum(not entry.final for entry in journal.entries.values())
        return Fetched(catalogue, self._out / CATALOGUE, unanswered)

    def _fetch(self, wishes: Sequence[Wish], journal: Journal, progress: Progress) -> None:
        left = [wish for wish in wishes if wish.key not in journal.entries]
        done, without = len(wishes) - len(left), 0
        progress("fetch", done, len(wishes))
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="onesheet-fetch") as pool:
            try:
                for entry in _as_done(pool, self._one, left):
                    journal.add(entry)
                    done, without = done + 1, without + bool(entry.flag)
                    progress("fetch", done, len(wishes), f"{without} without poster or genres" if without else "")
            finally:
                self._line.stop()

    def _one(self, wish: Wish) -> Entry:
        """Ask for one film and take its poster, in a thread."""
        try:
            try:
                found = self._service.look_up(wish, self._line.ask, self._posters)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                raise NotFetched(f"{self._service.name} sent an answer of an unknown form", final=False) from None
            if not found.genres or not found.poster:
                flag = "no-poster" if found.genres else "no-genre"
                return Entry(wish.key, flag, f"{self._service.name} has none", found.film_id)
            data = self._line.poster(found.poster)
        except NotFetched as error:
            return Entry(wish.key, "not-fetched", str(error), wish.film_id or wish.imdb, final=error.final)
        name = f"posters/{_file_name(found.film_id)}{image_suffix(data) or '.jpg'}"
        with whole_file(self._out / name) as part:
            part.write_bytes(data)
        return Entry(wish.key, **(asdict(found) | {"poster": name}))

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


def _as_done(pool: ThreadPoolExecutor, work: Callable[[Wish], Entry], wishes: Sequence[Wish]) -> Iterator[Entry]:
    """Results as they come; a few wishes wait in the pool, the others here."""
    waiting = iter(wishes)
    running: set[Future[Entry]] = {pool.submit(work, wish) for wish in islice(waiting, 2 * CONNECTIONS)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
        running |= {pool.submit(work, wish) for wish in islice(waiting, len(done))}


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

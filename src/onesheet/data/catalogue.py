"""Catalogue: films with their posters and genres, and what was found wrong with them on the way."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onesheet.data.findings import FLAGS, Finding, Findings
from onesheet.data.genre_synonyms import match
from onesheet.data.source_summary import SourceSummary
from onesheet.errors import CatalogueError
from onesheet.genres import GenreSet
from onesheet.markup import bar, table

RARE = re.compile(r"(.*): (\d+) films, fewer than \d+.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Film:
    """One row of a catalogue.

    Attributes:
        film_id: unique in its catalogue; an IMDb id ("tt0086425") wherever one can be recognised.
        poster: path of the poster file, as opened from here.
        genres: the film's genre names.
        title: the title, "" where unknown.
        year: year of release, None where unknown.
        source: the catalogue it came from (a file or folder name).
        group: films of one group (near-duplicate posters) must stay on one side of a split; "" = alone.
        split: "train", "validation" or "test" where the collection comes with a split, else "".
        unknown: genres of which the collection does not say whether the film has them.
    """

    film_id: str
    poster: str
    genres: tuple[str, ...]
    title: str = ""
    year: int | None = None
    source: str = ""
    group: str = ""
    split: str = ""
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Catalogue:
    """Films whose posters are there and whose genres are known, and the findings about those left out.

    Attributes:
        films: every film has a poster path and at least one genre of `genres`.
        genres: the genres in column order (sorted by name).
        findings: rows, posters and genres that were left out while reading, none silently.
        sources: how each table was understood.
    """

    films: tuple[Film, ...]
    genres: GenreSet
    findings: Findings = field(default_factory=Findings)
    sources: tuple[SourceSummary, ...] = ()

    def __len__(self) -> int:
        return len(self.films)

    def _repr_html_(self) -> str:
        """For notebooks: the genres with their films, the commonest first."""
        counts = Counter(genre for film in self.films for genre in film.genres).most_common()
        rows = [(genre, f"{count:,}", bar(count / len(self.films))) for genre, count in counts]
        left = f"; {len(self.findings):,} findings while reading" if self.findings else ""
        return table(("genre", "films", ""), rows, title=f"{len(self):,} films, {len(self.genres)} genres{left}")

    @property
    def labels(self) -> NDArray[np.bool_]:
        """The truth, bool N×G."""
        return self.genres.encode([film.genres for film in self.films])

    @property
    def genre_counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Films of each genre kept, and of each genre left out as too rare."""
        kept = Counter(genre for film in self.films for genre in film.genres)
        rare = (finding.detail for finding in self.findings if finding.flag == "rare-genre")
        found = (RARE.fullmatch(detail) for detail in rare)
        return dict(kept), {match[1]: int(match[2]) for match in found if match}

    @property
    def understood(self) -> dict[str, Any]:
        """How the sources were understood and which genres came of them, as plain values for JSON."""
        kept, left_out = self.genre_counts
        return {"sources": [asdict(s) for s in self.sources], "genre_films": kept, "genres_left_out": left_out}

    @property
    def known(self) -> NDArray[np.bool_] | None:
        """Where the truth is known, bool N×G; None where it is known everywhere."""
        if not any(film.unknown for film in self.films):
            return None
        names = set(self.genres.names)
        return ~self.genres.encode([film.unknown & names for film in self.films])

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids, poster names and genres, in order: what a model was trained on."""
        digest = hashlib.sha256()
        for film in self.films:
            name = film.poster.replace("\\", "/").rsplit("/", 1)[-1]
            digest.update("\x1f".join((film.film_id, name, *film.genres, "\x1e")).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def without(self, findings: Findings, *, keep: Iterable[str] = ()) -> Catalogue:
        """The catalogue without the films that findings say to leave out, near-duplicates grouped.

        Args:
            findings: what `audit` returned.
            keep: flags whose films stay in all the same (grouping still applies).

        Returns:
            A new catalogue; `findings` joins the reading's findings and these. Files are never touched.

        Raises:
            CatalogueError: `keep` names no known flag.
        """
        keep = frozenset(keep)
        if unknown := sorted(keep - FLAGS.keys()):
            raise CatalogueError(f"unknown flag {unknown[0]!r} to keep; use {', '.join(FLAGS)}")
        findings = Findings(
            replace(f, drops=False, action="kept, as requested") if f.drops and f.flag in keep else f for f in findings
        )
        dropped = {f.film_id for f in findings if f.drops and f.film_id}
        groups = {f.film_id: f.group for f in findings if f.group}
        films = tuple(
            replace(film, group=groups[film.film_id]) if film.film_id in groups else film
            for film in self.films
            if film.film_id not in dropped
        )
        return replace(self, films=films, findings=self.findings + findings)

    def in_genres(self, genres: GenreSet) -> Catalogue:
        """The catalogue in a model's genres: exact synonyms take its names, other genres are left out.

        A film that keeps no genre is left out by a finding "no-genre".

        Example:
            >>> film = Film("tt1", "a.jpg", ("Science Fiction", "Anime"))
            >>> catalogue = Catalogue((film,), GenreSet(["Anime", "Science Fiction"]))
            >>> catalogue.in_genres(GenreSet(["Sci-Fi"])).films[0].genres
            ('Sci-Fi',)
        """
        meant = match(self.genres.names, genres.names)
        films, findings = [], []
        for film in self.films:
            own = tuple(dict.fromkeys(meant[name] for name in film.genres if name in meant))
            if own:
                unknown = frozenset(meant[name] for name in film.unknown if name in meant)
                films.append(replace(film, genres=own, unknown=unknown))
            else:
                detail = f"the model has none of: {', '.join(film.genres)}"
                action = "left out; rename genres with --genre-map"
                findings.append(
                    Finding("no-genre", 1.0, film.film_id, film.poster, detail=detail, action=action, drops=True)
                )
        return replace(self, films=tuple(films), genres=genres, findings=self.findings + Findings(findings))

    def drop_rare(self, min_films: int, *, spare: Iterable[str] = ()) -> Catalogue:
        """Leave out genres that fewer than `min_films` films have, and films that keep no genre by it.

        `spare` names genres that stay however rare they are.
        Each genre left out is a finding "rare-genre", each film a finding "no-genre".
        """
        counts = Counter(genre for film in self.films for genre in film.genres)
        spared = set(spare)
        rare = {name: count for name, count in counts.items() if count < min_films and name not in spared}
        return self.without_genres(rare, least=min_films, cure="add films or lower --min-films")

    def without_genres(self, rare: Mapping[str, int], *, least: int, cure: str, where: str = "") -> Catalogue:
        """The catalogue without some genres, which too few films have, and without films that keep no genre by it.

        Args:
            rare: genre -> the number of its films.
            least: films that a genre needs.
            cure: what to do for them to stay.
            where: the films that were counted, such as " to learn from"; "" = all.

        Returns:
            A new catalogue with a finding "rare-genre" for each of these genres, and "no-genre" for each film left out.
        """
        findings = [
            Finding(
                flag="rare-genre",
                score=1 - count / least,
                detail=f"{genre}: {count} films, fewer than {least}{where}",
                action=f"left out as too rare to learn; {cure}",
            )
            for genre, count in sorted(rare.items())
        ]
        kept = {name for film in self.films for name in film.genres} - rare.keys()
        films = []
        for film in self.films:
            genres = tuple(genre for genre in film.genres if genre in kept)
            if genres:
                same = genres == film.genres and film.unknown <= kept
                films.append(film if same else replace(film, genres=genres, unknown=film.unknown & kept))
            else:
                findings.append(
                    Finding(
                        flag="no-genre",
                        score=1.0,
                        film_id=film.film_id,
                        poster=film.poster,
                        detail=f"only rare genres: {', '.join(film.genres)}",
                        action=f"left out; {cure}",
                        drops=True,
                    )
                )
        names = [name for name in self.genres.names if name in kept]
        found = self.findings + Findings(findings)
        return replace(self, films=tuple(films), genres=GenreSet(names), findings=found)

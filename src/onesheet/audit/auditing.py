"""Audit: look at every poster and title of a catalogue, and report what is wrong and what to do. Changes no file."""

from __future__ import annotations

import numpy as np

from onesheet.audit.duplicates import duplicate_findings
from onesheet.audit.measurements import Measurements, measure_posters
from onesheet.audit.titles import repaired_title
from onesheet.data.catalogue import Catalogue, Film
from onesheet.data.findings import FLAGS, Finding, Findings
from onesheet.progress import Progress, shown

SMALLEST_PIXELS = 32
NARROWEST, WIDEST = 0.45, 1.0
BLANK_SPREAD = 2.0
RARE_SHARE = 0.1

_RANK = {flag: rank for rank, flag in enumerate(FLAGS)}


def audit(catalogue: Catalogue, *, threads: int | None = None, progress: Progress = shown) -> Findings:
    """Look at every poster once, and at every title and the balance of the genres.

    - a poster that cannot be decoded: "missing", "unreadable", "truncated", "not-an-image", "too-large"; drops
    - "too-small": a side shorter than `SMALLEST_PIXELS`; drops
    - "blank": no colour channel of a 64×64 thumbnail varies by `BLANK_SPREAD` grey levels; drops
    - "odd-shape": width / height outside `NARROWEST`..`WIDEST`, the score growing with the distance
    - "placeholder", "exact-duplicate", "conflicting-duplicate", "near-duplicate": see `duplicates.py`
    - "mis-encoded-title": with the right title
    - "imbalance": a genre with less than `RARE_SHARE` of the commonest genre's films

    Args:
        catalogue: what to look at.
        threads: decoding threads; None = one for each processor.
        progress: reports how many posters have been seen.

    Returns:
        Findings in the order of the films, the genres' last; the same for any number of threads.

    Raises:
        ConfigError: threads below 1.
    """
    films = catalogue.films
    measured = measure_posters(films, threads=threads, progress=progress)
    found = [(index, _unreadable(films[index], reason, why)) for index, reason, why in measured.failures]
    blank = measured.seen & (measured.spread < BLANK_SPREAD)
    small = measured.seen & (np.minimum(measured.width, measured.height) < SMALLEST_PIXELS)
    found += [(index, _blank(films[index], measured, index)) for index in np.flatnonzero(blank).tolist()]
    found += [(index, _small(films[index], measured, index)) for index in np.flatnonzero(small).tolist()]
    found += _odd_shapes(films, measured)
    found += duplicate_findings(films, measured, measured.seen & ~blank & ~small)
    found += _titles(films)
    found.sort(key=lambda item: (item[0], _RANK[item[1].flag]))
    return Findings([finding for _, finding in found] + _imbalance(catalogue))


def _unreadable(film: Film, reason: str, why: str) -> Finding:
    return Finding(
        flag=reason,
        score=1.0,
        film_id=film.film_id,
        poster=film.poster,
        detail=why,
        action="left out; replace the file or take the row out of the table",
        drops=True,
    )


def _blank(film: Film, measured: Measurements, index: int) -> Finding:
    spread = float(measured.spread[index])
    return Finding(
        flag="blank",
        score=1 - spread / (2 * BLANK_SPREAD),
        film_id=film.film_id,
        poster=film.poster,
        detail=f"colours vary by {spread:.1f} of 255 grey levels",
        action="left out; find the film's own poster",
        drops=True,
    )


def _small(film: Film, measured: Measurements, index: int) -> Finding:
    width, height = int(measured.width[index]), int(measured.height[index])
    return Finding(
        flag="too-small",
        score=1 - min(width, height) / (2 * SMALLEST_PIXELS),
        film_id=film.film_id,
        poster=film.poster,
        detail=f"{width} x {height} pixels, a side is shorter than {SMALLEST_PIXELS}",
        action="left out; find a larger copy",
        drops=True,
    )


def _odd_shapes(films: tuple[Film, ...], measured: Measurements) -> list[tuple[int, Finding]]:
    found = []
    for index in np.flatnonzero(measured.seen).tolist():
        width, height = int(measured.width[index]), int(measured.height[index])
        beyond = max(NARROWEST * height / width, width / height / WIDEST)  # 1 at the border
        if beyond > 1:
            finding = Finding(
                flag="odd-shape",
                score=1 - 1 / beyond,
                film_id=films[index].film_id,
                poster=films[index].poster,
                detail=f"{width} x {height} pixels; posters are about 2 wide to 3 high",
                action="kept; check that it is the poster, and not a still or a banner",
            )
            found.append((index, finding))
    return found


def _titles(films: tuple[Film, ...]) -> list[tuple[int, Finding]]:
    found = []
    for index, film in enumerate(films):
        right = repaired_title(film.title)
        if right is None:
            continue
        finding = Finding(
            flag="mis-encoded-title",
            score=0.9 if right else 1.0,
            film_id=film.film_id,
            poster=film.poster,
            detail=f"{film.title!r} should read {right!r}" if right else f"{film.title!r} has lost letters",
            action="kept; correct the title, or read the table with the right encoding",
        )
        found.append((index, finding))
    return found


def _imbalance(catalogue: Catalogue) -> list[Finding]:
    """Genres much rarer than the commonest, commonest first."""
    counts = catalogue.labels.sum(axis=0)
    if not len(counts) or not (most := int(counts.max())):
        return []
    names = catalogue.genres.names
    commonest = names[int(counts.argmax())]
    return [
        Finding(
            flag="imbalance",
            score=1 - int(counts[column]) / most,
            detail=f"{names[column]}: {counts[column]} films; {commonest}: {most}",
            action="expect less of this genre; add films of it, or drop or merge it with a mapping file",
        )
        for column in np.argsort(-counts, kind="stable").tolist()
        if counts[column] < RARE_SHARE * most
    ]

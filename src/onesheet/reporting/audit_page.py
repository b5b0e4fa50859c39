"""The audit as files: `findings.csv`, and `audit.html`, one self-contained page for a person to read.

The page is made of `markup` and not of a template, as an audit needs no more than the core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from onesheet.data.catalogue import Catalogue, Film
from onesheet.data.findings import FLAGS, Finding, Findings
from onesheet.data.source_summary import understood_lines
from onesheet.errors import UnreadablePoster
from onesheet.files import write_text
from onesheet.images import read_poster
from onesheet.markup import Markup, bar, escaped, picture, table

CARDS = 8
"""Cards of a flag: posters, or sets of duplicates."""

LISTED = 200
"""Findings of a flag that are listed below its cards."""

MEMBERS = 6
"""Posters shown of one set of duplicates."""

DUPLICATES = ("exact-duplicate", "conflicting-duplicate", "near-duplicate")
NO_FILM = ("no-poster", "ambiguous-poster", "no-genre", "bad-row", "not-fetched")
"""Rows that give no film."""

ONE_FILM = ("repeated-id", "merged-film")
"""Rows that are made one film with another."""

INFORMATION = (*ONE_FILM, "no-row", "rare-genre", "mapped-genre", "unused-column", "unlabelled", "imbalance")
_THUMBNAIL = (144, 96)
_STYLE = """
.totals td:nth-child(odd), .totals th:nth-child(odd) { text-align: left; white-space: normal; }
.audit-card { font: .8125rem/1.4 var(--sans); margin: 0; width: 9.5rem; overflow-wrap: anywhere; }
.audit-card img, .audit-card .gone { display: block; width: 6rem; height: 9rem; background: var(--wash); }
.audit-card code, .audit-list code { font-size: .75rem; overflow-wrap: anywhere; }
.audit-card p, .audit-card code, .audit-card strong { display: block; margin: .2rem 0 0; }
.audit-cards { display: flex; flex-wrap: wrap; gap: 1.4rem 1.2rem; margin: .8rem 0; }
.audit-set { display: flex; flex-wrap: wrap; gap: 1rem; padding: .8rem; border: 1px solid var(--rule); }
.audit-set .kept { color: var(--accent); }
.audit-set .out { color: var(--second); }
.audit-list { font: .8125rem/1.5 var(--sans); }
.flow { font: 600 1.35rem/1.3 var(--serif); }
.audit-kind { margin: 2rem 0; }
.audit-kind h3 { font-size: 1.1rem; }
.audit-kind > summary { font: .875rem var(--sans); }
"""


@dataclass(frozen=True)
class Totals:
    """How rows became films, and which of these stay; each line is the one above less what is left out.

    Attributes:
        rows: rows that were read, None where the catalogue does not come from tables.
        films: films of the catalogue.
        reasons: why a row gives no film of its own -> findings; a row may have several.
        left_out: flag -> films left out, each counted once, by its first finding.
        staying: films that stay.
    """

    rows: int | None
    films: int
    reasons: dict[str, int]
    left_out: dict[str, int]
    staying: int


def totals(findings: Findings, catalogue: Catalogue, staying: Catalogue) -> Totals:
    """Count how rows became films, and films those that stay."""
    kept = {film.film_id for film in staying.films}
    out = {film.film_id for film in catalogue.films} - kept
    first: dict[str, str] = {}
    for finding in sorted(findings, key=lambda one: list(FLAGS).index(one.flag)):
        if finding.drops and finding.film_id in out:
            first.setdefault(finding.film_id, finding.flag)
    left_out = Counter(first.get(film_id, "no-genre") for film_id in out)
    reading = catalogue.findings.counts
    return Totals(
        rows=sum(source.rows for source in catalogue.sources) or None,
        films=len(catalogue),
        reasons={flag: reading[flag] for flag in (*NO_FILM, *ONE_FILM) if flag in reading},
        left_out={flag: left_out[flag] for flag in FLAGS if left_out[flag]},
        staying=len(staying),
    )


def write_audit(
    findings: Findings,
    catalogue: Catalogue,
    folder: str | Path,
    *,
    staying: Catalogue,
    report: str = "",
    review: str = "",
) -> None:
    """Write `findings.csv` and `audit.html` into a folder, each whole or not at all.

    Args:
        findings: what `audit` returned (and reading, if wished).
        catalogue: the catalogue it looked at.
        folder: made where it is not there.
        staying: the catalogue without the films that are left out.
        report: the report, as a path from the folder; "" where there will be none.
        review: the command that opens the review of these films; "" where there is none.

    Raises:
        OnesheetError: the folder cannot be written or the disk is full.
    """
    findings.write_csv(Path(folder) / "findings.csv")
    page = audit_page(findings, catalogue, staying=staying, report=report, review=review)
    write_text(Path(folder) / "audit.html", page)


def audit_page(
    findings: Findings, catalogue: Catalogue, *, staying: Catalogue, report: str = "", review: str = ""
) -> str:
    """The page as HTML: totals, what was found in three groups with examples, and how the genres are balanced."""
    counted = totals(findings, catalogue, staying)
    style = (files("onesheet.reporting") / "templates" / "report.css").read_text(encoding="utf-8")
    films = {film.film_id: film for film in catalogue.films}
    groups = _groups(findings)
    sections = "".join(
        f'<section id="{name}"><h2>{title}</h2><p class="note">{note}</p>'
        f"{''.join(_kind(flag, findings.of(flag), films) for flag in flags)}</section>"
        for (name, title, note), flags in groups.items()
    )
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in groups)
    links += f'<a href="{escaped(report)}">Report</a>' if report else ""
    if not len(findings):
        sections = "<p>Nothing wrong was found.</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Audit: {counted.staying:,} of {counted.films:,} films stay</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}{_STYLE}</style></head><body>
<header>
<p class="kicker">onesheet audit · {len(catalogue.genres)} genres · {len(findings):,} findings</p>
<h1>{counted.staying:,} of {counted.films:,} films stay</h1>
<p class="flow">{_flow(counted)}</p>
</header>
<nav aria-label="Sections"><a href="#totals">Totals</a>{links}<a href="#balance">Balance</a></nav>
<main>
<section id="totals"><h2>From rows to films</h2>
<div class="totals">{_scroll(_totals_table(counted))}</div>
<p>No file was changed. All findings are in <code>findings.csv</code>, long lists in files beside it.</p>
{_review(review)}
{"".join(f'<p class="note">{escaped(line)}</p>' for line in understood_lines(catalogue.understood))}
</section>
{sections}
<section id="balance"><h2>Films per genre</h2>
{_scroll(_balance(catalogue))}
</section>
</main>
<footer class="note">Written by onesheet. This file needs nothing but itself.</footer>
</body></html>
"""


def _flow(counted: Totals) -> str:
    """1,500 rows → 1,491 films → 1,469 films stay."""
    rows = [] if counted.rows is None else [f"{counted.rows:,} rows"]
    return " → ".join([*rows, f"{counted.films:,} films", f"{counted.staying:,} films stay"])


def _totals_table(counted: Totals) -> Markup:
    rows: list[tuple[str, str, str]] = []
    if counted.rows is not None:
        reasons = ", ".join(f"{flag} {count:,}" for flag, count in counted.reasons.items())
        several = f" ({reasons}; a row may have several)" if reasons else ""
        rows.append((Markup("<strong>rows read</strong>"), f"{counted.rows:,}", ""))
        rows.append(("rows without a film of their own", f"−{counted.rows - counted.films:,}", several.strip(" ()")))
    rows.append((Markup("<strong>films with a poster and a genre</strong>"), f"{counted.films:,}", ""))
    rows += [(_link(flag), f"−{count:,}", FLAGS[flag]) for flag, count in counted.left_out.items()]
    rows.append((Markup("<strong>films that stay</strong>"), f"{counted.staying:,}", ""))
    return table(("", "number", "why"), rows)


def _review(command: str) -> str:
    if not command:
        return ""
    return (
        f"<p>To look at these films and correct their genres, run <code>{escaped(command)}</code> and open "
        '<a href="http://127.0.0.1:8000/#review">the review</a>.</p>'
    )


def _groups(findings: Findings) -> dict[tuple[str, str, str], list[str]]:
    """(id, title, note) -> flags found: what is removed, what is kept but should be checked, and the rest."""
    removed = [flag for flag in findings.counts if flag in NO_FILM or any(one.drops for one in findings.of(flag))]
    check = [flag for flag in findings.counts if flag not in removed and flag not in INFORMATION]
    rest = [flag for flag in findings.counts if flag in INFORMATION and flag not in removed]
    groups = {
        ("removed", "Removed", "Rows and films that are left out."): removed,
        ("check", "Kept, but check", "Films that stay and may be wrong."): check,
        ("information", "Information", "Decisions taken on the way, and what to expect."): rest,
    }
    return {group: flags for group, flags in groups.items() if flags}


def _balance(catalogue: Catalogue) -> Markup:
    """Films per genre, commonest first."""
    counts = catalogue.labels.sum(axis=0).tolist()
    genres = sorted(zip(counts, catalogue.genres.names, strict=True), key=lambda genre: (-genre[0], genre[1]))
    most = max(counts, default=0) or 1
    return table(("genre", "share", "films"), [(name, bar(count / most), f"{count:,}") for count, name in genres])


def _kind(flag: str, findings: Findings, films: dict[str, Film]) -> str:
    """One flag: a few cards, the clearest first, and a list of the rest."""
    sets = _sets(flag, findings)
    shown, rest = sets[:CARDS], [one for members in sets[CARDS:] for one in members]
    cards = "".join(_card(members, films) for members in shown)
    head = f'<h3>{flag}: {findings.counts[flag]:,}</h3><p class="note">{escaped(_capital(FLAGS[flag]))}.</p>'
    return f'<div class="audit-kind" id="{flag}">{head}<div class="audit-cards">{cards}</div>{_list(rest)}</div>'


def _sets(flag: str, findings: Findings) -> list[Sequence[Finding]]:
    """Duplicates together, the film that is kept first; every other finding alone, the clearest first."""
    if flag not in DUPLICATES:
        return [[one] for one in sorted(findings, key=lambda one: -one.score)]
    sets: dict[str, list[Finding]] = {}
    for one in findings:
        sets.setdefault(one.group or one.film_id, []).append(one)
    members = (sorted(each, key=lambda one: one.drops) for each in sets.values())
    return sorted(members, key=lambda each: -max(one.score for one in each))


def _card(members: Sequence[Finding], films: dict[str, Film]) -> str:
    if members[0].flag not in DUPLICATES:
        return _figure(members[0], films)
    more = f'<p class="note">and {len(members) - MEMBERS:,} more</p>' if len(members) > MEMBERS else ""
    return (
        f'<div class="audit-set">{"".join(_figure(one, films, marked=True) for one in members[:MEMBERS])}{more}</div>'
    )


def _figure(finding: Finding, films: dict[str, Film], *, marked: bool = False) -> str:
    """A poster with its file's name, its film, and what was seen and done."""
    film = films.get(finding.film_id)
    title = film.title if film and film.title else finding.film_id
    genres = f"<p>{escaped(', '.join(film.genres))}</p>" if film and marked else ""
    mark = ""
    if marked:
        mark = '<strong class="out">left out</strong>' if finding.drops else '<strong class="kept">kept</strong>'
    return (
        f'<figure class="audit-card">{_poster(finding)}{mark}{_file(finding)}'
        f"{f'<strong>{escaped(title)}</strong>' if title else ''}{genres}"
        f'<p>{escaped(finding.detail)}</p><p class="note">{escaped(finding.action)}</p></figure>'
    )


def _list(findings: Sequence[Finding]) -> str:
    """The findings that have no card, each with its file's name."""
    if not findings:
        return ""
    lines = "".join(f"<li>{_file(one)} {escaped(one.detail)}</li>" for one in findings[:LISTED])
    more = f"<li>{len(findings) - LISTED:,} more in findings.csv</li>" if len(findings) > LISTED else ""
    return f'<details><summary>{len(findings):,} more</summary><ul class="audit-list">{lines}{more}</ul></details>'


def _file(finding: Finding) -> str:
    """The poster file's name, its path on pointing at it."""
    if not finding.poster:
        return ""
    return f'<code title="{escaped(finding.poster)}">{escaped(Path(finding.poster).name)}</code>'


def _poster(finding: Finding) -> str:
    """The poster as a small embedded picture, an empty frame where it cannot be shown."""
    try:
        pixels = read_poster(finding.poster, size=_THUMBNAIL, resize="pad") if finding.poster else None
    except UnreadablePoster:
        return '<span class="gone"></span>'
    return "" if pixels is None else f'<img src="{picture(pixels)}" alt="Poster of {escaped(finding.film_id)}">'


def _link(flag: str) -> Markup:
    return Markup(f'<a href="#{flag}">{flag}</a>')


def _scroll(content: Markup) -> str:
    return f'<div class="scroll" tabindex="0" role="group" aria-label="Table, scrollable">{content}</div>'


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]

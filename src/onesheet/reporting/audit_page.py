"""The audit as files: `findings.csv`, and `audit.html`, one self-contained page for a person to read.

The page is made of `markup`'s tables and not of a template, as an audit needs no more than the core.
"""

from __future__ import annotations

from pathlib import Path

from onesheet.data.catalogue import Catalogue
from onesheet.data.findings import FLAGS, Finding, Findings
from onesheet.data.source_summary import understood_lines
from onesheet.errors import UnreadablePoster
from onesheet.files import write_text
from onesheet.images import read_poster
from onesheet.markup import Markup, bar, escaped, picture, table

EXAMPLES = 8

_THUMBNAIL = (96, 64)
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; }
th, td { border-bottom: 1px solid #ddd; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #ddd; } th, td { border-color: #444; } }
"""


def write_audit(findings: Findings, catalogue: Catalogue, folder: str | Path) -> None:
    """Write `findings.csv` and `audit.html` into a folder, each whole or not at all.

    Args:
        findings: what `audit` returned (and reading, if wished).
        catalogue: the catalogue it looked at.
        folder: made where it is not there.

    Raises:
        OnesheetError: the folder cannot be written or the disk is full.
    """
    findings.write_csv(Path(folder) / "findings.csv")
    write_text(Path(folder) / "audit.html", audit_page(findings, catalogue))


def audit_page(findings: Findings, catalogue: Catalogue) -> str:
    """The page as HTML: what was found, how the genres are balanced, and examples of each kind."""
    dropped = len(catalogue) - len(catalogue.without(findings))
    sections = "".join(_section(flag, findings.of(flag)) for flag in findings.counts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Audit of {len(catalogue):,} posters</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>Audit of {len(catalogue):,} posters</h1>
<p>{len(findings):,} findings. {dropped:,} films are left out by them, {len(catalogue) - dropped:,} stay.
No file was changed. All findings are in <code>findings.csv</code>, long lists in files beside it.</p>
{"".join(f"<p>{escaped(line)}</p>" for line in understood_lines(catalogue.understood))}
{_summary(findings)}
<h2>Films per genre</h2>
{_balance(catalogue)}
{sections}
</body></html>
"""


def _summary(findings: Findings) -> str:
    if not len(findings):
        return "<p>Nothing wrong was found.</p>"
    rows = []
    for flag, count in findings.counts.items():
        drops = sum(finding.drops for finding in findings.of(flag))
        rows.append((Markup(f'<a href="#{flag}">{flag}</a>'), f"{count:,}", f"{drops:,}", FLAGS[flag]))
    return table(("flag", "found", "left out", "meaning"), rows)


def _balance(catalogue: Catalogue) -> str:
    """Films per genre, commonest first."""
    counts = catalogue.labels.sum(axis=0).tolist()
    genres = sorted(zip(counts, catalogue.genres.names, strict=True), key=lambda genre: (-genre[0], genre[1]))
    most = max(counts, default=0) or 1
    return table(("genre", "", "films"), [(name, bar(count / most), f"{count:,}") for count, name in genres])


def _section(flag: str, findings: Findings) -> str:
    """A few findings of one flag, the clearest first."""
    examples = sorted(findings, key=lambda finding: -finding.score)[:EXAMPLES]
    shown = f", {len(examples)} shown" if len(findings) > len(examples) else ""
    rows = [(_poster(one), one.film_id, f"{one.score:.2f}", one.detail, one.action) for one in examples]
    return (
        f'<h2 id="{flag}">{flag}</h2><p>{escaped(FLAGS[flag]).capitalize()}: {len(findings):,}{shown}.</p>'
        f"{table(('poster', 'film', 'score', 'what was seen', 'what to do'), rows)}"
    )


def _poster(finding: Finding) -> Markup:
    """The poster as a small embedded picture, its path where it cannot be shown."""
    path = escaped(finding.poster)
    try:
        pixels = read_poster(finding.poster, size=_THUMBNAIL, resize="pad") if finding.poster else None
    except UnreadablePoster:
        return Markup(f"<code>{path}</code>")
    return Markup("" if pixels is None else f'<img src="{picture(pixels)}" alt="{path}" title="{path}">')

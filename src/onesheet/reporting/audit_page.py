"""The audit as files: `findings.csv`, and `audit.html`, one self-contained page for a person to read."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

from PIL import Image

from onesheet.data.catalogue import Catalogue
from onesheet.data.findings import FLAGS, Finding, Findings
from onesheet.errors import UnreadablePoster
from onesheet.files import write_text
from onesheet.images import read_poster

EXAMPLES = 8

_THUMBNAIL = (96, 64)
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; }
th, td { border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd; } th, td { border-color: #444; } svg { fill: #ddd; }
}
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
No file was changed. All findings are in <code>findings.csv</code>.</p>
{_summary(findings)}
<h2>Films per genre</h2>
{_balance(catalogue)}
{sections}
</body></html>
"""


def _summary(findings: Findings) -> str:
    if not len(findings):
        return "<p>Nothing wrong was found.</p>"
    rows = "".join(
        f'<tr><td><a href="#{flag}">{flag}</a></td><td class="number">{count:,}</td>'
        f'<td class="number">{sum(finding.drops for finding in findings.of(flag)):,}</td>'
        f"<td>{escape(FLAGS[flag])}</td></tr>"
        for flag, count in findings.counts.items()
    )
    return (
        '<table><tr><th>flag</th><th class="number">found</th><th class="number">left out</th>'
        f"<th>meaning</th></tr>{rows}</table>"
    )


def _balance(catalogue: Catalogue) -> str:
    """Films per genre as bars, commonest first: inline SVG."""
    counts = catalogue.labels.sum(axis=0).tolist()
    bars = sorted(zip(counts, catalogue.genres.names, strict=True), key=lambda bar: (-bar[0], bar[1]))
    most = max(counts, default=0) or 1
    drawn = "".join(
        f'<text x="170" y="{22 * row + 16}" text-anchor="end">{_text(name)}</text>'
        f'<rect x="180" y="{22 * row + 3}" width="{520 * count / most:.1f}" height="17" fill="#4878a8"/>'
        f'<text x="{186 + 520 * count / most:.1f}" y="{22 * row + 16}">{count:,}</text>'
        for row, (count, name) in enumerate(bars)
    )
    label = "Bar plot of the number of films per genre"
    return f'<svg viewBox="0 0 780 {22 * len(bars) + 6}" role="img" aria-label="{label}">{drawn}</svg>'


def _section(flag: str, findings: Findings) -> str:
    """A few findings of one flag, the clearest first."""
    examples = sorted(findings, key=lambda finding: -finding.score)[:EXAMPLES]
    rows = "".join(
        f"<tr><td>{_picture(finding)}</td><td>{_text(finding.film_id)}</td>"
        f'<td class="number">{finding.score:.2f}</td><td>{_text(finding.detail)}</td>'
        f"<td>{_text(finding.action)}</td></tr>"
        for finding in examples
    )
    shown = f", {len(examples)} shown" if len(findings) > len(examples) else ""
    return (
        f'<h2 id="{flag}">{flag}</h2><p>{escape(FLAGS[flag]).capitalize()}: {len(findings):,}{shown}.</p>'
        '<table><tr><th>poster</th><th>film</th><th class="number">score</th><th>what was seen</th>'
        f"<th>what to do</th></tr>{rows}</table>"
    )


def _picture(finding: Finding) -> str:
    """The poster as a small embedded picture, its path where it cannot be shown."""
    if not finding.poster:
        return ""
    path = _text(finding.poster)
    try:
        pixels = read_poster(finding.poster, size=_THUMBNAIL, resize="pad")
    except UnreadablePoster:
        return f"<code>{path}</code>"
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{data}" alt="{path}" title="{path}">'


def _text(value: str) -> str:
    """Escaped for HTML; bytes of a file name that are no letters are shown as \\xNN."""
    return escape(value.encode("utf-8", "backslashreplace").decode("utf-8"))

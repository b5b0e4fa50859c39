"""The tables of docs/results.json, on the pages that show them.

python benchmarks/results_pages.py

An entry of results.json has `command`, `measured` (date, hardware, model), `columns` and `rows`; a row is its name and
its cells: a number, [value, low, high], text, or null. A page shows an entry between `<!-- results NAME -->` and
`<!-- /results -->`; `<!-- results NAME | COLUMN | COLUMN -->` shows these columns alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results.json"
MARKS = re.compile(r"<!-- results ([^\n]+?) -->\n.*?<!-- /results -->", re.DOTALL)


def main() -> None:
    """Write every page's tables."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        page.write_text(with_tables(text, read()), encoding="utf-8")


def pages() -> list[Path]:
    """The pages that show results."""
    return [path for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))] if MARKS.search(path.read_text())]


def read() -> dict[str, Any]:
    """Every entry, by name."""
    entries: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return entries


def record(name: str, *, command: str, measured: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write an entry into results.json, a row a line so that changes can be read."""
    entries = read() if RESULTS.exists() else {}
    entries[name] = {
        "command": command,
        "measured": measured,
        "columns": list(columns),
        "rows": [list(r) for r in rows],
    }
    parts = []
    for key, entry in entries.items():
        head = "".join(f"  {json.dumps(k)}: {_json(v)},\n" for k, v in entry.items() if k != "rows")
        body = ",\n".join(f"   {_json(row)}" for row in entry["rows"])
        parts.append(f' {json.dumps(key)}: {{\n{head}  "rows": [\n{body}\n  ]\n }}')
    RESULTS.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def with_tables(text: str, entries: dict[str, Any]) -> str:
    """A page with the tables that its marks name."""

    def table(marks: re.Match[str]) -> str:
        name, *chosen = (part.strip() for part in marks[1].split("|"))
        return f"<!-- results {marks[1]} -->\n{markdown(entries[name], chosen)}\n<!-- /results -->"

    return MARKS.sub(table, text)


def markdown(entry: dict[str, Any], chosen: Sequence[str] = ()) -> str:
    """An entry's table and where it is from."""
    columns = entry["columns"]
    kept = [columns.index(name) for name in chosen] or list(range(1, len(columns)))
    lines = [[columns[0], *(columns[at] for at in kept)], ["---"] * (len(kept) + 1)]
    lines += [[row[0], *(cell(row[at]) for at in kept)] for row in entry["rows"]]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{entry['measured']} Command: `{entry['command']}`."


def cell(value: Any) -> str:
    """A cell as pages show it."""
    if value is None:
        return "–"
    if isinstance(value, list):
        middle, low, high = value
        return f"{middle:.3f} ({low:.3f}–{high:.3f})"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()

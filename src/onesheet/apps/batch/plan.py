"""The plan of a batch: which posters are in which part, in order; written before the first part.

`_batch/plan.parquet` lists the source, one row group per part. `_batch/batch.json` has what the results depend on and
is written last. A part is a pure function of both files, its number and the model, so any worker can make any part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import Any

from onesheet.apps.batch.batch_source import Listed, Source
from onesheet.apps.batch.storage import Place
from onesheet.errors import NEWER, CatalogueError, RunError, require, without_passwords
from onesheet.files import parse_json

PROTOCOL = 1
FOLDER = "_batch"  # readers of a folder of Parquet files ignore names that begin with _
PLAN = f"{FOLDER}/plan.parquet"
BATCH = f"{FOLDER}/batch.json"


@dataclass(frozen=True)
class Plan:
    """The plan of a batch.

    Attributes:
        source: absolute path or URL; in `batch.json` without its user and password.
        kind: "folder", "table", "tar" or "parquet".
        listing: SHA-256 of the source's list, hexadecimal.
        listed: number of posters, or of shards.
        model: SHA-256 of the model file, hexadecimal.
        at: operating point.
        form: format of the parts: "parquet", "csv" or "jsonl".
        part_rows: posters per part; a shard is always one part.
        protocol: version of this schema.
    """

    source: str
    kind: str
    listing: str
    listed: int
    model: str
    at: str
    form: str
    part_rows: int
    protocol: int = PROTOCOL

    @property
    def group(self) -> int:
        """Rows of the plan per part."""
        return self.part_rows if self.kind in ("folder", "table") else 1

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.listed // self.group)

    def part_name(self, number: int) -> str:
        """The name of a part's file; sorted by name, the rows are in the order of the source."""
        width = max(5, len(str(self.parts - 1)))
        return f"part-{number:0{width}}.{self.form}"

    def part_listed(self, number: int) -> int:
        """Number of posters or shards listed for a part."""
        return min(self.group, self.listed - number * self.group)


def begin(
    place: Place, source: Source, *, model: str, at: str, form: str, part_rows: int, notify: Callable[[str], None]
) -> Plan:
    """The plan in a folder if it is this batch's, else a new one.

    Args:
        notify: called if a folder of posters has changed since its batch began; the batch keeps the old list.

    Raises:
        RunError: the folder contains another batch or other files.
        CatalogueError: the source is empty.
    """
    old = read_plan(place)
    group = Plan("", source.kind, "", 0, "", "", "", part_rows).group
    if old is None:
        if others := sorted(place.names() - {FOLDER}):
            raise RunError(f"{place.url!r} contains other files, such as {others[0]!r}; pass a new folder to --out")
        with place.whole(PLAN) as path:
            listing, listed = _written(path, source.listing(), group)
    else:
        listing, listed = _digest(source.listing())
    if not listed:
        raise CatalogueError(f"{source.location!r} is empty; pass a source with at least one poster")
    plan = Plan(source.location, source.kind, listing, listed, model, at, form, part_rows)
    if old is not None:
        _check_same(place, old, plan, notify)
        return replace(old, source=plan.source)
    with place.whole(BATCH) as path:
        path.write_text(json.dumps(asdict(_shown(plan)), indent=1) + "\n", encoding="utf-8")
    return plan


def read_plan(place: Place) -> Plan | None:
    """The plan in a folder; None if there is none yet.

    Raises:
        RunError: it is damaged, or has a newer protocol.
    """
    try:
        with place.open(BATCH) as file:
            stored: Any = parse_json(file.read())
        if stored["protocol"] > PROTOCOL:
            raise RunError(f"the batch in {place.url!r} is of a newer onesheet; {NEWER}")
        return Plan(**stored)
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{BATCH!r} in {place.url!r} is damaged; pass another folder to --out") from error


class PlanFile:
    """The opened list of a plan."""

    def __init__(self, place: Place) -> None:
        parquet = require("pyarrow.parquet", purpose="batch", extra="batch")
        self._file = parquet.ParquetFile(place.open(PLAN))

    def part(self, number: int) -> Iterator[Listed]:
        """The posters or shards of a part, in order."""
        for row in self._file.read_row_group(number).to_pylist():
            yield Listed(_text(row["path"]), _text(row["location"]), row["size"])


def _check_same(place: Place, old: Plan, new: Plan, notify: Callable[[str], None]) -> None:
    """Check that the batch in a folder is the requested one."""
    old, new = _shown(old), _shown(new)
    for item in fields(Plan):
        before, now = getattr(old, item.name), getattr(new, item.name)
        if item.name not in ("protocol", "listing", "listed") and before != now:
            raise RunError(
                f"{place.url!r} contains a batch with {item.name} = {before!r}, not {now!r}; "
                "pass it as before, or pass another folder to --out"
            )
    if old.listing == new.listing:
        return
    if old.kind != "folder":
        raise RunError(
            f"{old.source!r} has changed since the batch in {place.url!r} began ({old.listed:,} listed, "
            f"now {new.listed:,}); pass another folder to --out"
        )
    notify(
        f"{old.source!r} has changed since this batch began: {old.listed:,} posters then, {new.listed:,} now; "
        f"these {old.listed:,} are predicted"
    )


def _shown(plan: Plan) -> Plan:
    """A plan without the user and password in its source."""
    return replace(plan, source=without_passwords(plan.source))


def _digest(listing: Iterator[Listed]) -> tuple[str, int]:
    """SHA-256 of a listing, and its length."""
    digest, count = hashlib.sha256(), 0
    for row in listing:
        digest.update(json.dumps(row).encode())
        count += 1
    return digest.hexdigest(), count


def _written(path: Any, listing: Iterator[Listed], group: int) -> tuple[str, int]:
    """Write a listing, `group` rows a row group; its SHA-256 and its length."""
    arrow = require("pyarrow", purpose="batch", extra="batch")
    parquet = require("pyarrow.parquet", purpose="batch", extra="batch")
    schema = arrow.schema([("path", arrow.binary()), ("location", arrow.binary()), ("size", arrow.int64())])
    digest, count = hashlib.sha256(), 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while rows := list(islice(listing, group)):
            for row in rows:
                digest.update(json.dumps(row).encode())
            count += len(rows)
            columns = [[_bytes(row.path) for row in rows], [_bytes(row.location) for row in rows]]
            writer.write_table(arrow.table([*columns, [row.size for row in rows]], schema=schema), row_group_size=group)
    return digest.hexdigest(), count


def _bytes(name: str) -> bytes:
    """File names are bytes, and not always UTF-8."""
    return name.encode("utf-8", "surrogateescape")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")

"""The plan of a batch: which posters, in which order, in which part; written before the first part is.

`_batch/plan.parquet` lists the source, one row group a part; `_batch/batch.json` says what the answers depend on and is
written last. A part is a pure function of the two, its number and the model, so that any worker can make any part.
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
FOLDER = "_batch"  # readers of a folder of Parquet files pass over names that begin so
PLAN = f"{FOLDER}/plan.parquet"
BATCH = f"{FOLDER}/batch.json"


@dataclass(frozen=True)
class Plan:
    """What a batch is to do.

    Attributes:
        source: absolute path or URL; in `batch.json` without its user and password.
        kind: "folder", "table", "tar" or "parquet".
        listing: SHA-256 of what the source listed, hexadecimal.
        listed: posters, or shards where the source is such.
        model: SHA-256 of the model file, hexadecimal.
        at: operating point.
        form: of the parts: "parquet", "csv" or "jsonl".
        part_rows: posters a part; a shard is a part of its own.
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
        """Rows of the plan a part."""
        return self.part_rows if self.kind in ("folder", "table") else 1

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.listed // self.group)

    def part_name(self, number: int) -> str:
        """A part's file; in the order of the names are the rows in the order of the source."""
        width = max(5, len(str(self.parts - 1)))
        return f"part-{number:0{width}}.{self.form}"

    def part_listed(self, number: int) -> int:
        """Posters in a part, or the one shard that it is."""
        return min(self.group, self.listed - number * self.group)


def begin(
    place: Place, source: Source, *, model: str, at: str, form: str, part_rows: int, notify: Callable[[str], None]
) -> Plan:
    """The plan in a folder, if it is this very batch's, else a new one.

    Args:
        notify: called when a folder of posters has changed since its batch was begun: what was listed then is done.

    Raises:
        RunError: the folder holds another batch or other files.
        CatalogueError: the source is empty.
    """
    old = read_plan(place)
    group = Plan("", source.kind, "", 0, "", "", "", part_rows).group
    if old is None:
        if others := sorted(place.names() - {FOLDER}):
            raise RunError(f"{place.url!r} holds other files, as {others[0]!r}; choose a new folder with --out")
        with place.whole(PLAN) as path:
            listing, listed = _written(path, source.listing(), group)
    else:
        listing, listed = _digest(source.listing())
    if not listed:
        raise CatalogueError(f"nothing is listed in {source.location!r}; pass a source with at least one poster")
    plan = Plan(source.location, source.kind, listing, listed, model, at, form, part_rows)
    if old is not None:
        _check_same(place, old, plan, notify)
        return replace(old, source=plan.source)
    with place.whole(BATCH) as path:
        path.write_text(json.dumps(asdict(_shown(plan)), indent=1) + "\n", encoding="utf-8")
    return plan


def read_plan(place: Place) -> Plan | None:
    """The plan in a folder, None where there is none yet.

    Raises:
        RunError: it is damaged, or of a newer protocol.
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
        raise RunError(f"{BATCH!r} in {place.url!r} is damaged; choose another folder with --out") from error


class PlanFile:
    """The list of a plan, opened."""

    def __init__(self, place: Place) -> None:
        parquet = require("pyarrow.parquet", purpose="batch", extra="batch")
        self._file = parquet.ParquetFile(place.open(PLAN))

    def part(self, number: int) -> Iterator[Listed]:
        """What a part consists of, in order."""
        for row in self._file.read_row_group(number).to_pylist():
            yield Listed(_text(row["path"]), _text(row["location"]), row["size"])


def _check_same(place: Place, old: Plan, new: Plan, notify: Callable[[str], None]) -> None:
    """Whether the batch in a folder is the one that is asked for."""
    old, new = _shown(old), _shown(new)
    for item in fields(Plan):
        before, now = getattr(old, item.name), getattr(new, item.name)
        if item.name not in ("protocol", "listing", "listed") and before != now:
            raise RunError(
                f"{place.url!r} holds a batch with {item.name} = {before!r}, not {now!r}; "
                "pass it as before, or choose another folder with --out"
            )
    if old.listing == new.listing:
        return
    if old.kind != "folder":
        raise RunError(
            f"{old.source!r} has changed since the batch in {place.url!r} was begun ({old.listed:,} listed, "
            f"now {new.listed:,}); choose another folder with --out"
        )
    notify(
        f"{old.source!r} has changed since this batch was begun: {old.listed:,} posters then, {new.listed:,} now; "
        "those of then are done"
    )


def _shown(plan: Plan) -> Plan:
    """A plan without its source's user and password; what is read with another is in the listing."""
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

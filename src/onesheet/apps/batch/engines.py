"""Engines, which make the remaining parts; every engine writes the same bytes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from onesheet.apps.batch.parts import PartDone, PartMaker
from onesheet.apps.batch.plan import Plan, read_plan
from onesheet.apps.batch.storage import Place, file_system
from onesheet.errors import OnesheetError, RunError, require
from onesheet.predict import Predictor, load

Engine = Callable[[Place, Plan, Predictor, Sequence[int]], Iterator[PartDone]]


def _local(place: Place, plan: Plan, predictor: Predictor, left: Sequence[int]) -> Iterator[PartDone]:
    """One part after the other, each on all of the predictor's threads."""
    maker = PartMaker(place, plan, predictor)
    for number in left:
        yield maker.make(number)


def _on_ray(place: Place, plan: Plan, predictor: Predictor, left: Sequence[int]) -> Iterator[PartDone]:
    """Ray Data: one task and one core per part, on the cluster that Ray finds, else on a new one on this machine.

    Ray replaces a worker that dies, and makes its part again.
    """
    ray = require("ray", purpose="the engine 'ray'", extra="batch")
    data = require("ray.data", purpose="the engine 'ray'", extra="batch")
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it logs every step
    data.DataContext.get_current().enable_progress_bars = False
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        model = ray.put(predictor.path.read_bytes())
        url = place.url

        def task(row: dict[str, Any]) -> dict[str, Any]:
            try:
                return {"done": _maker(url, plan, model).make(row["part"]), "error": ""}
            except OnesheetError as error:  # returned as text, as Ray keeps only the text of exceptions
                return {"done": None, "error": str(error)}

        parts = data.from_items([{"part": number} for number in left], override_num_blocks=len(left))
        for row in parts.map(task, num_cpus=1).iter_rows():
            if row["error"]:
                raise OnesheetError(row["error"])
            yield PartDone(*row["done"])
    except ray.exceptions.RayError as error:
        why = str(error).strip().splitlines()[-1]
        raise OnesheetError(f"Ray failed: {why}; run the same command again") from error
    finally:
        if ours:
            ray.shutdown()


@lru_cache(maxsize=1)
def _maker(url: str, plan: Plan, model: Any) -> PartMaker:
    """One per worker process; the model's bytes come from Ray's object store, once.

    Raises:
        RunError: this worker cannot see the folder or the source.
    """
    ray = require("ray", purpose="the engine 'ray'", extra="batch")
    place = Place(url)
    if read_plan(place) is None:
        raise RunError(f"a Ray worker cannot see {url!r}; pass --out a folder that every node shares, or s3://")
    system, path = file_system(plan.source)
    if not system.exists(path):
        raise RunError(f"a Ray worker cannot see {plan.source!r}; use a source that every node shares, or s3://")
    with tempfile.TemporaryDirectory(prefix="onesheet-") as folder:
        copy = Path(folder) / "model.onnx"
        copy.write_bytes(ray.get(model))
        return PartMaker(place, plan, load(copy, threads=1))


ENGINES: dict[str, Engine] = {"local": _local, "ray": _on_ray}

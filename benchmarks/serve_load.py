"""The service under load against the predictor in process: throughput, waiting times, errors, memory.

python benchmarks/serve_load.py POSTERS [--model FILE] [--requests 10000] [--clients 32] [--files 1]

POSTERS: a folder of images; the same ones go to both. The clients run on the same cores as the service and take their
share of them; `client share` says how much. Memory is the service's own, by its metrics, after each tenth of the run.
"""

import argparse
import asyncio
import itertools
import os
import re
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2

from onesheet.predict import find_posters, load

SAMPLE = 200  # different posters


def in_process(model: str | None, posters: list[str], *, count: int) -> float:
    """Posters a second of `predict_many`, reading the files included."""
    predictor = load(model)
    list(predictor.predict_many(posters[:16]))
    begun = time.perf_counter()
    for _ in predictor.predict_many(itertools.islice(itertools.cycle(posters), count)):
        pass
    return count / (time.perf_counter() - begun)


@contextmanager
def service(model: str | None):
    """The address of a service in a process of its own."""
    code = "from onesheet.__main__ import main; raise SystemExit(main())"
    options = ["--port", "0", *(["--model", model] if model else [])]
    process = subprocess.Popen([sys.executable, "-c", code, "serve", *options], stderr=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://\S+?(?=/ )", process.stderr.readline())[0]
    finally:
        process.terminate()
        process.wait()


async def load_with(url: str, bodies: list[bytes], *, requests: int, clients: int, files: int) -> dict:
    """Send all requests from so many clients, each waiting for its answer before the next."""
    numbers, waits, errors, memory = iter(range(requests)), [], [], []

    async def one(client: httpx2.AsyncClient) -> None:
        for number in numbers:
            form = [("files", (f"{at}.jpg", bodies[(number * files + at) % len(bodies)])) for at in range(files)]
            begun = time.perf_counter()
            answer = await client.post("/v1/predict", files=form)
            waits.append(time.perf_counter() - begun)
            if answer.status_code != 200 or b'"error"' in answer.content:
                errors.append(answer.text)
            if number % max(1, requests // 10) == 0:
                text = (await client.get("/metrics")).text
                memory.append(float(re.search(r"^process_resident_memory_bytes (\S+)", text, re.M)[1]) / 2**20)

    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await client.post("/v1/predict", content=bodies[0])
        begun, worked = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one(client) for _ in range(clients)))
        seconds, worked = time.perf_counter() - begun, time.process_time() - worked
    share = worked / seconds / len(os.sched_getaffinity(0))
    return {"rate": requests * files / seconds, "share": share, "waits": waits, "errors": errors, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("posters", help="folder of images")
    parser.add_argument("--model")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--files", type=int, default=1, help="posters a request")
    given = parser.parse_args()
    posters = find_posters([given.posters])[:SAMPLE]
    count = min(given.requests * given.files, 2_000)
    alone = in_process(given.model, posters, count=count)
    bodies = [Path(poster).read_bytes() for poster in posters]
    with service(given.model) as url:
        seen = asyncio.run(load_with(url, bodies, requests=given.requests, clients=given.clients, files=given.files))
    percentiles = statistics.quantiles(seen["waits"], n=100)
    rows = [
        ("requests, clients, posters a request", f"{given.requests:,}, {given.clients}, {given.files}"),
        ("in process, posters a second", f"{alone:.1f}"),
        ("served, posters a second", f"{seen['rate']:.1f}"),
        ("ratio", f"{seen['rate'] / alone:.2f}"),
        ("client share of the cores", f"{seen['share']:.0%}"),
        ("wait, median and p99, seconds", f"{percentiles[49]:.3f}, {percentiles[98]:.3f}"),
        ("errors", f"{len(seen['errors'])}"),
        ("memory over the run, MiB", " ".join(f"{value:.0f}" for value in seen["memory"])),
    ]
    print("| metric | value |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    if seen["errors"]:
        sys.exit(f"the first error: {seen['errors'][0]}")


if __name__ == "__main__":
    main()

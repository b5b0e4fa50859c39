"""`onesheet serve`: a web page and an API on this machine."""

from __future__ import annotations

import argparse
import os
from typing import Any

from onesheet.apps.review.review_command import add_source
from onesheet.cli.console import Console
from onesheet.cli.predict_command import add_threads, positive
from onesheet.errors import require

PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def add_commands(commands: Any) -> None:
    """Add `serve`."""
    parser = commands.add_parser(
        "serve",
        help="a web page and an API on this machine",
        description="Serve a model file: a web page at /, an API described at /openapi.json. Uploads are never written "
        "to disk, and nothing leaves this machine.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", metavar="FILE", help="model file (default: the one in RUN, or that ships)")
    add_source(parser, required=False)
    parser.add_argument("--similar-in", metavar="FOLDER", help="show the nearest posters of this folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="0 = any that is free (default: 8000)")
    parser.add_argument(
        "--token", help="what clients must show; needed for every other address; better given as ONESHEET_TOKEN"
    )
    add_threads(parser)
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-file-mb", type=positive, default=20, metavar="MB", help="one image file (default: 20)")
    limits.add_argument("--max-request-mb", type=positive, default=64, metavar="MB", help="one request (default: 64)")
    limits.add_argument(
        "--max-megapixels", type=positive, default=50, metavar="MP", help="one decoded poster (default: 50)"
    )
    limits.add_argument(
        "--max-queue", type=positive, default=512, metavar="POSTERS", help="posters waiting (default: 512)"
    )
    limits.add_argument(
        "--max-seconds", type=positive, default=60, metavar="SECONDS", help="one request, upload included (default: 60)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a stop signal comes."""
    for package in PACKAGES:
        require(package, purpose="serving", extra="serve")
    from onesheet.apps.serving.limits import Limits
    from onesheet.apps.serving.server import serve

    token = arguments.token if arguments.token is not None else os.environ.get("ONESHEET_TOKEN")
    console = Console()  # lines, no bars: they would stay on the screen while it serves
    serve(
        arguments.model,
        host=arguments.host,
        port=arguments.port,
        token=token,
        limits=Limits(
            file_bytes=arguments.max_file_mb * 1_000_000,
            request_bytes=arguments.max_request_mb * 1_000_000,
            pixels=arguments.max_megapixels * 1_000_000,
            queue=arguments.max_queue,
            seconds=arguments.max_seconds,
        ),
        threads=arguments.threads,
        run=arguments.run_folder,
        catalogue=arguments.catalogue,
        decisions=arguments.decisions,
        similar_in=arguments.similar_in,
        progress=console.progress,
        notify=console.notify,
    )
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535; got {text!r}")
    return int(text)

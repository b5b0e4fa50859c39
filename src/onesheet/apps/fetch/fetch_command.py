"""`onesheet fetch`: fetch a catalogue with posters from TMDB, OMDb or web addresses."""

from __future__ import annotations

import argparse
import json
from typing import Any

from onesheet.cli.console import Console
from onesheet.cli.predict_command import positive
from onesheet.cli.step_commands import add_out, step_command

_FILMS = "IMDb ids (tt0113277), 'Title (1995)', or a text file of them, or a table of ids or titles and years"


def add_commands(commands: Any) -> None:
    """Add `fetch` and its services."""
    parser = commands.add_parser(
        "fetch",
        help="fetch a catalogue with posters from TMDB, OMDb or web addresses",
        description="Fetch films, genres and posters into a folder that train reads. After any stop, the same command "
        "resumes. Keys come from the environment: TMDB_API_KEY, OMDB_API_KEY.",
        allow_abbrev=False,
    )
    services = parser.add_subparsers(dest="service", required=True, metavar="SERVICE")
    from_tmdb = step_command(services, "tmdb", _run, "fetch films of TMDB by id, title or query")
    from_tmdb.add_argument("films", nargs="*", metavar="FILM", help=f"TMDB numbers, {_FILMS}")
    from_tmdb.add_argument("--discover", metavar="QUERY", help="query of TMDB's discover, such as with_genres=27")
    from_tmdb.add_argument(
        "--limit", type=positive, default=1000, metavar="N", help="at most N films of the query (default: 1000)"
    )
    from_tmdb.add_argument(
        "--size", default="w342", help="posters' width, from w92 to w780, or original (default: w342)"
    )
    from_omdb = step_command(services, "omdb", _run, "fetch films of OMDb by id or title")
    from_omdb.add_argument("films", nargs="+", metavar="FILM", help=_FILMS)
    from_urls = step_command(services, "urls", _run, "fetch posters by the web addresses in a table with genres")
    from_urls.add_argument("films", nargs="+", metavar="TABLE", help="tables with columns of addresses and genres")
    for service in (from_tmdb, from_omdb, from_urls):
        add_out(service, "the folder")


def _run(arguments: argparse.Namespace) -> int:
    """Fetch and print; 1 if another run may fetch more."""
    from onesheet.apps.fetch import fetch

    own = {name: value for name, value in vars(arguments).items() if name in ("discover", "limit", "size")}
    with Console() as console:
        fetched = fetch(arguments.service, arguments.films, arguments.out, progress=console.progress, **own)
    films, findings = len(fetched.catalogue), fetched.catalogue.findings.counts
    if arguments.json:
        result = {"catalogue": str(fetched.path), "films": films, "unanswered": fetched.unanswered}
        print(json.dumps(result | {"findings": findings}))
    else:
        counts = ", ".join(f"{count:,} {flag}" for flag, count in findings.items())
        print(f"wrote {fetched.path}, {films:,} films{f'; left out: {counts}' if counts else ''}")
        if fetched.unanswered:
            print(f"{fetched.unanswered:,} without an answer; run the same command again")
    return 1 if fetched.unanswered else 0

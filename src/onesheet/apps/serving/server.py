"""The service as a process: where it listens, and how it stops."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from math import ceil
from pathlib import Path
from types import FrameType

import uvicorn

from onesheet.apps.review import decisions_path, open_review, read_source
from onesheet.apps.serving.app import LOCAL_HOSTS, create_app
from onesheet.apps.serving.client_connection import Connection
from onesheet.apps.serving.limits import Limits
from onesheet.apps.serving.middleware import Gate
from onesheet.apps.serving.service import Service
from onesheet.errors import ConfigError
from onesheet.predict import index_posters, load
from onesheet.progress import Progress, silent

RUN_MODEL, REPORT = "genres.onnx", "report.html"
LEAST_TOKEN = 16
"""Characters of a token that other machines may try to guess."""

GRACE_SECONDS = 5
"""How long connections may take to close once their requests are answered."""

IDLE_SECONDS = 10
"""How long a connection may take to begin a request."""


def serve(
    model: str | Path | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    limits: Limits | None = None,
    threads: int | None = None,
    run: str | Path | None = None,
    catalogue: str | Path | None = None,
    decisions: str | Path | None = None,
    similar_in: str | Path | None = None,
    progress: Progress = silent,
    notify: Callable[[str], None],
) -> None:
    """Serve a model file until SIGTERM or Ctrl-C; requests begun are answered first.

    Args:
        model: the model file; None = the run's, or else the one that ships.
        host: address to listen at.
        port: 0 = any that is free.
        token: what clients must show as `Authorization: Bearer TOKEN`; a must beyond this machine.
        limits: what is taken at most; None = the defaults.
        threads: posters decoded and scored at the same time; None = all cores.
        run: a run's folder; the films of its validation and test sets can be reviewed, and its report read.
        catalogue: a table or folder whose films can be reviewed, in place of `run`.
        decisions: where decisions are kept; None = in the run's folder, or beside the catalogue.
        similar_in: folder of posters among which the nearest are found.
        progress: called with the posters read before the service listens.
        notify: called with lines for a person, the last of them when the service listens.

    Raises:
        ConfigError: an address of other machines without a token or with a short one, a token that cannot be sent, a
            wrong address, or decisions about nothing.
        BundleError: the model file cannot be used.
        OnesheetError: what `read_source`, `open_review` and `index_posters` raise.
    """
    _check_token(host, token)
    if decisions and not (run or catalogue):
        raise ConfigError("--decisions needs something to decide about; pass --run or --catalogue")
    source = read_source(run=run, catalogue=catalogue) if run or catalogue else None
    model = Path(run) / RUN_MODEL if run and model is None else model
    predictor = load(model, threads=threads)
    similar = index_posters(similar_in, predictor=predictor, progress=progress) if similar_in is not None else None
    review = None
    if source:
        kept = decisions or decisions_path(run=run, catalogue=catalogue)
        review = open_review(source, predictor, decisions=kept, progress=progress, notify=notify)
    app = create_app(
        predictor,
        name=Path(model).stem if model else "default",
        limits=limits,
        token=token,
        hosts=LOCAL_HOSTS | {_shown(host).lower()},
        threads=threads,
        review=review,
        similar=similar,
        report=Path(run) / REPORT if run and (Path(run) / REPORT).is_file() else None,
    )
    _run(app, host, port, notify)
    if review:
        review.store.close()


def _run(app: Gate, host: str, port: int, notify: Callable[[str], None]) -> None:
    """Listen and answer until it receives a stop signal."""
    config = uvicorn.Config(
        app,
        http=Connection,
        timeout_keep_alive=ceil(min(app.service.limits.seconds, IDLE_SECONDS)),
        log_config=None,  # uvicorn's own would close the handlers of other packages
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with _listening(host, port) as listener:
        notify(f"onesheet listens at http://{_shown(host)}:{listener.getsockname()[1]}/ (Ctrl-C stops it)")
        _Server(config, app.service).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn's server; on a stop signal it answers 503 to what is new and waits for what is begun."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: begin to stop. Second: stop now."""
        if self._service.draining:
            self.should_exit = self.force_exit = True
        self._service.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; checked ten times a second."""
        if self._service.draining and not self._service.in_flight:
            return True
        return await super().on_tick(counter)


def _check_token(host: str, token: str | None) -> None:
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(
            "the token must be ASCII letters, digits or signs without spaces; make one with: openssl rand -hex 16"
        )
    if _is_loopback(host):
        return
    if token is None:
        raise ConfigError(
            f"--host {host} lets other machines in; pass --token or set ONESHEET_TOKEN, or keep --host 127.0.0.1"
        )
    if len(token) < LEAST_TOKEN:
        raise ConfigError(
            f"--host {host} lets other machines in, which can guess a token of {len(token)} characters; "
            f"take {LEAST_TOKEN} or more, made with: openssl rand -hex 16"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _shown(host: str) -> str:
    """As it is written in a web address."""
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigError(f"cannot listen at {host} port {port}: {reason}; choose another --host or --port") from error

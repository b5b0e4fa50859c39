"""The service as a process: where it listens, and how it stops."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from onesheet.errors import ConfigError
from onesheet.predict import load
from onesheet.serving.app import LOCAL_HOSTS, create_app
from onesheet.serving.limits import Limits
from onesheet.serving.service import Service

GRACE_SECONDS = 5
"""How long connections may take to close once their requests are answered."""


def serve(
    model: str | Path | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    limits: Limits | None = None,
    threads: int | None = None,
    tell: Callable[[str], None],
) -> None:
    """Serve a model file until SIGTERM or Ctrl-C; requests begun are answered first.

    Args:
        model: the model file; None = the one that ships.
        host: address to listen at.
        port: 0 = any that is free.
        token: what clients must show as `Authorization: Bearer TOKEN`; a must beyond this machine.
        limits: what is taken at most; None = the defaults.
        threads: posters decoded and scored at the same time; None = all cores.
        tell: called with one line for a person when the service listens.

    Raises:
        ConfigError: an address of other machines without a token, a token that cannot be sent, a wrong address.
        BundleError: the model file cannot be used.
    """
    _check_token(host, token)
    predictor = load(model, threads=threads)
    shown = f"[{host}]" if ":" in host else host
    app = create_app(
        predictor,
        name=Path(model).stem if model else "default",
        limits=limits,
        token=token,
        hosts=LOCAL_HOSTS | {shown.lower()},
        threads=threads,
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with _listening(host, port) as listener:
        tell(f"onesheet listens at http://{shown}:{listener.getsockname()[1]}/ (Ctrl-C stops it)")
        _Server(config, app.service).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn's server; when told to stop it answers 503 to what is new and waits for what is begun."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: begin to stop. Second: stop now."""
        if self._service.draining:
            self.should_exit = self.force_exit = True
        self._service.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; asked ten times a second."""
        if self._service.draining and not self._service.in_flight:
            return True
        return await super().on_tick(counter)


def _check_token(host: str, token: str | None) -> None:
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(
            "the token must be ASCII letters, digits or signs without spaces; make one with: openssl rand -hex 16"
        )
    if token is None and not _is_loopback(host):
        raise ConfigError(
            f"--host {host} lets other machines in; give --token or set ONESHEET_TOKEN, or keep --host 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigError(f"cannot listen at {host} port {port}: {reason}; choose another --host or --port") from error

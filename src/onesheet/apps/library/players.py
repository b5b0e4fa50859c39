"""Refresh films in players after their NFO files were written; artwork and other metadata stay as they are.

Kodi: `VideoLibrary.RefreshMovie` and `.RefreshTVShow` of its JSON-RPC API, https://kodi.wiki/view/JSON-RPC_API/v13.
Jellyfin: a refresh of the item, https://api.jellyfin.org (`POST /Items/{itemId}/Refresh`). Films are found by the ends
of their paths, as a player may have the library under another name.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from onesheet.errors import ConfigError, OnesheetError
from onesheet.files import parse_json

SECONDS = 30
JELLYFIN_KEY = "JELLYFIN_API_KEY"
KODI_USER, KODI_PASSWORD = "KODI_USER", "KODI_PASSWORD"
KODI_KINDS = {  # list method -> its items, their id, the refresh method, and its options: read the NFO, but no episodes
    "GetMovies": ("movies", "movieid", "RefreshMovie", {"ignorenfo": False}),
    "GetTVShows": ("tvshows", "tvshowid", "RefreshTVShow", {"ignorenfo": False, "refreshepisodes": False}),
}


def refresh_kodi(url: str, films: Iterable[str]) -> list[str]:
    """Have Kodi read films' and shows' NFO files again; episodes are left alone.

    Args:
        url: address of its web server; `KODI_USER` and `KODI_PASSWORD` come from the environment.
        films: names of films, as `LibraryFilm` has them.

    Returns:
        The films that Kodi does not have.

    Raises:
        OnesheetError: Kodi cannot be reached or reports an error.
    """
    user = f"{os.environ.get(KODI_USER, '')}:{os.environ.get(KODI_PASSWORD, '')}"
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user != ":" else {}

    def call(method: str, params: Mapping[str, object]) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return _asked("Kodi", f"{url.rstrip('/')}/jsonrpc", headers, body)

    items: dict[str, tuple[str, dict[str, Any]]] = {}
    for listing, (content, number, refresh, keep) in KODI_KINDS.items():
        answer = call(f"VideoLibrary.{listing}", {"properties": ["file"]})
        for item in answer.get("result", {}).get(content, ()):
            items[str(item["file"])] = (f"VideoLibrary.{refresh}", {number: item[number], **keep})
    found, missing = _matched(items, films)
    for method, params in found:
        call(method, params)
    return missing


def refresh_jellyfin(url: str, films: Iterable[str]) -> list[str]:
    """Have Jellyfin read films' and shows' NFO files again; no metadata is replaced from other sources.

    Args:
        url: address of the server; the key comes from the environment (`JELLYFIN_API_KEY`).
        films: names of films, as `LibraryFilm` has them.

    Returns:
        The films that Jellyfin does not have.

    Raises:
        ConfigError: no key.
        OnesheetError: Jellyfin cannot be reached or reports an error.
    """
    key = os.environ.get(JELLYFIN_KEY, "").strip()
    if not key:
        raise ConfigError(f"Jellyfin needs a key; set the environment variable {JELLYFIN_KEY}")
    headers = {"Authorization": f'MediaBrowser Token="{key}"'}
    query = urlencode({"recursive": "true", "includeItemTypes": "Movie,Series", "fields": "Path"})
    answer = _asked("Jellyfin", f"{url.rstrip('/')}/Items?{query}", headers)
    items = {str(item["Path"]): item["Id"] for item in answer["Items"] if item.get("Path")}
    found, missing = _matched(items, films)
    modes = {"metadataRefreshMode": "Default", "imageRefreshMode": "None"}
    keep = {"replaceAllMetadata": "false", "replaceAllImages": "false"}
    for number in found:
        _asked("Jellyfin", f"{url.rstrip('/')}/Items/{number}/Refresh?{urlencode(modes | keep)}", headers, {})
    return missing


def _matched(items: Mapping[str, Any], films: Iterable[str]) -> tuple[list[Any], list[str]]:
    """The player's items of the films, each once, and the films without an item."""
    paths = {f"/{path}".replace("\\", "/").rstrip("/"): item for path, item in items.items()}
    found: list[Any] = []
    missing = []
    for film in dict.fromkeys(films):
        end = f"/{film}"
        mine = [item for path, item in paths.items() if f"{end}/" in path or path.endswith(end) or f"{end}." in path]
        found += [item for item in mine if item not in found]
        missing += [] if mine else [film]
    return found, missing


def _asked(player: str, url: str, headers: Mapping[str, str], body: object = None) -> Any:
    """A player's answer to a GET, or to a POST if there is a body."""
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"the address of {player} must begin with http:// or https://; got {url[:80]!r}")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            text = answer.read()
        found = parse_json(text) if text.strip() else {}
    except (OSError, ValueError) as error:  # urllib's errors are OSErrors; none of them has the headers
        why = f"status {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        raise OnesheetError(f"{player} does not answer ({why}); check its address and key") from None
    if isinstance(found, dict) and "error" in found:
        raise OnesheetError(f"{player} reports an error: {str(found['error'])[:200]}; check its version")
    return found

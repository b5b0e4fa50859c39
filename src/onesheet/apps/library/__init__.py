"""Genres for film libraries of Kodi, Jellyfin and Plex: suggestions, changes, and NFO files written with care."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Genres for film libraries of Kodi, Jellyfin and Plex: suggest them, and write them to NFO files with backups."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

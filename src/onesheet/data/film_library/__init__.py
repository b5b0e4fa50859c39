"""Film libraries of Kodi, Jellyfin and Plex: films, their NFO files and posters."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

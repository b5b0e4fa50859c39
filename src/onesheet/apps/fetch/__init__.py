"""Fetch a catalogue with posters by ids, titles or a query, from TMDB, OMDb or web addresses."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

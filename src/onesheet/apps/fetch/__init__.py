"""From ids, titles or a query to a catalogue with posters, by way of TMDB, OMDb or plain addresses."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

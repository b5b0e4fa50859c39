"""Labels get better: a queue of films to look at, decisions in an SQLite file, a corrected catalogue."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Catalogues: posters and genres read from any collection, with findings for what is left out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

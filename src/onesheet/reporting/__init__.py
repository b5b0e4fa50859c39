"""Pages, plots and the verdict in words that show an evaluation, a comparison or an audit."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Training with PyTorch: from a packed catalogue to a run. torch loads with first use."""

import lazy_loader

from onesheet.threads import let_waiting_threads_sleep

let_waiting_threads_sleep()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Training from a model file, without PyTorch: features through ONNX Runtime, one convex problem a genre."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Export to the one model file: from a run, a Keras model or an ONNX classifier; and to a Hugging Face folder."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

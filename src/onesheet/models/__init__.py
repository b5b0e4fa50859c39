"""Networks from posters to logits: alexnet, poster-cnn and any image backbone of transformers."""

from onesheet.errors import require

require("torch", purpose="building a network", extra="train")

from onesheet.models.alexnet import TenCrop  # noqa: E402
from onesheet.models.network import Ensemble, Output, PosterNetwork  # noqa: E402
from onesheet.models.registry import build_network, default_size  # noqa: E402

__all__ = ["Ensemble", "Output", "PosterNetwork", "TenCrop", "build_network", "default_size"]

"""Prediction from a model file: no torch from here down."""

from typing import TYPE_CHECKING

from onesheet.lazy import first_use

if TYPE_CHECKING:
    from onesheet.predict.explain import heat_maps
    from onesheet.predict.heat_map import HeatMap
    from onesheet.predict.posters import find_posters
    from onesheet.predict.predictor import DEFAULT_MODEL, Predictor, load
    from onesheet.predict.results import Failure, Prediction
    from onesheet.predict.scoring import score_part
    from onesheet.predict.similar import Neighbour, PosterIndex, index_posters

__all__ = [
    "DEFAULT_MODEL",
    "Failure",
    "HeatMap",
    "Neighbour",
    "PosterIndex",
    "Prediction",
    "Predictor",
    "find_posters",
    "heat_maps",
    "index_posters",
    "load",
    "score_part",
]

__getattr__, __dir__ = first_use(
    __name__,
    {
        "heat_maps": "explain",
        "HeatMap": "heat_map",
        "find_posters": "posters",
        "DEFAULT_MODEL": "predictor",
        "Predictor": "predictor",
        "load": "predictor",
        "Failure": "results",
        "Prediction": "results",
        "score_part": "scoring",
        "Neighbour": "similar",
        "PosterIndex": "similar",
        "index_posters": "similar",
    },
)

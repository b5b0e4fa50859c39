"""Prediction from a model file: no torch from here down."""

from onesheet.predict.posters import find_posters
from onesheet.predict.predictor import DEFAULT_MODEL, Predictor, load
from onesheet.predict.results import Failure, Prediction
from onesheet.predict.scoring import score_part

__all__ = ["DEFAULT_MODEL", "Failure", "Prediction", "Predictor", "find_posters", "load", "score_part"]

from .pipeline import Adaptation as Adaptation
from .pipeline import adapt as adapt
from .predict import Failure as Failure
from .predict import Prediction as Prediction
from .predict import Predictor as Predictor
from .predict import load as load

__version__: str

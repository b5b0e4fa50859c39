from .class_activation import grad_cam as grad_cam
from .config import TrainConfig as TrainConfig
from .fitting import fit as fit
from .run import Run as Run
from .run import open_run as open_run

from .features import SourceFeatures as SourceFeatures
from .features import source_features as source_features
from .graph import write_adapted as write_adapted
from .heads import Heads as Heads
from .heads import fit_heads as fit_heads

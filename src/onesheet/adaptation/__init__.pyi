from .adapting import Adapting as Adapting
from .adapting import start_from as start_from
from .features import SourceFeatures as SourceFeatures
from .features import source_features as source_features
from .heads import Heads as Heads
from .heads import fit_heads as fit_heads

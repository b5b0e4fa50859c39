from .adapting import Adapting as Adapting
from .adapting import start_from as start_from
from .embedding_cache import SourceFeatures as SourceFeatures
from .embedding_cache import source_features as source_features
from .heads import Heads as Heads
from .heads import fit_heads as fit_heads

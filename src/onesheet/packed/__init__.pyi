from .packing import pack as pack
from .splitting import SPLITS as SPLITS
from .splitting import WHOLE as WHOLE
from .splitting import Split as Split
from .splitting import read_split as read_split
from .splitting import split as split
from .store import Packed as Packed
from .store import open_packed as open_packed

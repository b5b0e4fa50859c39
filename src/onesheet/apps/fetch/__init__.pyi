from .fetching import Fetched as Fetched
from .fetching import fetch as fetch

from .films import LibraryFilm as LibraryFilm
from .scanning import Library as Library
from .scanning import Remark as Remark
from .scanning import scan_library as scan_library
from .scanning import unreadable_posters as unreadable_posters

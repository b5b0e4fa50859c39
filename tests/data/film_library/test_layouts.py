from __future__ import annotations

from pathlib import Path

from drawn_library import LAYOUTS, lay_out
from onesheet.data.film_library import scan_library


def test_every_film_of_forty_layouts_is_found_exactly_once(tmp_path: Path) -> None:
    wanted = lay_out(tmp_path, 2000)
    library = scan_library(tmp_path)
    found = [film.name for film in library.films]
    assert LAYOUTS == 40 and len(wanted) == 2000
    assert len(found) == len(set(found)) and set(found) == wanted
    assert library.unread == ()

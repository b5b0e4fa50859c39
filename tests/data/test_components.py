from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onesheet.data.components import connected


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_connected_is_the_closure(pairs: list[tuple[int, int]]) -> None:
    reach = np.eye(30, dtype=bool)
    for a, b in pairs:
        reach[a, b] = reach[b, a] = True
    for middle in range(30):
        reach |= reach[:, middle : middle + 1] & reach[middle]
    assert connected(30, pairs) == reach.argmax(axis=1).tolist()

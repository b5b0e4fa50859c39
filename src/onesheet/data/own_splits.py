"""The split that a collection comes with: names of splits, as people write them."""

from __future__ import annotations

import re

SPLITS = ("train", "validation", "test")
_SPELLINGS = {
    **{name: name for name in SPLITS},
    **{"training": "train", "trainset": "train", "trn": "train"},
    **{"val": "validation", "valid": "validation", "validate": "validation", "dev": "validation", "eval": "validation"},
    **{"testing": "test", "tst": "test", "testset": "test", "holdout": "test"},
}
SPLIT_NAMES = tuple(_SPELLINGS)


def split_name(written: str) -> str:
    """The split that a word means, "" where it means none.

    Example:
        >>> split_name("Training"), split_name("valid"), split_name("Drama")
        ('train', 'validation', '')
    """
    return _SPELLINGS.get(written.strip().lower(), "")


def split_in_name(stem: str) -> str:
    """The split that a file's name says, "" where it says none or several.

    Example:
        >>> split_in_name("movies_train"), split_in_name("MovieGenre")
        ('train', '')
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem)  # trainSet
    found = {split_name(word) for word in re.split(r"[\W_\d]+", words)} - {""}
    return found.pop() if len(found) == 1 else ""


def split_in_column(heading: str, written: str) -> str:
    """The split that a cell says: a split's name, or true and false below a heading such as `is_valid`."""
    plain = re.sub(r"[\W_]", "", heading).lower()
    if plain not in FLAG_HEADINGS:
        return split_name(written)
    on = written.strip().lower() in ("1", "1.0", "true", "yes", "t", "y")
    return FLAG_HEADINGS[plain][0 if on else 1]


FLAG_HEADINGS = {
    **{"isvalid": ("validation", "train"), "isval": ("validation", "train"), "isvalidation": ("validation", "train")},
    **{"istest": ("test", "train"), "istrain": ("train", "test"), "istraining": ("train", "test")},
}
"""Headings of true and false, letters alone -> the split of true, the split of false."""

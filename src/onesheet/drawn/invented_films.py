"""Invented films: genres that go together as in real catalogues, a year and a title."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

# How often a film starts from the genre, in percent, and which genres join it (the likelier the earlier).
GENRES: dict[str, tuple[float, tuple[str, ...]]] = {
    "Drama": (20, ("Romance", "Crime", "Comedy", "Thriller")),
    "Comedy": (19, ("Romance", "Drama", "Crime", "Animation")),
    "Action": (12, ("Thriller", "Crime", "Sci-Fi", "Drama")),
    "Documentary": (9, ("Drama",)),
    "Horror": (9, ("Thriller", "Drama", "Sci-Fi")),
    "Crime": (6, ("Drama", "Thriller", "Action")),
    "Animation": (6, ("Comedy", "Fantasy")),
    "Fantasy": (5, ("Action", "Drama", "Romance")),
    "Romance": (5, ("Drama", "Comedy")),
    "Sci-Fi": (5, ("Action", "Thriller", "Horror")),
    "Thriller": (5, ("Drama", "Crime", "Horror")),
    "Western": (4, ("Action", "Drama", "Comedy")),
    "Film-Noir": (1.8, ("Crime", "Drama", "Thriller")),
    "Musical": (1.8, ("Comedy", "Romance", "Drama")),
    "War": (1.8, ("Drama", "Action")),
}
SIZES = {"Documentary": (0.85, 0.15, 0.0), "": (0.32, 0.42, 0.26)}  # chances of one, two, three genres

ADJECTIVES = [
    "Silent", "Last", "Crimson", "Broken", "Golden", "Hidden", "Second", "Burning", "Empty", "Long",
    "Paper", "Distant", "Little", "Hollow", "Electric", "Borrowed", "Winter", "Glass",
]  # fmt: skip
PLACES = [
    "Valparaíso", "Königsberg", "Málaga", "the North", "Lake Orme", "Brunswick Street", "Åland",
    "the Delta", "Saint-Rémy", "Harrow Hill", "the Seventh Floor", "Pécs",
]  # fmt: skip
NAMES = [
    "Ada",
    "Mr. Quill",
    "Zoë",
    "Captain Vane",
    "Marguerite",
    "Old Tom",
    "Inês",
    "Dr. Halloran",
    "Luz",
    "Béla",
]
NOUNS: dict[str, list[str]] = {
    "": ["Garden", "Letter", "Bridge", "Summer", "Promise", "Mirror", "Road", "Window", "River", "Evening"],
    "Action": ["Strike", "Pursuit", "Convoy", "Firewall"],
    "Animation": ["Pancake", "Turnip", "Whiskers", "Balloon"],
    "Comedy": ["Mother-in-Law", "Wedding Cake", "Misunderstanding", "Lodger"],
    "Crime": ["Alibi", "Ledger", "Informant", "Getaway"],
    "Documentary": ["Harvest", "Archive", "Glacier", "Factory"],
    "Drama": ["Inheritance", "Daughter", "Silence", "Homecoming"],
    "Fantasy": ["Crown", "Sorcerer", "Dragon", "Kingdom"],
    "Film-Noir": ["Shadow", "Alley", "Double", "Cigarette"],
    "Horror": ["Cellar", "Scream", "Graveyard", "Whisper"],
    "Musical": ["Melody", "Overture", "Chorus", "Waltz"],
    "Romance": ["Kiss", "Heart", "Honeymoon", "Sweetheart"],
    "Sci-Fi": ["Orbit", "Signal", "Android", "Nebula"],
    "Thriller": ["Vertex", "Witness", "Deadline", "Stranger"],
    "War": ["Trench", "Regiment", "Armistice", "Front"],
    "Western": ["Canyon", "Outlaw", "Saddle", "Stagecoach"],
}


@dataclass(frozen=True)
class Invented:
    """A film that was never made.

    Attributes:
        film_id: "film-0001" and so on.
        title: letters beyond ASCII occur.
        year: 1931..2024.
        genres: one to three names, sorted.
    """

    film_id: str
    title: str
    year: int
    genres: tuple[str, ...]


def invent(number: int, rng: np.random.Generator) -> Invented:
    """The film of that number."""
    genres = _genres(rng)
    old, new = (1938, 1959) if "Film-Noir" in genres else (1931, 2025)
    year = int(rng.integers(old, new) if old == 1938 or rng.random() < 0.3 else rng.integers(1985, new))
    return Invented(f"film-{number:04d}", _title(genres, rng), year, tuple(sorted(genres)))


def _genres(rng: np.random.Generator) -> list[str]:
    shares = np.array([share for share, _ in GENRES.values()])
    genres = [str(rng.choice(list(GENRES), p=shares / shares.sum()))]
    count = int(rng.choice(3, p=SIZES.get(genres[0], SIZES[""])))
    partners = GENRES[genres[0]][1]
    chances = 1 / np.arange(1.5, len(partners) + 1)
    count = min(count, len(partners))
    joined = rng.choice(len(partners), size=count, replace=False, p=chances / chances.sum())
    return genres + [partners[index] for index in joined]


def _title(genres: list[str], rng: np.random.Generator) -> str:
    def one(words: list[str]) -> str:
        return words[int(rng.integers(len(words)))]

    noun = one(NOUNS[genres[0]] if rng.random() < 0.65 else NOUNS[""])
    forms = (
        f"The {one(ADJECTIVES)} {noun}",
        f"{noun} of {one(PLACES)}",
        f"{one(NAMES)} and the {noun}",
        f"The {noun}",
        f"{one(ADJECTIVES)} {one(ADJECTIVES)} {noun}",
        f"A {noun} for {one(NAMES)}",
    )
    title = re.sub(r"^A (?=[AEIO])", "An ", forms[int(rng.integers(len(forms)))])
    return f"{title} {rng.choice(['II', 'III'])}" if rng.random() < 0.04 else title

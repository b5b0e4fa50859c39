"""The README.md of a folder for the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from onesheet.images import Size

PAGE = """---
library_name: transformers
pipeline_tag: image-classification
license: other
{base_model}tags:
- film
- movie-posters
- multi-label-classification
- onesheet
---

# Film genres from posters

{genres} genres, {films:,} films learnt from, on the backbone {backbone}. A film may have several genres: each has a
probability of its own (sigmoid), calibrated on validation films, and they do not sum to 1.

```python
from transformers import pipeline

classifier = pipeline("image-classification", model="THIS FOLDER OR ITS NAME ON THE HUB")
print(classifier("poster.jpg", top_k={genres}))
```

Posters are resized to {height}×{width} (height × width), whatever their shape, bilinear with antialiasing.

## Genres

Give a genre from its threshold on: the one with the best F1 on validation films.

| genre | threshold | films learnt from |
|---|---|---|
{rows}

On validation films: mean average precision {map:.3f}, ROC-AUC {roc_auc:.3f} (macro averages).

## What it does not do

{view}

A poster shows what its makers want to sell, not what the film is. Rare genres are known least, and posters unlike those
learnt from, such as those of other decades, are read worse. Do not decide about a film by this alone.

The weights may be used as the posters they were learnt from and the backbone allow.

Written by onesheet.
"""
ONE_VIEW = "The network reads a poster once, as the model file of the same run does."
TWO_VIEWS = (
    "The network reads a poster once. The model file of the same run also reads its mirror image and answers from the "
    "mean of both, which costs twice the time; on validation posters the second view moves a probability by "
    "{mean:.3f} on average and by {largest:.3f} at most."
)


@dataclass(frozen=True, kw_only=True)
class HubFacts:
    """What the page says.

    Attributes:
        backbone: hf:<name on the hub, or of a local folder>.
        genres: in column order.
        thresholds: of the operating point "balanced", one a genre.
        genre_films: training films of each genre.
        films: training films.
        size: H, W of the posters, in pixels.
        validation: figures on the validation part.
        second_view: largest and mean change of a probability by the mirror image; None where the run has none.
    """

    backbone: str
    genres: Sequence[str]
    thresholds: Sequence[float]
    genre_films: Sequence[int]
    films: int
    size: Size
    validation: dict[str, float]
    second_view: tuple[float, float] | None = None


def hub_card(facts: HubFacts) -> str:
    """The page: YAML that the hub reads, and Markdown for people."""
    name = facts.backbone.removeprefix("hf:")
    view = ONE_VIEW
    if facts.second_view:
        view = TWO_VIEWS.format(largest=facts.second_view[0], mean=facts.second_view[1])
    rows = zip(facts.genres, facts.thresholds, facts.genre_films, strict=True)
    return PAGE.format(
        base_model=f"base_model: {json.dumps(name)}\n" if "/" in name else "",
        backbone=f"`{name}`",
        genres=len(facts.genres),
        films=facts.films,
        height=facts.size[0],
        width=facts.size[1],
        rows="\n".join(f"| {genre} | {threshold:.3f} | {films:,} |" for genre, threshold, films in rows),
        view=view,
        **{key: facts.validation[key] for key in ("map", "roc_auc")},
    )

"""How a network from elsewhere was fed and is read: what its file may leave unsaid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import CatalogueError, ConfigError
from onesheet.genres import GenreSet
from onesheet.images import RESIZES, Resize

CHANNELS = ("rgb", "bgr")
LAYOUTS = ("nhwc", "nchw")
ANSWERS = ("probabilities", "logits")


class Scaling(NamedTuple):
    """(pixel - mean) / std, RGB, pixels in [0, 255]; `bgr` where the channels are usually reversed after it."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool
    description: str


# The last three are the modes of keras.applications' preprocess_input.
SCALINGS = {
    "none": Scaling((0, 0, 0), (1, 1, 1), False, "0 to 255, or the network scales them itself"),
    "1/255": Scaling((0, 0, 0), (255, 255, 255), False, "0 to 1"),
    "tf": Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5), False, "-1 to 1: MobileNet, Inception, Xception"),
    "torch": Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), False, "ImageNet's mean and deviation"),
    "caffe": Scaling((123.68, 116.779, 103.939), (1, 1, 1), True, "ImageNet's mean off, BGR: ResNet50, VGG16"),
}


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """How a network was fed and is read; None: as in its file.

    Attributes:
        scaling: of the pixels, one of `SCALINGS`.
        channels: "rgb" or "bgr"; None: what goes with the scaling.
        layout: "nhwc" or "nchw".
        answers: whether it answers with "probabilities" or with "logits".
        size: H, W of the posters it takes, where it takes any.
        resize: how posters were brought to that size: "stretch" or "pad".

    Raises:
        ConfigError: a value that is none of these.
    """

    scaling: str | None = None
    channels: str | None = None
    layout: str | None = None
    answers: str | None = None
    size: tuple[int, int] | None = None
    resize: Resize = "stretch"

    def __post_init__(self) -> None:
        choices = {"scaling": SCALINGS, "channels": CHANNELS, "layout": LAYOUTS, "answers": ANSWERS, "resize": RESIZES}
        for name, known in choices.items():
            value = getattr(self, name)
            if value is not None and value not in known:
                raise ConfigError(f"the --{name} option must be one of {', '.join(known)}; got {value!r}")

    @property
    def bgr(self) -> bool:
        """Whether the network takes blue first."""
        return SCALINGS[self.scaling or "none"].bgr if self.channels is None else self.channels == "bgr"

    def pixels(self, posters: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Posters uint8 N×H×W×3, RGB -> float32 N×H×W×3 as the network was fed.

        Example:
            >>> grey = np.full((1, 1, 1, 3), 128, np.uint8)
            >>> [round(float(level), 2) for level in Conventions(scaling="caffe").pixels(grey).ravel()]
            [24.06, 11.22, 4.32]
        """
        scaling = SCALINGS[self.scaling or "none"]
        scaled = (posters - np.array(scaling.mean)) / np.array(scaling.std)
        return np.asarray(scaled[..., ::-1] if self.bgr else scaled, dtype=np.float32)


def scaling_unknown(name: str) -> ConfigError:
    """The error for a file that does not show how its pixels were scaled."""
    known = "; ".join(f"{name} ({scaling.description})" for name, scaling in SCALINGS.items())
    return ConfigError(f"{name!r} does not show how pixels were scaled in training; pass that with --scaling: {known}")


def read_genres(path: str | Path, *, notify: Callable[[str], None] = lambda _: None) -> GenreSet:
    """Genres in the order of a network's outputs: a text file, one a line.

    Args:
        path: the file; numbers in order before the names ("0 Action") are left out.
        notify: called with a message when numbers are left out.

    Raises:
        CatalogueError: not there, not text, a genre twice, or fewer than two.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise CatalogueError(
            f"cannot read the genres in {str(path)!r}: {why}; pass a text file with one genre per line"
        ) from error
    names = [line.strip() for line in lines if line.strip()]
    numbered = [name.partition(" ") for name in names]
    for first in (0, 1):
        if names and [number for number, _, _ in numbered] == [str(first + i) for i in range(len(names))]:
            if not all(rest.strip() for _, _, rest in numbered):
                raise CatalogueError(f"{str(path)!r} has numbers for genres; write the genres' names, one per line")
            names = [rest.strip() for _, _, rest in numbered]
            notify(f"{Path(path).name} numbers its lines; genres, without the numbers: {', '.join(names)}")
            break
    genres = GenreSet(names)
    if len(genres) < 2:
        raise CatalogueError(f"{str(path)!r} names {len(genres)} genre(s); pass at least two, one per line")
    return genres

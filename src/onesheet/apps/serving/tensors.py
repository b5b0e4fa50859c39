"""Tensors of the Open Inference Protocol: read posters from JSON or binary data, and write scores.

In JSON a UINT8 tensor is a list of numbers, flat or nested, and each element of a BYTES tensor is the base64 text of
an image file. As binary data (the protocol's binary tensor data extension, as in Triton and KServe) tensors follow
the JSON, row-major and little-endian; a BYTES element is its length in 4 bytes and then its bytes.
"""

from __future__ import annotations

import base64
import binascii
import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, Field

from onesheet.errors import RequestRejected

DATATYPES = {"f": "FP32", "u": "UINT8", "O": "BYTES"}
"""NumPy kind -> the protocol's name, for output tensors."""

Parameters = Annotated[
    dict[str, str | int | float | bool], BeforeValidator(lambda value: {} if value is None else value)
]
"""Parameters of the protocol; null means none."""


class InputTensor(BaseModel):
    """The posters of a request."""

    name: str
    shape: list[int]
    datatype: str = Field(description="BYTES (image files) or UINT8 (pixels)")
    parameters: Parameters = Field(default_factory=dict)
    data: list[object] | None = Field(None, description="absent if the tensor follows the JSON as binary data")


class OutputTensor(BaseModel):
    """A tensor of a response."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[float | str] | None = None


def rejected(message: str) -> RequestRejected:
    """The protocol's response to invalid input."""
    return RequestRejected(message, status=400)


def check_parameters(parameters: Mapping[str, object], known: Sequence[str], where: str) -> None:
    """Reject extensions of the protocol that are not supported.

    Raises:
        RequestRejected: 400, with the parameter's name.
    """
    if unknown := sorted(set(parameters) - set(known)):
        raise rejected(f"unknown parameter {reprlib.repr(unknown[0])} of {where}; use {' or '.join(known)}")


def read_posters(
    tensor: InputTensor, binary: bytes, poster_size: tuple[int, int]
) -> Sequence[bytes | NDArray[np.uint8]]:
    """The posters of an input tensor: image files, or uint8 H×W×3 of the model's size.

    Args:
        tensor: the input, as the JSON describes it.
        binary: the bytes after the JSON.
        poster_size: the model's H, W.

    Raises:
        RequestRejected: 400, the tensor contradicts its description or does not fit the model.
    """
    check_parameters(tensor.parameters, ["binary_data_size"], "an input")
    behind, name, shape = tensor.data is None, reprlib.repr(tensor.name), reprlib.repr(tensor.shape)
    size = tensor.parameters.get("binary_data_size")
    if behind and size != len(binary):
        raise rejected(
            f"input {name} has no data, and {len(binary):,} bytes follow the JSON; "
            f"its binary_data_size is {reprlib.repr(size)}"
        )
    if tensor.datatype == "BYTES":
        files = _split(binary) if behind else [_from_base64(item) for item in tensor.data or ()]
        if tensor.shape not in ([len(files)], [len(files), 1]):
            raise rejected(f"input {name} has {len(files)} elements, but its shape is {shape}")
        return files
    if tensor.datatype != "UINT8":
        raise rejected(f"input {name} must be BYTES or UINT8; got {reprlib.repr(tensor.datatype)}")
    if len(tensor.shape) != 4 or tensor.shape[1:] != [*poster_size, 3] or tensor.shape[0] < 0:
        raise rejected(f"a UINT8 input must have shape [N, {poster_size[0]}, {poster_size[1]}, 3]; got {shape}")
    pixels = np.frombuffer(binary, np.uint8) if behind else _pixels(tensor.data or ())
    if pixels.size != math.prod(tensor.shape):
        raise rejected(f"input {name} has {pixels.size:,} numbers, but its shape is {shape}")
    return list(pixels.reshape(tensor.shape))


def write_tensor(name: str, values: NDArray[np.generic], *, binary: bool) -> tuple[OutputTensor, bytes]:
    """An output tensor, and its bytes after the JSON (b"" if its data are in the JSON).

    Args:
        name: the output's.
        values: float32, or objects with texts.
        binary: whether the data follow the JSON.
    """
    tensor = OutputTensor(name=name, shape=list(values.shape), datatype=DATATYPES[values.dtype.kind])
    if not binary:
        tensor.data = values.ravel().tolist()
        return tensor, b""
    if values.dtype.kind == "O":
        texts = [str(text).encode() for text in values.ravel()]
        data = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    else:
        data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    tensor.parameters = {"binary_data_size": len(data)}
    return tensor, data


def most_probable(values: NDArray[np.generic], genres: Sequence[str], count: int) -> NDArray[np.object_]:
    """An output in the form of Triton's classification extension.

    Args:
        values: float32, N×G.
        genres: the genre of each column.
        count: number of genres per row, the highest first.

    Returns:
        Texts "VALUE:COLUMN:GENRE", N×count.
    """
    best = np.argsort(-values.astype(np.float64), axis=1, kind="stable")[:, :count]
    rows = [[f"{values[row, one]:f}:{one}:{genres[one]}" for one in columns] for row, columns in enumerate(best)]
    return np.array(rows, dtype=object)


def _split(binary: bytes) -> list[bytes]:
    """The elements of a BYTES tensor."""
    elements, at = [], 0
    while at < len(binary):
        end = at + 4 + int.from_bytes(binary[at : at + 4], "little")
        if end > len(binary) or at + 4 > len(binary):
            raise rejected("the binary data end inside an element")
        elements.append(binary[at + 4 : end])
        at = end
    return elements


def _from_base64(item: object) -> bytes:
    try:
        return base64.b64decode("".join(item.split()), validate=True)  # type: ignore[attr-defined]  # MIME has lines
    except (AttributeError, ValueError, binascii.Error):
        raise rejected("each element of a BYTES tensor must be the base64 text of an image file") from None


def _pixels(data: Sequence[object]) -> NDArray[np.uint8]:
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError):
        values = np.empty(0, object)
    if not values.size:
        values = values.astype(np.int64) if values.dtype.kind == "f" else values
    if values.dtype.kind not in "iu" or (values.size and not 0 <= values.min() <= values.max() <= 255):
        raise rejected("the data of a UINT8 tensor must be whole numbers from 0 to 255")
    return values.astype(np.uint8).ravel()

"""An ONNX file, read as far as is needed to trust it, before any runtime opens it.

ONNX is protobuf (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); its wire form is read here directly, so that
prediction needs no further package. What a model file of this project never has is rejected by name: weights in other
files, operators of other domains, functions, graphs inside nodes, sparse or textual tensors, shapes that do not fit
their data, weights that are no numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from onesheet.errors import BundleError

MAX_FILE_BYTES = 2_000_000_000
MAX_TEXT_BYTES = 10_000_000
MAX_FIELDS = 1_000_000
"""Fields of one message; the largest networks have some thousand nodes."""

MAX_DIMENSIONS = 64
"""Of one tensor; their product takes ever longer."""

UINT8, FLOAT = 2, 1
# TensorProto.data_type -> bytes a value
_VALUE_BYTES = {FLOAT: 4, UINT8: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}
_FLOATS = {FLOAT: "<f4", 10: "<f2", 11: "<f8"}
_DATA_FIELDS = {4: "<f4", 10: "<f8"}  # float_data, double_data: of fixed width; 5, 7, 11 are varints
_MODEL_FIELDS = {1, 2, 3, 4, 5, 6, 7, 8, 14}
_FIRST_BYTES = {number << 3 | (0 if number in (1, 5) else 2) for number in _MODEL_FIELDS}
_GRAPH_FIELDS = {1, 2, 5, 10, 11, 12, 13, 14, 16}
_STRANGE_MODEL = {20: "training graphs", 25: "functions", 26: "a device configuration"}

Value = int | memoryview
Rejected = Callable[[str], BundleError]


class _Damaged(ValueError):
    """Not protobuf, or cut short."""


@dataclass(frozen=True)
class TensorType:
    """What a graph's input or output is: an element type of ONNX, and a size or a name for each dimension."""

    element: int
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class OnnxFile:
    """The inputs, outputs and metadata of an ONNX file.

    Attributes:
        data: the file, as it was checked.
        texts: its metadata.
        inputs: name -> type.
        outputs: name -> type.
    """

    data: bytes = field(repr=False)
    texts: dict[str, str]
    inputs: dict[str, TensorType]
    outputs: dict[str, TensorType]


def read_onnx(path: Path) -> OnnxFile:
    """Read and check a file; no other file is ever opened.

    Raises:
        BundleError: it cannot be read, is no ONNX file, or has what a model file of ours never has.
    """
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise BundleError(f"{str(path)!r} has {size:,} bytes, and a model file may have {MAX_FILE_BYTES:,}")
        with path.open("rb") as file:
            first = file.read(1)
            if first and first[0] not in _FIRST_BYTES:  # a picture, an archive, text
                raise BundleError(
                    f"{str(path)!r} is not an ONNX file; pass a model file, as onesheet export and adopt write one"
                )
            file.seek(0)
            return check_onnx(file.read(), path)
    except OSError as error:
        raise BundleError(f"cannot read {str(path)!r}: {error.strerror}; check the file") from error


def check_onnx(data: bytes, path: Path) -> OnnxFile:
    """Check the content of a file.

    Args:
        data: the content.
        path: where it comes from, for messages.

    Raises:
        BundleError: it is no ONNX, or has what a model file of ours never has.
    """

    def rejected(what: str) -> BundleError:
        return BundleError(f"{str(path)!r} has {what}, which no model file of onesheet has; take one you trust")

    try:
        return _model(data, rejected)
    except ValueError as error:
        raise BundleError(
            f"{str(path)!r} is not a whole ONNX model (truncated or damaged?); export or copy it again"
        ) from error


def _model(data: bytes, rejected: Rejected) -> OnnxFile:
    texts: dict[str, str] = {}
    graphs = []
    for number, value in _fields(memoryview(data)):
        if number not in _MODEL_FIELDS:
            raise rejected(_STRANGE_MODEL.get(number, f"an unknown part ({number})"))
        if number == 7:
            graphs.append(_bytes(value))
        elif number == 14:
            key, text = _entry(_bytes(value), rejected)
            if key in texts:
                raise rejected(f"two entries {key[:60]!r}")
            texts[key] = text
    if len(graphs) != 1:
        raise _Damaged("no graph, or several")
    inputs, outputs = _graph(graphs[0], rejected)
    return OnnxFile(data, texts, inputs, outputs)


def _entry(message: memoryview, rejected: Rejected) -> tuple[str, str]:
    """One entry of the metadata."""
    found = {number: _bytes(value) for number, value in _fields(message)}
    key, text = found.get(1, memoryview(b"")), found.get(2, memoryview(b""))
    if len(message) > MAX_TEXT_BYTES:
        name = str(key[:40], "utf-8", "replace")
        raise rejected(f"{len(message):,} bytes of metadata {name!r} (at most {MAX_TEXT_BYTES:,})")
    return str(key, "utf-8"), str(text, "utf-8")


def _graph(message: memoryview, rejected: Rejected) -> tuple[dict[str, TensorType], dict[str, TensorType]]:
    ends: dict[int, dict[str, TensorType]] = {11: {}, 12: {}}
    for number, value in _fields(message):
        if number not in _GRAPH_FIELDS:
            raise rejected("sparse tensors" if number == 15 else f"an unknown part of the graph ({number})")
        if number == 1:
            _check_node(_bytes(value), rejected)
        elif number == 5:
            _check_tensor(_bytes(value), rejected)
        elif number in ends:
            name, kind = _end(_bytes(value))
            ends[number][name] = kind
    return ends[11], ends[12]


def _check_node(message: memoryview, rejected: Rejected) -> None:
    found = list(_fields(message))
    operator = "/".join(str(_bytes(value), "utf-8") for number, value in found if number == 4)[:60]
    for number, value in found:
        if number == 7 and (domain := str(_bytes(value), "utf-8")) not in ("", "ai.onnx"):
            raise rejected(f"an operator {operator!r} of {domain[:60]!r}")
        for inner, item in _fields(_bytes(value)) if number == 5 else ():
            if inner in (6, 11):
                raise rejected(f"a graph inside a node {operator!r}")
            if inner in (22, 23):
                raise rejected("sparse tensors")
            if inner in (5, 10):
                _check_tensor(_bytes(item), rejected)


def _check_tensor(message: memoryview, rejected: Rejected) -> None:
    """The tensor's data are here, as many as its shape needs, and numbers."""
    found = list(_fields(message))
    name = "".join(str(_bytes(value), "utf-8") for number, value in found if number == 8)[:60]
    kind = next((value for number, value in found if number == 2), 0)
    shape = [size for number, value in found if number == 1 for size in islice(_numbers(value), MAX_DIMENSIONS + 1)]
    stored = [(number, value) for number, value in found if number in (4, 5, 6, 7, 9, 10, 11)]
    if any(number == 13 or (number == 14 and value) for number, value in found):
        raise rejected(f"weights in another file ({name!r})")
    if any(sum(number == once for number, _ in found) > 1 for once in (2, 14)):  # other readers take the last
        raise rejected(f"a tensor {name!r} of two element types or places")
    if len(shape) > MAX_DIMENSIONS:
        raise rejected(f"a tensor {name!r} of more than {MAX_DIMENSIONS} dimensions")
    if not isinstance(kind, int) or kind not in _VALUE_BYTES or any(number == 6 for number, _ in stored):
        raise rejected(f"a tensor {name!r} of element type {kind}")
    if len({number for number, _ in stored}) > 1 or sum(number == 9 for number, _ in stored) > 1:
        raise rejected(f"a tensor {name!r} with its data in several places")
    counts = [_count(number, value, kind) for number, value in stored]
    if sum(counts) != math.prod(shape):
        raise rejected(f"a tensor {name!r} of shape {shape[:8]} and {sum(counts):,.0f} values")
    for number, value in stored:
        floats = _FLOATS.get(kind) if number == 9 else _DATA_FIELDS.get(number)
        if floats is not None and np.isnan(np.frombuffer(_bytes(value), floats)).any():
            raise rejected(f"weights that are no numbers ({name!r})")


def _count(number: int, value: Value, kind: int) -> float:
    """How many values one field of a tensor holds; a fraction where they do not end with it."""
    if isinstance(value, int):
        return 1  # not packed
    if number == 9:
        return len(value) / _VALUE_BYTES[kind]
    if number in _DATA_FIELDS:
        return len(value) / np.dtype(_DATA_FIELDS[number]).itemsize
    if kind in _FLOATS:
        return math.nan  # halves as whole numbers: never equal to a shape
    return int(np.count_nonzero(np.frombuffer(value, np.uint8) < 0x80))


def _end(message: memoryview) -> tuple[str, TensorType]:
    """An input or output: its name and type."""
    name, element, shape = "", 0, []
    for number, value in _fields(message):
        if number == 1:
            name = str(_bytes(value), "utf-8")
        for _, tensor in _fields(_bytes(value)) if number == 2 else ():
            for part, content in _fields(_bytes(tensor)):
                if part == 1 and isinstance(content, int):
                    element = content
                for _, dimension in _fields(_bytes(content)) if part == 2 else ():
                    sizes = [
                        one if isinstance(one, int) else str(one, "utf-8") for _, one in _fields(_bytes(dimension))
                    ]
                    shape.append(sizes[0] if sizes else "")
    return name, TensorType(element, tuple(shape))


def _numbers(value: Value) -> Iterator[int]:
    """A repeated whole number, packed or alone."""
    if isinstance(value, int):
        yield value
        return
    place = 0
    while place < len(value):
        number, place = _varint(value, place)
        yield number


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _Damaged("a number where a message is expected")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """The fields of a protobuf message: number and value; fixed-width numbers stay bytes."""
    place = count = 0
    while place < len(message):
        key, place = _varint(message, place)
        count += 1
        if count > MAX_FIELDS:
            raise _Damaged("too many fields")
        if key & 7 == 0:
            number, place = _varint(message, place)
            yield key >> 3, number
            continue
        if key & 7 == 2:
            length, place = _varint(message, place)
        else:
            length = {1: 8, 5: 4}.get(key & 7, len(message) + 1)
        if place + length > len(message):
            raise _Damaged("cut short")
        yield key >> 3, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and the place behind it."""
    if place < len(message) and (number := message[place]) < 0x80:  # nearly all are
        return number, place + 1
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise _Damaged("cut short")
        byte = message[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
    raise _Damaged("a number of more than ten bytes")

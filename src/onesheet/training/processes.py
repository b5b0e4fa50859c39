"""The processes of one training: which one this is, who writes, and what they tell each other.

torchrun and Slurm start all of them at once: they meet here, and the others wait while the first prepares. For
`--devices` alone Lightning starts the others when the first begins to train; they run the same command and find
everything prepared.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from onesheet.errors import ConfigError, RunError

PATIENCE = timedelta(days=30)  # the others wait while the first packs
Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """One of the processes that train together.

    Attributes:
        rank: its number, 0..count-1.
        count: how many there are.
        devices: how many on this machine.
        nodes: how many machines.
        environment: what has started them; None = Lightning, or this process is alone.
    """

    rank: int = 0
    count: int = 1
    devices: int = 1
    nodes: int = 1
    environment: ClusterEnvironment | None = None

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def wait(self) -> None:
        """Until every process is here.

        Raises:
            RunError: another one has ended.
        """
        self._together(lambda: dist.barrier(group=_group()))

    def any(self, vote: bool) -> bool:
        """Whether any process votes for it; all get the same result."""
        votes = torch.tensor(int(vote))
        self._together(lambda: dist.all_reduce(votes, dist.ReduceOp.MAX, group=_group()))
        return bool(votes)

    def gathered(self, rows: Tensor) -> Tensor:
        """The rows of all processes, one after the other: n×… of each -> N×…, on the CPU."""
        parts = self._together(lambda: gather_all_tensors(rows.cpu(), group=_group()))
        return torch.cat(parts) if parts else rows.cpu()

    def in_turn(self, work: Callable[[], Result]) -> Result:
        """Work whose result stays on disk: the first process does it, then the others, who find it done."""
        result = work() if self.first else None
        self.wait()
        return work() if result is None else result

    def _together(self, work: Callable[[], Any]) -> Any:
        if self.count == 1 or not dist.is_initialized():  # Lightning starts the others only when training begins
            return None
        try:
            return work()
        except RuntimeError as error:
            raise RunError("another process of this training has ended; see its own message") from error


def processes(devices: int | None, nodes: int | None) -> Processes:
    """Which process of how many this is; those that torchrun or Slurm have started meet here.

    Args:
        devices: processes wished for on each machine; None = as they were started, or 1.
        nodes: machines; None = as they were started, or 1.

    Raises:
        ConfigError: others were started than are wished for, or no processes were started on other machines.
    """
    environment = next((kind() for kind in (TorchElasticEnvironment, SLURMEnvironment) if kind.detect()), None)
    if environment is None:
        if (nodes or 1) > 1:
            raise ConfigError(
                f"--nodes {nodes} needs torchrun or Slurm to start processes there; see docs/guides/train-advanced.md"
            )
        count = devices or 1
        rank = int(os.environ.get("LOCAL_RANK", "0")) if count > 1 else 0  # Lightning's, in those it has started
        return Processes(rank, count, count)
    count, machines = environment.world_size(), _machines(environment)
    for name, wish, real in (("devices", devices, count // machines), ("nodes", nodes, machines)):
        if wish not in (None, real):
            raise ConfigError(
                f"--{name} {wish} does not fit the {real} that were started; leave it out or start {wish}"
            )
    if count > 1:
        _meet(environment)
    return Processes(environment.global_rank(), count, count // machines, machines, environment)


def _machines(environment: ClusterEnvironment) -> int:
    if isinstance(environment, TorchElasticEnvironment):
        return int(environment.world_size()) // int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ.get("SLURM_NNODES", "1"))


def _meet(environment: ClusterEnvironment) -> None:
    if dist.is_initialized():
        return
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    dist.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        rank=environment.global_rank(),
        world_size=environment.world_size(),
    )
    atexit.register(dist.destroy_process_group)
    _group()


@cache
def _group() -> Any:
    """For messages between steps: on the CPU, and patient, where the group of the gradients is neither."""
    return dist.new_group(backend="gloo", timeout=PATIENCE)

"""Several processes train as one does: real processes, on the CPU, as a person would start them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTModel

from onesheet.errors import ConfigError
from onesheet.models import build_network
from onesheet.packed import Packed
from onesheet.training import Run, TrainConfig, fit, open_run
from onesheet.training.processes import Processes, processes
from onesheet.training.weights import load_weights

# Nothing random that processes draw on their own; an odd number of posters a batch, so that their shares differ.
SAME = TrainConfig(
    model="poster-cnn", widths=(8, 16), epochs=3, batch_size=15, dropout=0.0, augment=False, arithmetic="fp32",
    learning_rate=0.01, ema=0.9, threads=1,
)  # fmt: skip
OPTIONS = [
    *("--model", "poster-cnn", "--widths", "8,16", "--epochs", "3", "--batch-size", "15", "--dropout", "0"),
    *("--no-augment", "--arithmetic", "fp32", "--learning-rate", "0.01", "--ema", "0.9", "--threads", "1"),
]
ONESHEET = [sys.executable, "-m", "onesheet"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "onesheet"]


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def slurm(rank: int) -> dict[str, str]:
    """What srun tells the second and first of two tasks."""
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "posters",
        "SLURM_JOB_NODELIST": "127.0.0.1",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_NNODES": "1",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "MASTER_PORT": slurm_port,
    }


slurm_port = free_port()


def started(*command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(*running: subprocess.Popen[str]) -> str:
    said = [process.communicate(timeout=280) for process in running]
    assert [process.returncode for process in running] == [0] * len(running), said
    return "".join(out for out, _ in said)


def assert_same(run: Run, alone: Run) -> None:
    assert run.finished and run.best_epoch == alone.best_epoch and len(run.history) == len(alone.history)
    for row, expected in zip(run.history, alone.history, strict=True):
        for name in expected.keys() - {"seconds", "best"}:
            close = 2e-5 if name.endswith("loss") else 0.01  # two posters that change places move a ranking metric
            assert row[name] == pytest.approx(expected[name], abs=close), name
    kept, expected_weights = load_weights(run.network_path), load_weights(alone.network_path)
    for name, weight in kept.items():  # those of the best epoch, averaged
        torch.testing.assert_close(weight, expected_weights[name], atol=1e-3, rtol=1e-3)
    assert sorted(path.name for path in run.folder.iterdir()) == sorted(path.name for path in alone.folder.iterdir())


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One without batch norm: with it a deep network that knows nothing yet makes much of a last bit."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("backbone")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ViTModel(ViTConfig(**shape, image_size=[48, 32])).save_pretrained(folder)
    return f"hf:{folder}"


def test_two_processes_tune_a_backbone_as_one_does(backbone: str, packed: Packed, tmp_path: Path) -> None:
    chosen = ["--model", backbone, "--head-epochs", "0", "--optimizer", "sgd"]
    command = ["fit", str(packed.folder), *OPTIONS[4:], *chosen, "--json", "--out"]
    config = replace(SAME, model=backbone, widths=None, head_epochs=0, optimizer="sgd")
    alone = fit(config, packed, folder=tmp_path / "alone")
    assert abs(alone.history[0]["train_loss"] - alone.history[2]["train_loss"]) > 1e-3
    said = ended(started(*ONESHEET, *command, str(tmp_path / "devices"), "--devices", "2"))
    assert [json.loads(line)["finished"] for line in said.splitlines()] == [True]  # one of them prints
    assert_same(open_run(tmp_path / "devices"), alone)
    ended(*(started(*ONESHEET, *command, str(tmp_path / "slurm"), **slurm(rank)) for rank in (0, 1)))
    assert_same(open_run(tmp_path / "slurm"), alone)


def test_each_process_has_its_own_batch_norm_on_a_cpu_and_the_first_one_s_is_kept(
    packed: Packed, tmp_path: Path
) -> None:
    """Its validation metrics are those of the weights that are kept."""
    command = ["fit", str(packed.folder), "--out", str(tmp_path / "run"), *OPTIONS, "--devices", "2"]
    ended(started(*ONESHEET, *command))
    run = open_run(tmp_path / "run")
    network = build_network("poster-cnn", genres=len(packed.genres), size=packed.size, widths=(8, 16)).eval()
    network.load_state_dict(load_weights(run.network_path))
    rows = packed.rows("validation")
    posters = torch.from_numpy(np.array(packed.posters[rows])).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            network(posters).logits, torch.from_numpy(packed.labels[rows]).float()
        )
    assert float(loss) == pytest.approx(run.history[run.best_epoch - 1]["validation_loss"], abs=1e-4)


def test_killed_together_one_goes_on_alone(packed: Packed, tmp_path: Path) -> None:
    command = ["fit", str(packed.folder), "--out", str(tmp_path), *OPTIONS, "--epochs", "20"]
    running = started(*ONESHEET, *command, "--devices", "2")
    deadline = time.monotonic() + 200
    while not (tmp_path / "history.csv").exists():
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    stopped = open_run(tmp_path)
    assert not stopped.finished
    resumed = fit(replace(SAME, epochs=20), packed, folder=tmp_path, resume=True)
    assert [row["epoch"] for row in resumed.history] == list(range(1, 21))
    for before, after in zip(stopped.history, resumed.history, strict=False):
        assert before["validation_loss"] == pytest.approx(after["validation_loss"], abs=1e-3)


def test_train_is_one_command_for_several_processes(backbone: str, packed: Packed, tmp_path: Path) -> None:
    """Started by torchrun; the head first, on features that the first process computes."""
    table = tmp_path / "films.csv"
    rows = [f"{film.film_id},{film.poster},{'|'.join(film.genres)}" for film in packed.films]
    table.write_text("\n".join(["film_id,poster,genres", *rows]) + "\n")
    command = ["train", str(table), "--out", str(tmp_path / "run"), "--size", "48x32", "--draws", "10"]
    said = ended(started(*TORCHRUN, *command, "--model", backbone, "--head-epochs", "2", "--epochs", "1"))
    assert said.count("report:") == 1  # one of them speaks
    assert (tmp_path / "run" / "evaluation.json").exists() and open_run(tmp_path / "run").finished
    assert not list((tmp_path / "run").rglob(".*"))  # neither locks nor halves of files


def test_what_was_not_started_is_rejected(monkeypatch: pytest.MonkeyPatch, packed: Packed, tmp_path: Path) -> None:
    assert processes(None, None) == Processes()
    with pytest.raises(ConfigError, match="--nodes 2 needs torchrun or Slurm"):
        fit(replace(SAME, nodes=2), packed, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for name, value in {"RUN_ID": "7", "RESTART_COUNT": "0"}.items():
        monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match="--devices 2 does not fit the 1 that were started"):
        fit(replace(SAME, devices=2), packed, folder=tmp_path / "run")


def test_a_batch_too_small_to_share_is_rejected(packed: Packed, tmp_path: Path) -> None:
    config = replace(SAME, batch_size=2, devices=3)
    with pytest.raises(ConfigError, match="a batch of 2 posters cannot be shared by 3 processes; raise --batch-size"):
        fit(config, packed, folder=tmp_path)

"""All code on the pages runs on drawn posters and a tiny run: Python, and the `onesheet` commands of console blocks.

A block runs in a fresh folder that holds what the pages speak of; a tutorial runs from first block to last in an empty
one. What is not run stands in `NOT_RUN` and `OTHER_PROGRAMS`, with the reason.
"""

from __future__ import annotations

import csv
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet as parquet
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from onesheet.__main__ import main
from onesheet.apps.review import DecisionStore
from onesheet.cli import train_command as train
from onesheet.drawn import draw_catalogue
from onesheet.packed import SPLITS
from pages import ROOT, Block, blocks

pytestmark = pytest.mark.usefixtures("unrendered")

FILMS = 80
HEADS = "--min-films 15 --draws 10 --threads 1"
QUICK = {
    "train posters.csv --out": HEADS,  # from a model file, whose options are few
    "train posters.csv --model genres.onnx": HEADS,
    "train": "--size 48x32 --epochs 1 --no-tta --draws 10 --min-films 5 --threads 1",
    "split": "--min-films 5",
    "pack": "--min-films 5",
    "library suggest": "--at generous",
    "library write": "--at generous",
}
"""Put behind the options of these commands, so that they are quick, and so that few films and a poor model do."""

QUICKER = {
    "films=1500": f"films={FILMS}",
    "min_films=20": "min_films=15",
    "size=(112, 80)": "size=(48, 32)",
    "size=(224, 160)": "size=(48, 32)",
    "widths=(24, 48, 96, 192), epochs=24": "widths=(4, 8), epochs=1",
    'folder="run"': 'folder="new-run"',
    'TrainConfig(model="poster-cnn")': 'TrainConfig(model="poster-cnn", widths=(4, 8), epochs=1)',
}
"""In Python: what takes long or is there already, and what stands for it here."""

STANDS_FOR = {
    "hf:google/mobilenet_v2_1.0_224": "hf:backbone",
    "--model NAME": "--model poster-cnn",
    "RUN": "run",
    "/media/": "media/",
}
"""In commands: names that the reader puts in, or that lie elsewhere, and what stands for them here."""

NOT_RUN = {
    "onesheet fetch": "asks TMDB, OMDb or the web; tests/apps/fetch plays them",
    "onesheet serve": "goes on until it is stopped; tests/apps/serving starts and stops it",
    "onesheet batch 's3://": "needs S3 and a Ray cluster; tests/apps/batch has both engines",
    "onesheet adopt model.": "needs a Keras model; tests/exporting makes them in every form",
    "onesheet train corrected.csv --config": "trains a whole run anew; tests/cli has --config",
    "onesheet evaluate run/genres.onnx better/packed": "of the run above; tests/cli has both",
    "onesheet compare old better": "the two above",
    "onesheet evaluate default": "of real posters' genres; tests/cli has a packed folder and a table",
    "onesheet train films.csv --config run/config.toml": "the same, with the split's sides exchanged",
    "onesheet review export --run one": "of the two runs above",
    "onesheet train posters.csv --model NAME --devices 4": "starts four processes; tests/training/test_processes.py",
    "onesheet train /media/films": "the library of these pages has two films; tests/data/film_library trains on sixty",
    "onesheet library suggest /media/films --model own": "the model of that training",
}
"""Beginnings of `onesheet` commands that are not run, and why."""

OTHER_PROGRAMS = {
    "pip": "installs; scripts/check-wheel does it in an empty environment",
    "make": "test_readme.py looks for the target",
    "ONESHEET_SPEED_OFF=kernels,prefetch": "trains a whole run; tests/speed has the switch",
    "curl": "asks a running service; tests/apps/serving asks the same of it",
    "ONESHEET_TOKEN=$(openssl": "a service that goes on; tests/apps/serving has the token",
    "torchrun": "several machines; tests/training/test_processes.py starts it on one",
    "srun": "Slurm; tests/training/test_processes.py sets what Slurm sets",
    "benchmarks/chu2017.sh": "hours, on real posters",
    ".venv/bin/pip": "installs what the soft targets of a teacher need",
    ".venv/bin/python": "benchmarks, on real posters",
    "python3": "serves files until it is stopped",
    "sed": "turns a split round; deletes lines of a journal, as a test in tests/apps/fetch does",
    "export": "holds the reader's key",
    "jupyter": "goes on until it is stopped; tests/test_notebooks.py runs every cell",
    "docker": "needs a container engine; scripts/check-deploy runs the steps of the Dockerfile without one",
    "systemctl": "changes the machine; tests/test_deploy.py checks the units",
    "/opt/onesheet/bin/pip": "installs; scripts/check-deploy runs the same step in the Dockerfile",
    "FILMS=/media/films": "needs a container engine",
    "cp": "installs units",
    "echo": "writes a secret",
    "chmod": "protects it",
    "hf": "uploads to the hub, with the reader's account",
}


def outside(line: str) -> bool:
    """Whether a command of a console block is not run."""
    return not line.startswith("onesheet ") or line.startswith(tuple(NOT_RUN))


@pytest.fixture(scope="module")
def full(unrendered: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the pages speak of."""
    folder = tmp_path_factory.mktemp("shown")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        draw_catalogue(".", films=FILMS, faults=False, threads=1)
        write_tables()
        write_pictures()
        write_networks()
        command = "train posters.csv --model hf:backbone --tune head --no-levels --out run " + QUICK["train"]
        assert main(command.split()) == 0
        for name in ("run-a", "run-b", "runs/one", "runs/other"):
            shutil.copytree("run", name)
        shutil.copy("run/genres.onnx", "genres.onnx")
        shutil.copytree("posters", "demo/catalogue/posters")
        shutil.copytree("run", "demo/run")
        with closing(DecisionStore("run/decisions.sqlite")) as store:
            film = read_rows("run/predictions.csv")[0]["film_id"]
            store.decide(film, "correct", genres=("Drama",), version=0)
    return folder


def read_rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_tables() -> None:
    rows = read_rows("posters.csv")
    Path("split.csv").write_text("id,split\n" + "".join(f"{r['id']},{SPLITS[n % 3]}\n" for n, r in enumerate(rows)))
    Path("films.tsv").write_text("tconst\tgenres\n" + "".join(f"{r['id']}\t{r['genres']}\n" for r in rows))
    for name in ("films.csv", "second.csv", "corrected.csv"):
        shutil.copy("posters.csv", name)
    parquet.write_table(pyarrow.table({"path": [row["poster"] for row in rows[:20]]}), "films.parquet")
    Path("genres.csv").write_text("Science Fiction,Sci-Fi\n")
    Path("genres.toml").write_text('"Sci-Fi" = "Science Fiction"\n')
    Path("genres.txt").write_text("Comedy\nDrama\nHorror\n")
    for folder in ("films", "media/art"):
        shutil.copytree("posters", Path(folder) / "posters")
    shutil.copy("posters.csv", "films/films.csv")


def write_pictures() -> None:
    drawn = sorted(Path("posters").iterdir())
    for name in (
        "poster.jpg",
        "poster.webp",
        "other.webp",
        "more/one.webp",
        "first/Comedy/one.jpg",
        "first/Drama/two.jpg",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(drawn.pop()).save(name)
    for title in ("Bare", "Old"):
        film = Path("media/films") / f"{title} (1999)"
        film.mkdir(parents=True)
        (film / "film.mkv").touch()
        shutil.copy("poster.jpg", film / "poster.jpg")
        (film / "movie.nfo").write_text(f"<movie><title>{title}</title></movie>")


def write_networks() -> None:
    """A backbone and a classifier made elsewhere, both with random weights."""
    from transformers import ResNetConfig, ResNetModel

    ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])).save_pretrained("backbone")
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["genres"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 48, 32])
    genres = helper.make_tensor_value_info("genres", TensorProto.FLOAT, ["N", 3])
    dense = numpy_helper.from_array(np.eye(3, dtype=np.float32), "dense")
    graph = helper.make_graph(nodes, "classifier", [images], [genres], [dense])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "classifier.onnx")


@pytest.fixture
def place(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is where the test runs."""
    shutil.copytree(full, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def run_command(line: str) -> None:
    for name, stand_in in STANDS_FOR.items():
        line = line.replace(name, stand_in)
    arguments = shlex.split(line, comments=True)[1:]
    if arguments[0] in ("train", "export", "pack") and "--resume" not in arguments:
        out = Path(arguments[arguments.index("--out") + 1] if "--out" in arguments else arguments[-1])
        shutil.rmtree(out, ignore_errors=True)  # the reader has none yet
    if arguments[0] == "demo":
        shutil.rmtree("demo", ignore_errors=True)
    if "--resume" not in arguments:
        arguments += next((more.split() for start, more in QUICK.items() if line.startswith(f"onesheet {start} ")), [])
    assert main(arguments) == 0, line


def run_python(code: str, names: dict[str, object]) -> None:
    for slow, quick in QUICKER.items():
        code = code.replace(slow, quick)
    exec(compile(code, "a page", "exec"), names)


def run_block(block: Block, names: dict[str, object]) -> None:
    if block.language == "python":
        run_python(block.text, names)
    for line in block.commands:
        if not outside(line):
            run_command(line)


def runnable() -> Iterator[Block]:
    for block in blocks("python", "console"):
        if block.language == "python" or not all(map(outside, block.commands)):
            yield block


SINGLE = [block for block in runnable() if block.page.parent.name != "tutorials"]
STORIES = [list(one) for _, one in groupby((b for b in runnable() if b not in SINGLE), key=lambda block: block.page)]


@pytest.fixture(autouse=True)
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "DEMO_FILMS", FILMS)
    training = replace(train.DEMO.training, widths=(4, 8), epochs=1)
    quick = replace(train.DEMO, size=(48, 32), min_films=5, draws=10, training=training)
    monkeypatch.setattr(train, "DEMO", quick)
    monkeypatch.setattr(train, "QUICK", replace(train.QUICK, draws=10))


@pytest.mark.parametrize("block", SINGLE, ids=str)
def test_blocks_run(block: Block, place: Path) -> None:
    run_block(block, {"__name__": "a page"})


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story[0].page.stem)
def test_tutorials_run(story: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "a page"}
    for block in story:
        run_block(block, names)


def test_what_is_not_run_is_known_and_still_shown() -> None:
    lines = [line for block in blocks("console") for line in block.commands]
    others = {line.split()[0] for line in lines if not line.startswith("onesheet ")}
    assert others == set(OTHER_PROGRAMS)
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)] == []


def test_what_stands_for_something_else_is_still_shown() -> None:
    python = "".join(block.text for block in blocks("python"))
    assert [slow for slow in QUICKER if slow not in python] == []
    console = "".join(block.text for block in blocks("console"))
    assert [name for name in STANDS_FOR if name not in console] == []


def test_the_tests_that_stand_for_what_is_not_run_exist() -> None:
    reasons = " ".join([*NOT_RUN.values(), *OTHER_PROGRAMS.values()])
    for path in re.findall(r"\b(?:tests|scripts)/[\w/.-]*\w", reasons):
        assert (ROOT / path).exists(), path

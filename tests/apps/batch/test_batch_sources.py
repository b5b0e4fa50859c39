"""Every form of source gives the answers that `predict` gives."""

from __future__ import annotations

import csv
import json
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import batch_sources as forms
import fsspec
import numpy as np
import pytest
from batch_sources import rows_of

from onesheet.apps.batch import run_batch, storage
from onesheet.apps.batch.batch_source import open_source
from onesheet.errors import CatalogueError, MissingExtra, RunError
from onesheet.predict import Failure, load

Form = Callable[[Sequence[Path], Path], str]


def check(rows: list[dict[str, object]], posters: Sequence[Path], model: Path) -> None:
    """Rows are what `predict` says of the posters, in their order."""
    predictor = load(model, threads=1)
    for row, answer in zip(rows, predictor.predict_many(posters), strict=True):
        if isinstance(answer, Failure):
            assert row["error"] and row["genres"] is None and row["Comedy"] is None
        else:
            assert row["error"] is None and row["genres"] == "|".join(answer.genres)
            found = [row[genre] for genre in predictor.genres.names]
            np.testing.assert_allclose(found, list(answer.probabilities.values()), atol=1e-5)
    assert sum(row["error"] is not None for row in rows) == 3


def test_a_folder_to_the_last_bit_of_predict(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    folder = posters[0].parent
    done = run_batch(folder, tmp_path / "out", model=motif_model, part_rows=16)
    assert done == (4, 0, 53, 3)
    rows = rows_of(tmp_path / "out")
    assert list(rows[0]) == ["path", "genres", *load(motif_model).genres.names, "error"]
    assert [row["path"] for row in rows] == list(map(str, posters))
    for row, answer in zip(rows, load(motif_model).predict_many(posters), strict=True):
        if not isinstance(answer, Failure):  # parts are whole batches, so that the batches are the same
            assert [np.float32(value) for value in answer.probabilities.values()] == [
                row[g] for g in answer.probabilities
            ]


@pytest.mark.parametrize("form", [forms.as_csv, forms.as_tsv, forms.as_jsonl, forms.as_parquet_table])
def test_tables(form: Form, posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    shuffled = [posters[number] for number in np.random.default_rng(0).permutation(len(posters))]
    run_batch(form(shuffled, tmp_path), tmp_path / "out", model=motif_model, part_rows=8)
    rows = rows_of(tmp_path / "out")
    assert [row["path"] for row in rows] == list(map(str, shuffled))  # the order of the table
    check(rows, shuffled, motif_model)


@pytest.mark.parametrize("form", [forms.as_tar, forms.as_hugging_face])
@pytest.mark.parametrize("pattern", ["", "/*"])
def test_shards(form: Form, pattern: str, posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    source = form(posters, tmp_path / "shards") + pattern
    assert run_batch(source, tmp_path / "out", model=motif_model).parts == 3
    rows = rows_of(tmp_path / "out")
    dealt = [poster for shard in range(3) for poster in posters[shard::3]]
    assert [str(row["path"]).rsplit("/", 1)[1] for row in rows] == [poster.name for poster in dealt]
    assert all(str(row["path"]).startswith(str(tmp_path / "shards")) for row in rows)
    check(rows, dealt, motif_model)


def test_a_shard_of_bytes_alone(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    source = forms.as_bytes(posters, tmp_path)
    run_batch(source, tmp_path / "out", model=motif_model)
    rows = rows_of(tmp_path / "out")
    assert [row["path"] for row in rows] == [f"{source}/{number}" for number in range(53)]
    check(rows, posters, motif_model)


def test_source_and_parts_on_another_file_system(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for poster in posters:
        memory.pipe(f"/art/{poster.relative_to(posters[0].parent)}", poster.read_bytes())
    memory.pipe("/art/.thumbs/one.png", posters[20].read_bytes())
    done = run_batch("memory://art", "memory://answers/one", model=motif_model, part_rows=16)
    assert done == (4, 0, 53, 3)
    memory.get("/answers/one/", str(tmp_path / "out"), recursive=True)
    rows = rows_of(tmp_path / "out")
    assert [row["path"] for row in rows] == [f"memory://art/{p.relative_to(posters[0].parent)}" for p in posters]
    check(rows, posters, motif_model)
    memory.rm("/answers/one/part-00002.parquet")
    assert run_batch("memory://art", "memory://answers/one", model=motif_model, part_rows=16) == (4, 3, 16, 0)
    assert memory.cat("/answers/one/part-00002.parquet") == (tmp_path / "out" / "part-00002.parquet").read_bytes()
    assert not [name for name in memory.find("/answers") if name.endswith(".part")]


class Server(SimpleHTTPRequestHandler):
    """Fails once for each `shaky` file, and always for `down`."""

    seen: set[str]

    def do_GET(self) -> None:
        if "down" in self.path or ("shaky" in self.path and self.path not in self.seen):
            self.seen.add(self.path)
            self.send_error(503)
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        if "down" in self.path:
            self.send_error(503)
        else:
            super().do_HEAD()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "served"
    folder.mkdir()
    Server.seen = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()


def test_a_table_of_urls_from_a_server(
    served: tuple[str, Path], posters: list[Path], motif_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "RETRY_SECONDS", 0.0)
    url, folder = served
    good = posters[20].read_bytes()
    for name in ("a.png", "shaky.png", "sp ace.png"):
        (folder / name).write_bytes(good)
    written = ["a.png", f"{url}/a.png", f"{url}/shaky.png", f"{url}/gone.png", f"{url}/down.png", "sp%20ace.png"]
    chained = [f"simplecache::{url}/a.png", "nonsense://a.png", str(posters[20]), ""]
    with (folder / "films.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["poster", "n"], *([path, n] for n, path in enumerate(written + chained))])
    done = run_batch(f"{url}/films.csv", tmp_path / "out", model=motif_model)
    rows = rows_of(tmp_path / "out")
    assert done == (1, 0, 10, 5)
    assert [row["path"] for row in rows] == written + chained
    errors = {str(row["path"]): str(row["error"]) for row in rows if row["error"]}
    assert errors.keys() == {f"{url}/gone.png", f"{url}/down.png", chained[0], chained[1], ""}
    assert "no such file; check the path" in errors[f"{url}/gone.png"]
    assert "503" in errors[f"{url}/down.png"]
    assert "it is a chain of URLs" in errors[chained[0]] and "Protocol not known" in errors[chained[1]]
    assert "the row has no poster" in errors[""]
    assert len({row["Comedy"] for row in rows if row["error"] is None}) == 1


def test_a_password_in_a_url_is_neither_told_nor_kept(
    served: tuple[str, Path], posters: list[Path], motif_model: Path, tmp_path: Path
) -> None:
    url, folder = served
    mine, other = url.replace("://", "://me:secret@"), url.replace("://", "://other:secret@")
    (folder / "a.png").write_bytes(posters[20].read_bytes())
    (folder / "films.csv").write_text(f"poster\na.png\ngone.png\n{mine}/gone.png\n")
    for found in (0, 1):
        assert run_batch(f"{mine}/films.csv", tmp_path / "out", model=motif_model).found == found
    errors = [row["error"] for row in rows_of(tmp_path / "out")]
    assert errors[0] is None and all("'http://***@127.0.0.1" in error and "secret" not in error for error in errors[1:])
    assert "secret" not in (tmp_path / "out" / "_batch" / "batch.json").read_text()
    with pytest.raises(RunError, match=r"http://\*\*\*@.* has changed since the batch") as rejected:
        run_batch(f"{other}/films.csv", tmp_path / "out", model=motif_model)
    assert "secret" not in str(rejected.value)


def test_a_poster_that_never_ends_is_rejected(
    posters: list[Path], motif_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: tuple[str, Path]
) -> None:
    monkeypatch.setattr(storage, "MAX_BYTES", posters[20].stat().st_size)
    url, folder = served
    (folder / "a.png").write_bytes(posters[20].read_bytes())
    (folder / "b.png").write_bytes(posters[20].read_bytes() + b"0")
    (tmp_path / "films.csv").write_text(f"path\n{url}/a.png\n{url}/b.png\n")
    run_batch(tmp_path / "films.csv", tmp_path / "out", model=motif_model)
    first, second = rows_of(tmp_path / "out")
    assert first["error"] is None and "more than" in second["error"]


def test_a_url_whose_package_is_missing_stops_before_it_costs_rows(motif_model: Path, tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("path\ns3://bucket/a.jpg\n")
    with pytest.raises(
        MissingExtra, match=r"reading s3:// needs another package; run: pip install 'onesheet-genres\[s3\]'"
    ):
        run_batch(tmp_path / "films.csv", tmp_path / "out", model=motif_model)
    assert not list((tmp_path / "out").glob("part-*"))


@pytest.mark.parametrize("cut", [1.0, 0.9, 0.5, 0.1])
def test_a_tar_cut_short_keeps_what_is_before_and_says_so(
    cut: float, posters: list[Path], motif_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "shards").mkdir()
    forms.as_tar(posters, tmp_path / "shards")
    shard = tmp_path / "shards" / "shard-001.tar"
    with tarfile.open(shard) as archive:
        last = max(member.offset for member in archive)
    length = int(last * cut) // 512 * 512 + (0 if cut == 1 else 100)  # 1: between two members, where tarfile is silent
    shard.write_bytes(shard.read_bytes()[:length])
    run_batch(tmp_path / "shards", tmp_path / "out", model=motif_model)
    mine = [row for row in rows_of(tmp_path / "out") if "shard-001" in str(row["path"])]
    assert mine[-1]["path"] == str(shard) and "copy it again" in mine[-1]["error"]
    names = [str(row["path"]).rsplit("/", 1)[1] for row in mine[:-1]]
    assert names == [poster.name for poster in posters[1::3]][: len(names)]
    assert len(names) >= (len(posters[1::3]) - 1) * cut - 2


def test_a_bad_row_of_a_table_is_a_row_with_an_error(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text(f"poster,year\n{posters[20]},1999\na,b,c,d\n{posters[21]},2000\n")
    run_batch(tmp_path / "films.csv", tmp_path / "out", model=motif_model)
    assert [row["error"] is None for row in rows_of(tmp_path / "out")] == [True, True, False]


def test_csv_is_safe_in_a_spreadsheet_and_json_lines_are_as_they_are(
    posters: list[Path], motif_model: Path, tmp_path: Path
) -> None:
    paths = ["=HYPERLINK(1).png", "+1.png", "-1.png", "@a.png", 'com"ma,.png', str(posters[20])]
    (tmp_path / "films.jsonl").write_text("".join(json.dumps({"path": path}) + "\n" for path in paths))
    for form in ("csv", "jsonl", "parquet"):
        run_batch(tmp_path / "films.jsonl", tmp_path / form, model=motif_model, form=form)
    with (tmp_path / "csv" / "part-00000.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["path"] for row in table] == [*(f"'{path}" for path in paths[:4]), *paths[4:]]
    lines = [json.loads(line) for line in (tmp_path / "jsonl" / "part-00000.jsonl").read_text().splitlines()]
    whole = rows_of(tmp_path / "parquet")
    assert [row["path"] for row in lines] == paths == [row["path"] for row in whole]
    assert list(table[0]) == list(lines[0]) == list(whole[0])
    for genre in ("Comedy", "Drama"):
        assert float(table[5][genre]) == lines[5][genre] and np.float32(lines[5][genre]) == whole[5][genre]
    assert table[0]["error"] == lines[0]["error"] == whole[0]["error"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such source"),
        ("list.txt", "a/0001.jpg\na/0002.jpg\n", "has no header; add the first line 'path'"),
        ("films.csv", "title,year\nUp,2009\n", "no column of .* has posters; got title, year; name the column 'path'"),
        ("films.parquet", "no parquet", "is no readable Parquet file"),
        ("empty", "", "no such source"),
    ],
)
def test_sources_that_are_none(name: str, content: str | None, message: str, tmp_path: Path, motif_model: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(CatalogueError, match=message):
        run_batch(tmp_path / name, tmp_path / "out", model=motif_model)
    assert not list(tmp_path.glob("out/part-*"))


def test_a_folder_of_nothing_and_a_folder_of_both(posters: list[Path], tmp_path: Path, motif_model: Path) -> None:
    folder = tmp_path / "folder"
    (folder / ".thumbs").mkdir(parents=True)
    (folder / ".thumbs" / "a.png").write_bytes(posters[20].read_bytes())
    with pytest.raises(CatalogueError, match="no poster and no shard in"):
        run_batch(folder, tmp_path / "out", model=motif_model)
    forms.as_tar(posters, folder)
    (folder / "a.png").write_bytes(posters[20].read_bytes())
    with pytest.raises(CatalogueError, match="contains both posters and shards"):
        run_batch(folder, tmp_path / "out", model=motif_model)


@pytest.mark.parametrize("url", ["{}", "file://{}", "memory://{}"])
def test_what_is_left_out_of_a_folder(url: str, tmp_path: Path) -> None:
    names = [*("a.jpg", "b/c.PNG", ".d.jpg", "e.heic", "f.jxl", "g.tbn", "h", "i.jpg_large", ".cache/j.jpg")]
    folder = url.format(tmp_path / "posters")
    system, root = fsspec.url_to_fs(folder)
    for name in names:
        system.makedirs(f"{root}/{name}".rsplit("/", 1)[0], exist_ok=True)
        system.pipe_file(f"{root}/{name}", b"")
    source = open_source(folder)
    assert [row.path.removeprefix(f"{folder}/") for row in source.listing()] == ["a.jpg", "b/c.PNG"]
    assert {why: [path.removeprefix(f"{folder}/") for path in paths] for why, paths in source.left_out.items()} == {
        "hidden": [".d.jpg"],
        "of the unsupported format .heic": ["e.heic"],
        "of the unsupported format .jxl": ["f.jxl"],
        "with the suffix .tbn, which is no image's": ["g.tbn"],
        "without a suffix": ["h"],
        "with the suffix .jpg_large, which is no image's": ["i.jpg_large"],
    }


def test_what_is_left_out_beside_shards(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    source = forms.as_tar(posters, tmp_path / "shards")
    for name in ("index.json", ".hidden.tar", "films.parquet"):
        (tmp_path / "shards" / name).touch()
    messages: list[str] = []
    run_batch(source, tmp_path / "out", model=motif_model, verbose=True, notify=messages.append)
    assert messages == [
        "left out: 3 files beside the shards",
        *(f"  {tmp_path / 'shards' / name}" for name in (".hidden.tar", "films.parquet", "index.json")),
    ]


def test_names_that_are_no_utf8(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "Am\udce9lie.png").write_bytes(posters[20].read_bytes())
    run_batch(folder, tmp_path / "out", model=motif_model)
    (row,) = rows_of(tmp_path / "out")
    assert row["path"] == f"{folder}/Am\\udce9lie.png" and row["error"] is None

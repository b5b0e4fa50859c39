"""The packed store: whole, deterministic, and the same however often it was interrupted."""

import errno
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onesheet.data.catalogue import Catalogue, Film
from onesheet.errors import ConfigError, OnesheetError, PackError
from onesheet.genres import GenreSet
from onesheet.images import read_poster
from onesheet.packed import pack_journal as journal_module
from onesheet.packed import packing
from onesheet.packed.packing import pack
from onesheet.packed.store import Packed, let_go, open_packed
from resident import SMAPS, resident_kb

SIZE = (24, 16)
BAD = {3: b"", 20: b"text", 21: None}


@dataclass
class Assigned:
    """What `pack` reads of a split."""

    catalogue: Catalogue
    splits: np.ndarray


def shelf(folder, count=40, bad=BAD):
    """A split of small pictures, some of them bad."""
    rng = np.random.default_rng(0)
    films = []
    for number in range(count):
        path = folder / f"póster {number}.png"
        data = bad.get(number, "picture")
        if data == "picture":
            Image.fromarray(rng.integers(0, 256, (30, 20, 3), np.uint8)).save(path)
        elif data is not None:
            path.write_bytes(data)
        films.append(Film(f"f{number}", str(path), ("Drama",) if number % 3 else ("Comedy", "Drama"), "Tïtle", 1990))
    splits = np.array([("train", "train", "validation", "test")[number % 4] for number in range(count)])
    return Assigned(Catalogue(tuple(films), GenreSet(["Comedy", "Drama"])), splits)


@pytest.fixture
def split(tmp_path):
    (tmp_path / "posters").mkdir()
    return shelf(tmp_path / "posters")


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(packing, "CHUNK", 8)
    monkeypatch.setattr(packing, "_SLAB", 4)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_are_the_decodable_posters_in_order(split, tmp_path):
    calls = []
    folder = tmp_path / "packed"
    packed = pack(
        split, folder, size=SIZE, progress=lambda task, done, total, note="": calls.append((task, done, total))
    )
    good = [index for index in range(40) if index not in BAD]
    assert [film.film_id for film in packed.films] == [f"f{index}" for index in good]
    assert packed.films == tuple(split.catalogue.films[index] for index in good)
    assert packed.splits.tolist() == split.splits[good].tolist()
    np.testing.assert_array_equal(packed.labels, split.catalogue.labels[good])
    assert packed.posters.shape == (37, *SIZE, 3)
    assert packed.posters.dtype == np.uint8
    assert not packed.posters.flags.writeable
    for film, pixels in zip(packed.films, packed.posters, strict=True):
        np.testing.assert_array_equal(pixels, read_poster(film.poster, size=SIZE))
    assert packed.rows("test").tolist() == [row for row, index in enumerate(good) if index % 4 == 3]
    assert packed.findings.counts == {"missing": 1, "not-an-image": 2}
    assert (packed.size, packed.resize, packed.genres) == (SIZE, "stretch", split.catalogue.genres)
    assert calls[-1] == ("pack", 40, 40)
    assert sorted(contents(folder)) == ["films.jsonl", "findings.csv", "manifest.json", "posters.npy"]
    np.testing.assert_array_equal(np.load(folder / "posters.npy"), packed.posters)
    packed.verify()


@pytest.mark.usefixtures("small_chunks")
def test_any_number_of_threads_gives_the_same_bytes(split, tmp_path):
    for threads in (1, 2, 7):
        pack(split, tmp_path / str(threads), size=SIZE, resize="pad", threads=threads)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "7")


def test_what_is_opened_later_is_what_pack_returned(split, tmp_path):
    packed = pack(split, tmp_path / "packed", size=SIZE)
    opened = open_packed(tmp_path / "packed")
    for field in fields(Packed):
        now, later = getattr(packed, field.name), getattr(opened, field.name)
        if isinstance(now, np.ndarray):
            np.testing.assert_array_equal(now, later, strict=field.name != "splits")
        else:
            assert now == later, field.name
    sizes = f"37 posters of {SIZE[0]}×{SIZE[1]} in {len(packed.genres)} genres"
    assert repr(opened) == f"<Packed of {tmp_path / 'packed'}: {sizes}>"


def test_films_are_a_sequence(split, tmp_path):
    films = pack(split, tmp_path / "packed", size=SIZE).films
    everything = tuple(films)
    assert len(films) == len(everything) == 37
    assert films[-1] == everything[-1] and films[np.int64(3)] == everything[3]
    assert films[30:2:-7] == everything[30:2:-7] and films[40:] == ()
    assert everything[5] in films and films.index(everything[5]) == 5
    assert films == everything == films and films != everything[:-1] and films != (*everything[1:], everything[0])
    assert pickle.loads(pickle.dumps(films)) == films
    for row in (37, -38):
        with pytest.raises(IndexError):
            films[row]


def test_films_stay_on_the_disk(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "poster.png")
    films = tuple(
        Film(f"film-{number}", str(tmp_path / "poster.png"), ("Drama",), f"Title {number}") for number in range(2000)
    )
    pack(Assigned(Catalogue(films, GenreSet(["Drama"])), np.array(["train"] * 2000)), tmp_path / "packed", size=(8, 8))
    tracemalloc.start()
    packed = open_packed(tmp_path / "packed")
    assert packed.films[1999] == films[1999]
    held, _ = tracemalloc.get_traced_memory()
    packed.films[:]
    tuple_held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 100 * len(films) < 250 * len(films) < tuple_held  # bytes


def test_films_that_change_while_a_store_is_open_are_rejected(split, tmp_path):
    packed = pack(split, tmp_path / "packed", size=SIZE)
    with (tmp_path / "packed" / "films.jsonl").open("r+b") as file:
        file.write(b"?")
    with pytest.raises(PackError, match=r"films.jsonl' has changed since it was opened; delete it and pack again"):
        packed.films[0]


def test_a_finished_store_is_opened_not_made_again(split, tmp_path):
    first = pack(split, tmp_path / "packed", size=SIZE)
    for film in split.catalogue.films:
        shutil.rmtree(tmp_path / "posters", ignore_errors=True)
        assert film.poster
    again = pack(split, tmp_path / "packed", size=SIZE)
    assert again.fingerprint == first.fingerprint
    assert again.films == first.films
    for change in ({"size": (16, 16)}, {"size": SIZE, "resize": "pad"}):
        with pytest.raises(PackError, match="other films or settings; choose another folder or delete this one"):
            pack(split, tmp_path / "packed", **change)
    split.splits[0] = "test"
    with pytest.raises(PackError, match="other films or settings"):
        pack(split, tmp_path / "packed", size=SIZE)


class Interrupted(Exception):
    pass


def stop_at(done):
    def progress(task, at, total, note=""):
        if at >= done:
            raise Interrupted

    return progress


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("done", [4, 8, 12, 24, 28, 40])
def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(split, tmp_path, monkeypatch, done):
    pack(split, tmp_path / "whole", size=SIZE)
    with pytest.raises(Interrupted):
        pack(split, tmp_path / "packed", size=SIZE, progress=stop_at(done))
    with pytest.raises(PackError, match="unfinished packed store; run the same pack again"):
        open_packed(tmp_path / "packed")
    decoded = []
    monkeypatch.setattr(packing, "read_poster", lambda path, **o: decoded.append(path) or read_poster(path, **o))
    pack(split, tmp_path / "packed", size=SIZE)
    assert len(decoded) == 40 - done // 8 * 8
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("end", [b"", b"\n", b"[" * 100_000 + b"\n", b"7\n"], ids=["cut", "half", "deep", "strange"])
def test_a_torn_journal_line_is_dropped(split, tmp_path, end):
    pack(split, tmp_path / "whole", size=SIZE)
    with pytest.raises(Interrupted):
        pack(split, tmp_path / "packed", size=SIZE, progress=stop_at(24))
    path = tmp_path / "packed" / "journal.jsonl"
    whole, last = path.read_bytes()[:-1].rsplit(b"\n", 1)
    path.write_bytes(whole + b"\n" + (end if len(end) > 1 else last[:-7] + end))
    pack(split, tmp_path / "packed", size=SIZE)
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("line", ['{"done": 8}', '{"done": "x", "crc32": [], "failed": []}', '{"failed": 7}'])
def test_a_journal_that_no_pack_wrote_is_rejected(split, tmp_path, line):
    with pytest.raises(Interrupted):
        pack(split, tmp_path / "packed", size=SIZE, progress=stop_at(24))
    with (tmp_path / "packed" / "journal.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(PackError, match=r"journal.jsonl' is damaged; delete the folder and pack again"):
        pack(split, tmp_path / "packed", size=SIZE)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("spoil", ["other order", "pixels gone", "pixels short"])
def test_an_unfinished_store_that_does_not_fit_is_started_anew(split, tmp_path, spoil):
    pack(split, tmp_path / "whole", size=SIZE)
    other = {"size": (8, 8)} if spoil == "other order" else {"size": SIZE}
    with pytest.raises(Interrupted):
        pack(split, tmp_path / "packed", **other, progress=stop_at(24))
    if spoil == "pixels gone":
        (tmp_path / "packed" / "posters.npy").unlink()
    if spoil == "pixels short":
        os.truncate(tmp_path / "packed" / "posters.npy", 1000)
    pack(split, tmp_path / "packed", size=SIZE)
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
import test_packing
from onesheet.packed import packing as module
module.CHUNK, module._SLAB = 8, 4
decode = module.read_poster
def slow(path, **options):
    import time
    time.sleep(0.02)
    return decode(path, **options)
module.read_poster = slow
module.pack(test_packing.shelf(Path(sys.argv[2])), sys.argv[3], size=test_packing.SIZE, threads=2)
"""


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(split, tmp_path):
    pack(split, tmp_path / "whole", size=SIZE)
    folder = tmp_path / "packed"
    here = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", KILLED, here, str(tmp_path / "posters"), str(folder)])
    journal = folder / "journal.jsonl"
    deadline = time.monotonic() + 200
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "manifest.json").exists()
    pack(split, folder, size=SIZE)
    assert contents(folder) == contents(tmp_path / "whole")


def test_damage_is_told(split, tmp_path):
    folder = tmp_path / "packed"
    packed = pack(split, folder, size=SIZE)
    whole = contents(folder)

    def spoilt(name, data):
        (folder / name).write_bytes(data)
        with pytest.raises(PackError) as caught:
            open_packed(folder)
        (folder / name).write_bytes(whole[name])
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    manifest = json.loads(whole["manifest.json"])
    assert "newer than 1; update onesheet" in spoilt("manifest.json", json.dumps(manifest | {"protocol": 2}).encode())
    assert "cannot read the manifest" in spoilt("manifest.json", b"{")
    assert "damaged ('fingerprint')" in spoilt(
        "manifest.json", json.dumps({k: v for k, v in manifest.items() if k != "fingerprint"}).encode()
    )
    assert "films.jsonl has changed" in spoilt("films.jsonl", whole["films.jsonl"].replace(b"f1", b"f2"))
    assert "damaged" in spoilt("posters.npy", whole["posters.npy"][:-1])
    pixels = bytearray(whole["posters.npy"])
    pixels[-1] ^= 1
    (folder / "posters.npy").write_bytes(pixels)
    with pytest.raises(PackError, match=r"1 posters .* damaged, first 'f39'"):
        open_packed(folder).verify()
    assert pickle.loads(pickle.dumps(packed)).films == packed.films
    assert len(pickle.dumps(packed)) < 1000
    with pytest.raises(PackError, match="no packed store"):
        open_packed(tmp_path / "nowhere")


def test_a_folder_with_anothers_files_is_left_alone(split, tmp_path):
    (tmp_path / "posters.npy").write_bytes(b"mine")
    with pytest.raises(PackError, match="not from an unfinished pack"):
        pack(split, tmp_path, size=SIZE)
    assert (tmp_path / "posters.npy").read_bytes() == b"mine"


@pytest.mark.parametrize("good", [0, 1])
def test_too_few_posters(tmp_path, good):
    (tmp_path / "posters").mkdir()
    split = shelf(tmp_path / "posters", 4, bad=dict.fromkeys(range(good, 4)))
    with pytest.raises(PackError, match=rf"{good} of 4 posters can be decoded .*at least 2"):
        pack(split, tmp_path / "packed", size=SIZE)
    assert not (tmp_path / "packed").exists()
    split = Assigned(Catalogue((), GenreSet([])), np.array([], dtype=str))
    with pytest.raises(PackError, match="0 of 0 posters"):
        pack(split, tmp_path / "packed", size=SIZE)


def test_options_out_of_range(split, tmp_path):
    for wrong in ({"size": (0, 5)}, {"size": (24, 5000)}, {"resize": "crop"}, {"threads": 0}):
        with pytest.raises(ConfigError):
            pack(split, tmp_path / "packed", **wrong)
    assert not (tmp_path / "packed").exists()


def test_full_disk_at_the_start_leaves_nothing(split, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal_module.os, "posix_fallocate", full)
    with pytest.raises(OnesheetError, match=r"disk full while writing .*; free some space"):
        pack(split, tmp_path / "packed", size=SIZE)
    assert not (tmp_path / "packed").exists()


@pytest.mark.usefixtures("small_chunks")
def test_full_disk_in_the_middle_goes_on_later(split, tmp_path, monkeypatch):
    pack(split, tmp_path / "whole", size=SIZE)
    calls = []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwritev(*arguments)

    pwritev = os.pwritev
    monkeypatch.setattr(journal_module.os, "pwritev", full)
    with pytest.raises(OnesheetError, match="disk full"):
        pack(split, tmp_path / "packed", size=SIZE)
    monkeypatch.undo()
    assert (tmp_path / "packed" / "journal.jsonl").read_bytes().count(b"\n") > 1
    pack(split, tmp_path / "packed", size=SIZE)
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


def test_a_disk_that_takes_little_at_a_time_gets_everything(split, tmp_path, monkeypatch):
    pack(split, tmp_path / "whole", size=SIZE)
    poster, most = SIZE[0] * SIZE[1] * 3, [1]
    pwritev = os.pwritev

    def little(file, blocks, place):
        most.append({1: poster, poster: poster * 3 // 2}.get(most[-1], 1))  # a byte, a poster, one and a half
        return pwritev(file, [b"".join(blocks)[: most[-1]]], place)

    monkeypatch.setattr(journal_module.os, "pwritev", little)
    pack(split, tmp_path / "packed", size=SIZE)
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


def test_no_advice_to_the_system_is_needed(split, tmp_path, monkeypatch):
    pack(split, tmp_path / "whole", size=SIZE)

    def rejected(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(journal_module.os, "posix_fadvise", rejected)
    pack(split, tmp_path / "rejected", size=SIZE)
    monkeypatch.delattr(journal_module.os, "posix_fadvise")
    pack(split, tmp_path / "absent", size=SIZE)
    assert contents(tmp_path / "rejected") == contents(tmp_path / "absent") == contents(tmp_path / "whole")


@pytest.mark.skipif(not SMAPS.exists(), reason="only Linux says it")
def test_a_store_read_through_does_not_stay_in_this_process(split, tmp_path):
    packed = pack(split, tmp_path / "packed", size=(224, 160))
    assert packed.posters.sum() > 0 and resident_kb(tmp_path / "packed" / "posters.npy") > 3000
    packed.verify()
    assert resident_kb(tmp_path / "packed" / "posters.npy") == 0
    let_go(packed.posters[3:5])  # a part of it
    let_go(np.zeros(3))
    assert packed.posters[3].any()

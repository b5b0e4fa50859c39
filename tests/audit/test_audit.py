"""The audit: one drawn catalogue with every fault, and properties of the findings."""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onesheet.audit.auditing import audit
from onesheet.data.catalogue import Catalogue, Film
from onesheet.data.findings import Findings
from onesheet.data.reading import read_catalogue
from onesheet.drawn import draw_catalogue
from onesheet.errors import ConfigError
from onesheet.genres import GenreSet
from onesheet.reporting.audit_page import audit_page, totals, write_audit


def scene(seed, size=(80, 120)):
    """A picture with large and small forms, unlike any other seed's."""
    cells = np.random.default_rng(seed).integers(0, 256, (12, 8, 3), np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


class Shelf:
    """Builds a catalogue film by film."""

    def __init__(self, folder):
        self.folder = folder
        self.films = []

    def path(self, film_id):
        return self.folder / f"{film_id}.png"

    def add(self, film_id, picture=None, genres=("Drama",), **film):
        if isinstance(picture, bytes):
            self.path(film_id).write_bytes(picture)
        elif picture is not None:
            picture.save(self.path(film_id))
        film.setdefault("title", f"Title of {film_id}")
        self.films.append(Film(film_id, str(self.path(film_id)), genres, **film))

    @property
    def catalogue(self):
        names = sorted({genre for film in self.films for genre in film.genres})
        return Catalogue(tuple(self.films), GenreSet(names))


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


def flags(findings, film_id):
    return [finding.flag for finding in findings if finding.film_id == film_id]


def only(findings, flag):
    return {finding.film_id: finding for finding in findings.of(flag)}


def test_a_clean_catalogue_has_no_findings(shelf):
    for number in range(30):
        shelf.add(f"f{number}", scene(number))
    assert len(audit(shelf.catalogue)) == 0


def test_posters_that_cannot_be_used(shelf):
    shelf.add("good", scene(0))
    shelf.add("gone")
    shelf.add("text", b"hello")
    shelf.add("empty", b"")
    data = shelf.path("good").read_bytes()
    shelf.add("cut", data[: len(data) // 2])
    jpeg = io.BytesIO()
    scene(0).convert("RGB").save(jpeg, "JPEG")
    shelf.add("zeros", jpeg.getvalue()[: len(jpeg.getvalue()) // 2] + bytes(4096))
    shelf.add("folder")
    shelf.path("folder").mkdir()
    shelf.add("small", scene(1, (31, 50)))
    shelf.add("blank", Image.new("RGB", (80, 120), (90, 10, 10)))
    findings = audit(shelf.catalogue)
    assert {finding.film_id: finding.flag for finding in findings} == {
        "gone": "missing",
        "text": "not-an-image",
        "empty": "not-an-image",
        "cut": "truncated",
        "zeros": "truncated",
        "folder": "missing",
        "small": "too-small",
        "blank": "blank",
    }
    assert all(finding.drops and finding.action and finding.detail for finding in findings)
    assert [film.film_id for film in shelf.catalogue.without(findings).films] == ["good"]


def test_near_blank_posters_with_a_little_text_are_kept_and_do_not_chain(shelf):
    for number in range(12):
        picture = Image.new("L", (80, 120), 250)
        rng = np.random.default_rng(number)
        for _ in range(6):
            x, y = rng.integers(5, 60), rng.integers(5, 100)
            picture.paste(0, (int(x), int(y), int(x) + 12, int(y) + 3))
        shelf.add(f"f{number}", picture)
    assert len(audit(shelf.catalogue)) == 0


def test_odd_shapes_are_graded(shelf):
    for number, width in enumerate((50, 80, 120, 150, 240, 40)):
        shelf.add(f"w{width}", scene(number, (width, 120)))
    found = only(audit(shelf.catalogue), "odd-shape")
    assert set(found) == {"w50", "w150", "w240", "w40"}
    assert found["w50"].score < found["w40"].score
    assert found["w150"].score < found["w240"].score == 0.5
    assert not any(finding.drops for finding in found.values())


def test_exact_duplicates_that_agree(shelf):
    for name in ("a", "b", "c"):
        shelf.add(name, scene(1), genres=("Comedy", "Drama"))
    shelf.add("other", scene(2))
    found = only(audit(shelf.catalogue), "exact-duplicate")
    assert {name: finding.drops for name, finding in found.items()} == {"a": False, "b": True, "c": True}
    assert len({finding.group for finding in found.values()}) == 1
    assert found["a"].group


def test_conflicting_duplicates_all_drop_and_name_each_other(shelf):
    shelf.add("a", scene(1), genres=("Comedy",))
    shelf.add("b", scene(1), genres=("Horror",))
    findings = audit(shelf.catalogue)
    assert [(finding.film_id, finding.flag, finding.drops) for finding in findings] == [
        ("a", "conflicting-duplicate", True),
        ("b", "conflicting-duplicate", True),
    ]
    assert "b (Horror)" in findings.items[0].detail
    assert "correct the genres of a, b" in findings.items[0].action


def test_near_duplicates_share_a_group(shelf, tmp_path):
    shelf.add("a", scene(1, (200, 300)))
    shelf.add("b", scene(1, (200, 300)).resize((120, 180), Image.Resampling.LANCZOS))
    shelf.add("c", scene(1, (200, 300)).crop((2, 2, 198, 298)))
    shelf.add("d", scene(2))
    findings = audit(shelf.catalogue)
    found = only(findings, "near-duplicate")
    assert set(found) == {"a", "b", "c"} and not any(finding.drops for finding in findings)
    groups = [film.group for film in shelf.catalogue.without(findings).films]
    assert groups[0] == groups[1] == groups[2] != ""
    assert groups[3] == ""


def test_groups_that_were_given_stay_together(shelf):
    shelf.add("a", scene(1), group="one")
    shelf.add("b", scene(2, (200, 300)), group="one")
    shelf.add("c", scene(2, (200, 300)).resize((100, 150), Image.Resampling.LANCZOS), group="two")
    shelf.add("d", scene(3), group="two")
    shelf.add("e", scene(4), group="three")
    kept = shelf.catalogue.without(audit(shelf.catalogue))
    assert [film.group for film in kept.films] == ["one", "one", "one", "one", "three"]


def sign():
    """'No poster': grey with a simple form, low in detail."""
    picture = Image.new("RGB", (80, 120), (200, 200, 200))
    picture.paste((150, 150, 150), (25, 45, 55, 75))
    return picture


def test_placeholder_low_in_detail(shelf):
    for number in range(5):
        shelf.add(f"f{number}", sign())
    shelf.add("other", scene(1))
    found = only(audit(shelf.catalogue), "placeholder")
    assert set(found) == {"f0", "f1", "f2", "f3", "f4"}
    assert all(finding.drops for finding in found.values())


def test_placeholder_by_genres_that_disagree(shelf):
    for number, genre in enumerate(("Drama", "Comedy", "Horror", "War", "Drama", "Western")):
        size = (80, 120) if number % 2 else (160 + number, 240)  # saved in many sizes
        shelf.add(f"f{number}", scene(1).resize(size), genres=(genre,))
    findings = audit(shelf.catalogue)
    assert set(findings.counts) == {"placeholder"}
    assert len(findings) == 6


def test_a_series_with_one_poster_is_no_placeholder(shelf):
    for number in range(6):
        shelf.add(f"season{number}", scene(1), genres=("Comedy", "Drama"))
    for number in range(6):  # one film six times over, with other genres
        shelf.add(f"copy{number}", scene(2), genres=(f"Genre {number}",), title="The same")
    counts = audit(shelf.catalogue).counts
    assert counts["exact-duplicate"] == counts["conflicting-duplicate"] == 6
    assert "placeholder" not in counts


def test_titles_and_imbalance(shelf):
    shelf.add("a", scene(1), title="PokÌ©mon", genres=("Drama", "News"))
    for number in range(2, 13):
        shelf.add(f"f{number}", scene(number), title="Amélie")
    findings = audit(shelf.catalogue)
    title, imbalance = findings.items
    assert (title.film_id, title.flag, title.drops) == ("a", "mis-encoded-title", False)
    assert "'Pokémon'" in title.detail
    assert (imbalance.flag, imbalance.film_id, imbalance.poster) == ("imbalance", "", "")
    assert imbalance.score == pytest.approx(1 - 1 / 12)


def test_same_findings_for_any_number_of_threads(shelf):
    for number in range(40):
        shelf.add(f"f{number}", scene(number % 25) if number % 7 else b"broken", genres=(("Drama", "War")[number % 2],))
    calls = []
    one = audit(
        shelf.catalogue, threads=1, progress=lambda task, done, total, note="": calls.append((task, done, total))
    )
    assert audit(shelf.catalogue, threads=5).items == one.items
    assert calls[-1] == ("audit", 40, 40)
    with pytest.raises(ConfigError, match="threads"):
        audit(shelf.catalogue, threads=0)


def test_empty_catalogue():
    assert len(audit(Catalogue((), GenreSet([])))) == 0


class Checked(HTMLParser):
    """Every tag closed, nothing loaded from elsewhere, no script."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "link", "b")
        if tag not in ("meta", "img", "rect"):
            self.open.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_written_audit(shelf, tmp_path):
    shelf.add("<b>bold</b>", None, title="x", genres=("<b>Drama</b>",))
    shelf.films[0] = Film("<b>bold</b>", str(tmp_path / 'no "such" <b>\udcff.jpg'), ("<b>Drama</b>",))
    for name in ("a", "b"):
        shelf.add(name, scene(1))
    findings = audit(shelf.catalogue)
    out = tmp_path / "out" / "deeper"
    write_audit(findings, shelf.catalogue, out, staying=shelf.catalogue.without(findings))
    assert sorted(path.name for path in out.iterdir()) == ["audit.html", "findings.csv"]
    assert Findings.read_csv(out / "findings.csv").counts == findings.counts
    with (out / "findings.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert len(list(csv.reader(file))) == 1 + len(findings)
    page = Checked()
    page.feed((out / "audit.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert all(source.startswith(("#", "data:image/webp;base64,")) for source in page.sources)
    assert sum(source.startswith("data:") for source in page.sources) == 2
    text = " ".join(page.text)
    assert "<b>Drama</b>" in text
    assert "3 films → 1 films stay" in text
    assert "such" in text and "a.png" in text  # the files' names
    assert "Nothing wrong was found" in audit_page(Findings(), shelf.catalogue, staying=shelf.catalogue)


def section(page, name):
    return page[page.index(f'<section id="{name}">') :].partition("</section>")[0]


def test_the_page_groups_what_was_found_and_marks_the_duplicate_that_is_kept(shelf):
    for name in ("a", "b", "c"):
        shelf.add(name, scene(1))
    shelf.add("odd", scene(2, size=(200, 60)))
    shelf.add("gone", None)
    catalogue, findings = shelf.catalogue, audit(shelf.catalogue)
    page = audit_page(
        findings, catalogue, staying=catalogue.without(findings), report="report.html", review="onesheet x"
    )
    removed, check = section(page, "removed"), section(page, "check")
    assert 'id="exact-duplicate"' in removed and 'id="missing"' in removed and 'id="odd-shape"' in check
    (duplicates,) = re.findall(r'<div class="audit-set">(.*?)</div>', removed)
    cards = re.findall(r"<figure.*?</figure>", duplicates)
    assert [Path(re.search(r"title=\"(.*?)\"", card)[1]).stem for card in cards] == ["a", "b", "c"]
    assert [re.search(r'<strong class="(\w+)"', card)[1] for card in cards] == ["kept", "out", "out"]
    for film in catalogue.films:
        assert Path(film.poster).name in page
    assert 'href="report.html"' in page and "run <code>onesheet x</code>" in page


def test_the_totals_reconcile(tmp_path):
    draw_catalogue(tmp_path, films=60)
    catalogue = read_catalogue(tmp_path / "posters.csv", min_films=3)
    findings = audit(catalogue)
    usable = catalogue.without(findings).drop_rare(10)
    counted = totals(usable.findings, catalogue, usable)
    with (tmp_path / "posters.csv").open(encoding="utf-8", newline="") as file:
        assert counted.rows == len(list(csv.reader(file))) - 1 > counted.films == len(catalogue)
    assert counted.films - sum(counted.left_out.values()) == counted.staying == len(usable)
    assert counted.reasons and set(counted.left_out) > {"no-genre", "blank"}
    numbers = re.findall(
        r"<td>(−?[\d,]+)</td>", section(audit_page(usable.findings, catalogue, staying=usable), "totals")
    )
    values = [int(number.replace("−", "-").replace(",", "")) for number in numbers]
    assert values[0] + values[1] == values[2] == len(catalogue)
    assert values[2] + sum(values[3:-1]) == values[-1] == len(usable)

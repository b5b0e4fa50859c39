"""From a recipe's catalogue to packed posters; free of torch, so that the core's commands can use it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from onesheet.audit import audit
from onesheet.data import Catalogue, Film, Findings, read_catalogue
from onesheet.data.findings import AUDIT_FLAGS
from onesheet.data.genre_synonyms import match, suggest
from onesheet.data.source_summary import genres_line
from onesheet.errors import CatalogueError, ConfigError, RunError
from onesheet.files import write_text
from onesheet.genres import GenreSet
from onesheet.images import Resize
from onesheet.options import to_toml
from onesheet.packed import SPLITS, Packed, Split, open_packed, pack, read_split, split
from onesheet.packed.splitting import has_own_split, own_split
from onesheet.packed.stratification import least_films
from onesheet.pipeline.recipe import Recipe
from onesheet.progress import Progress, silent
from onesheet.reporting import write_audit
from onesheet.training.config import check_same_choices

Notify = Callable[[str], None]
CONFIG = "config.toml"
RUN_FILES = (
    *("catalogue.csv", "catalogue.parquet", "evaluation.json", "findings.csv", "genres.onnx", "history.csv"),
    *("predictions.csv", "report.html", "split.csv"),
)


def mute(line: str) -> None:
    """Report nothing."""


def check_start(recipe: Recipe, out: Path, *, resume: bool) -> None:
    """A run of this recipe may start in `out`, or resume there.

    Raises:
        ConfigError: the recipe has no catalogue.
        RunError: `out` holds a run already (and not `resume`), or one of another recipe, or files that are no run's.
    """
    path = out / CONFIG
    if not path.exists():
        if resume:
            raise RunError(f"no run in {str(out)!r} to resume; check --out or leave out --resume")
        theirs = sorted(name for name in RUN_FILES if (out / name).exists())
        if theirs:
            raise RunError(f"{str(out)!r} holds a {theirs[0]} that is no run's; choose another --out")
        if not recipe.catalogue:
            raise ConfigError("no catalogue given; pass a table or a folder of posters")
        return
    if not resume:
        raise RunError(f"{str(out)!r} holds a run already; resume it with --resume or choose another --out")
    check_same_choices(Recipe.read(path).to_dict(), recipe.to_dict(), out)


def prepare(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    table: str = "catalogue.parquet",
    least: int = 0,
    progress: Progress = silent,
    notify: Notify = mute,
) -> tuple[Packed, Findings]:
    """Read, audit, split and pack by `recipe`, each step's file left in `out`.

    Args:
        recipe: every choice; its size is known.
        out: the run's folder.
        resume: use the posters, the findings and the split that `out` has by now.
        table: name of the catalogue that is written, ending in .parquet or .csv.
        least: films outside of the test set that a genre needs; genres with fewer are left out.
        progress: reports the work done.
        notify: called with a line on each step.

    Returns:
        The packed posters, and what was found wrong on the way.

    Raises:
        CatalogueError: nothing can be learnt from the catalogue; `out` is free for another start.
    """
    if resume and (out / "packed" / "manifest.json").exists():
        packed = open_packed(out / "packed")
        findings = Findings.read_csv(out / "findings.csv")
        return packed, findings + Findings(finding for finding in packed.findings if finding not in set(findings))
    catalogue = open_catalogue(recipe, notify=notify)
    catalogue.without(Findings(), keep=recipe.keep)  # wrong flags and split files are rejected before the posters are
    if recipe.split:  # read and anything is written
        read_split(catalogue, *recipe.split)
    found = None
    if resume and (out / "audit.html").exists():
        found = Findings.read_csv(out / "findings.csv").of(*AUDIT_FLAGS)
    cleaned = clean(catalogue, recipe, findings=found, progress=progress, notify=notify)
    write_text(out / CONFIG, to_toml(recipe.to_dict()))
    if found is None:
        review = shlex.join(["onesheet", "serve", "--run", str(out)])
        write_audit(cleaned.findings, catalogue, out, staying=cleaned, report="report.html", review=review)
        notify(f"what was found: {out / 'audit.html'}")
    made = (out / "split.csv",) if resume and (out / "split.csv").exists() else ()
    try:
        assigned = _split_to_learn(recipe, cleaned, least, files=recipe.split or made, notify=notify)
    except CatalogueError:
        if not resume:
            for name in (CONFIG, "findings.csv"):
                (out / name).unlink()
        raise
    assigned.write(out, table=table)
    packed = pack(
        assigned,
        out / "packed",
        size=recipe.size or (224, 160),
        resize=cast(Resize, recipe.resize),
        threads=recipe.training.threads,
        progress=progress,
    )
    findings = assigned.catalogue.findings + assigned.findings + packed.findings
    findings.write_csv(out / "findings.csv")
    return packed, findings


def clean(
    catalogue: Catalogue,
    recipe: Recipe,
    *,
    findings: Findings | None = None,
    progress: Progress = silent,
    notify: Notify = mute,
) -> Catalogue:
    """Leave out what an audit (made before, or now) says to leave out, and the genres that are too rare by then."""
    if findings is None:
        findings = audit(catalogue, threads=recipe.training.threads, progress=progress)
        notify(f"audited{_noted(findings)}")
    cleaned = _enough(catalogue.without(findings, keep=recipe.keep).drop_rare(recipe.min_films), recipe.min_films)
    notify(f"{len(cleaned):,} films in {len(cleaned.genres)} genres stay")
    return cleaned


def whole_catalogue(
    recipe: Recipe,
    genres: GenreSet,
    *,
    choose: Callable[[tuple[Film, ...]], tuple[Film, ...]] = tuple,
    progress: Progress = silent,
    notify: Notify = mute,
) -> Catalogue:
    """All usable films of the recipe's catalogues that `choose` takes, in a model's genres and their order.

    Exact synonyms of the model's genres ("Science Fiction" for "Sci-Fi") are renamed; near ones are suggested only.

    Raises:
        CatalogueError: they cannot be read, or nothing usable is left.
    """
    read = open_catalogue(replace(recipe, min_films=1), notify=notify)
    catalogue = read.in_genres(genres)
    meant = match(read.genres.names, genres.names)
    strange = _strange(read, meant, genres)
    if not len(catalogue):
        raise CatalogueError(f"no film has a genre of the model, but for {strange}; rename them with --genre-map")
    if synonyms := ", ".join(f"{name} = {known}" for name, known in meant.items() if name != known):
        notify(f"genre names matched: {synonyms}")
    if strange:
        notify(f"genres that the model does not have are left out: {strange}; --genre-map renames them")
    if foreign := len(read) - len(catalogue):
        notify(
            f"{foreign:,} films left out: none of their genres is one of the model's; what follows holds for films "
            "that have one, and where others are, probabilities are too high"
        )
    catalogue = replace(catalogue, films=choose(catalogue.films))
    catalogue = clean(catalogue, replace(recipe, min_films=1), progress=progress, notify=notify)
    return replace(catalogue, genres=genres)


def _strange(catalogue: Catalogue, meant: Mapping[str, str], genres: GenreSet) -> str:
    """Genres of a catalogue that are not a model's, the commonest first, and what they may be."""
    counts = Counter(name for film in catalogue.films for name in film.genres if name not in meant)
    near = {name: f"; {known}?" if (known := suggest(name, genres.names)) else "" for name in counts}
    return ", ".join(f"{name} ({count:,} films{near[name]})" for name, count in counts.most_common())


def _enough(catalogue: Catalogue, min_films: int) -> Catalogue:
    """The catalogue, if there is something to tell apart in it.

    Raises:
        CatalogueError: fewer than two genres are left.
    """
    if len(catalogue.genres) < 2:
        only = ", ".join(catalogue.genres.names) or "no genre"
        raise CatalogueError(
            f"of {len(catalogue):,} usable films only {only} is left; at least two genres with {min_films} films each "
            "are needed: add films, lower --min-films or --keep what the audit leaves out"
        )
    return catalogue


def open_catalogue(recipe: Recipe, *, notify: Notify = mute) -> Catalogue:
    """Read the recipe's catalogues.

    Raises:
        CatalogueError: they cannot be read, or fewer than two genres are left.
    """
    catalogue = read_catalogue(
        *recipe.catalogue,
        posters=list(recipe.posters) or None,
        poster_column=recipe.poster_column,
        id_column=recipe.id_column,
        genre_column=recipe.genre_column,
        genre_delimiter=recipe.genre_delimiter,
        genres=recipe.genres,
        genre_map=recipe.genre_map,
        min_films=recipe.min_films,
    )
    for source in catalogue.sources:
        notify(source.line)
    notify(f"read {len(catalogue):,} films{_noted(catalogue.findings)}")
    notify(genres_line(*catalogue.genre_counts))
    return catalogue


def split_by(recipe: Recipe, catalogue: Catalogue, *, files: Sequence[str | Path] = (), notify: Notify = mute) -> Split:
    """Split by the split files, by the split that the catalogue comes with, or anew."""
    if files:
        found = read_split(catalogue, *files)
        fewer = found.catalogue.drop_rare(recipe.min_films)  # a file may name some of the films only
        smaller = _enough(fewer, recipe.min_films)
        if smaller.genres != found.catalogue.genres:
            found = read_split(smaller, *files)
    elif has_own_split(catalogue) and not recipe.resplit:
        notify("the catalogue comes with a split, which is used; --resplit makes a new one")
        found = own_split(catalogue, seed=recipe.training.seed, validation=recipe.validation, test=recipe.test)
    else:
        found = split(catalogue, seed=recipe.training.seed, validation=recipe.validation, test=recipe.test)
    sizes = ", ".join(f"{len(found.rows(name)):,} {name}" for name in SPLITS)
    notify(f"split into {sizes}{_noted(found.findings)}")
    if leaks := len(found.findings.of("leak")):
        cure = "name them in one split" if files else "--resplit keeps them together"
        notify(f"{leaks:,} films have nearly the same poster in an earlier split, which flatters metrics; {cure}")
    return found


def _split_to_learn(
    recipe: Recipe, catalogue: Catalogue, least: int, *, files: Sequence[str | Path], notify: Notify
) -> Split:
    """`split_by`, without genres that fewer than `least` films to learn from have, or lack.

    Raises:
        CatalogueError: fewer than two genres are left, or the films cannot be split.
    """
    found = split_by(recipe, catalogue, files=files, notify=notify)
    if not least:
        return found
    rows = np.flatnonzero(found.splits != "test")
    films, genres = found.catalogue.films, found.catalogue.genres
    counts = least_films(found.catalogue.labels[rows], [films[row].group for row in rows]).tolist()
    rare = {name: count for name, count in zip(genres.names, counts, strict=True) if count < least}
    if not rare:
        return found
    notify(
        f"left out, as fewer than {least} films outside of the test set have them, or lack them: "
        f"{', '.join(f'{name} {count}' for name, count in rare.items())}"
    )
    cure = "add films, or take fewer for the test set with --test"
    fewer = _enough(catalogue.without_genres(rare, least=least, cure=cure, where=" to learn from"), least)
    return _split_to_learn(recipe, fewer, least, files=files, notify=notify)


def _noted(findings: Findings) -> str:
    """Findings in a clause: "; left out or noted: 12 no-poster, 3 repeated-id"."""
    counts = ", ".join(f"{count:,} {flag}" for flag, count in findings.counts.items())
    return f"; noted: {counts}" if counts else ""

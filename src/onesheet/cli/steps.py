"""The steps alone: audit, split, pack, fit, export, evaluate."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onesheet.cli import options
from onesheet.cli.console import Console, print_table
from onesheet.cli.options import add_catalogue, add_options, recipe_from
from onesheet.errors import ConfigError

if TYPE_CHECKING:
    from onesheet.data import Catalogue, Findings, Packed, Split
    from onesheet.evaluation import Evaluation
    from onesheet.images import Resize
    from onesheet.training.config import Recipe

CATALOGUE_PART = "catalogue"  # the part's name where a whole catalogue is measured


def add_commands(commands: Any) -> None:
    """Add the commands."""
    audit = _command(commands, "audit", _audit, "what is wrong with a catalogue; changes nothing")
    add_catalogue(audit)
    _out(audit, "folder for findings.csv and audit.html")
    add_options(audit, *options.CATALOGUE, "threads")

    split = _command(commands, "split", _split, "parts to train, validate and test on")
    add_catalogue(split)
    _out(split, "the split file (CSV)")
    split.add_argument("--findings", metavar="FILE", help="findings.csv of an audit; default: audit now")
    add_options(split, *options.CATALOGUE, *options.AUDIT, *options.SPLIT)

    pack = _command(commands, "pack", _pack, "posters decoded and resized once, for training")
    add_catalogue(pack)
    _out(pack, "folder for the packed posters")
    pack.add_argument("--findings", metavar="FILE", help="findings.csv of an audit; default: audit now")
    add_options(pack, *options.CATALOGUE, *options.AUDIT, *options.SPLIT, *options.PACK)

    fit = _command(commands, "fit", _fit, "train a network on packed posters")
    fit.add_argument("packed", help="folder written by pack")
    _out(fit, "the run's folder")
    fit.add_argument("--resume", action="store_true", help="go on where the run stopped")
    add_options(fit, *options.FIT)

    export = _command(commands, "export", _export, "one model file from a run, calibrated and checked")
    export.add_argument("run_folder", metavar="RUN", help="folder written by fit or train")
    _out(export, "the model file (ONNX)")
    add_options(export, *options.EXPORT)

    evaluate = _command(commands, "evaluate", _evaluate, "measure a model file; write a report")
    evaluate.add_argument("model_file", metavar="MODEL", help="model file")
    evaluate.add_argument("source", metavar="SOURCE", help="packed folder, or a catalogue (all its films are measured)")
    _out(evaluate, "folder for evaluation.json and report.html")
    evaluate.add_argument(
        "--part", default="test", choices=("train", "validation", "test"), help="part of a packed folder"
    )
    add_options(evaluate, *options.CATALOGUE, *options.EVALUATE)


def _command(commands: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _out(parser: argparse.ArgumentParser, help_text: str) -> None:
    parser.add_argument("--out", required=True, metavar="PATH", help=help_text)


def _audit(arguments: argparse.Namespace) -> int:
    from onesheet.data import audit, write_audit
    from onesheet.data.findings import FLAGS
    from onesheet.training.preparing import open_catalogue

    recipe = recipe_from(arguments)
    if "min_films" not in arguments:
        recipe = replace(recipe, min_films=1)  # an audit is not there to leave out genres
    with Console() as console:
        catalogue = open_catalogue(recipe, tell=console.tell)
        findings = catalogue.findings + audit(catalogue, threads=recipe.threads, progress=console.progress)
    write_audit(findings, catalogue, arguments.out)
    if arguments.json:
        print(json.dumps({"films": len(catalogue), "genres": len(catalogue.genres), "findings": findings.counts}))
        return 0
    print_table(
        f"{len(catalogue):,} films, {len(findings):,} findings",
        ["flag", "findings", "what it is"],
        [[flag, f"{count:,}", FLAGS[flag]] for flag, count in findings.counts.items()],
    )
    print(f"see {Path(arguments.out) / 'audit.html'} and {Path(arguments.out) / 'findings.csv'}")
    return 0


def _clean_catalogue(arguments: argparse.Namespace, recipe: Recipe, console: Console) -> Catalogue:
    """The catalogue without what an audit (made before, or now) says to leave out."""
    from onesheet.data import Findings
    from onesheet.data.findings import AUDIT_FLAGS
    from onesheet.training.preparing import clean, open_catalogue

    inputs = [*recipe.catalogue, *recipe.split, *([arguments.findings] if arguments.findings else [])]
    if any(Path(arguments.out).resolve() == Path(path).resolve() for path in inputs):
        raise ConfigError(f"--out {arguments.out!r} is read by this command and would be overwritten; choose another")
    catalogue = open_catalogue(recipe, tell=console.tell)
    findings = Findings.read_csv(arguments.findings).of(*AUDIT_FLAGS) if arguments.findings else None
    return clean(catalogue, recipe, findings=findings, progress=console.progress, tell=console.tell)


def _parts(arguments: argparse.Namespace, recipe: Recipe, console: Console) -> Split:
    from onesheet.training.preparing import split_by

    return split_by(recipe, _clean_catalogue(arguments, recipe, console), files=recipe.split, tell=console.tell)


def _split(arguments: argparse.Namespace) -> int:
    from onesheet.data.split import PARTS

    with Console() as console:
        parts = _parts(arguments, recipe_from(arguments), console)
    parts.write_csv(arguments.out)
    shares = parts.shares()
    if arguments.json:
        genres = parts.catalogue.genres.names
        sizes = {part: len(parts.rows(part)) for part in PARTS}
        share_of = {part: dict(zip(genres, map(float, shares[part]), strict=True)) for part in PARTS}
        print(json.dumps({"films": sizes, "shares": share_of}))
        return 0
    rows = [
        [genre, *(f"{shares[part][column]:.1%}" for part in PARTS)]
        for column, genre in enumerate(parts.catalogue.genres.names)
    ]
    print_table("share of films with each genre", ["genre", *PARTS], rows)
    print(f"written to {arguments.out}")
    return 0


def _pack(arguments: argparse.Namespace) -> int:
    from onesheet.data import pack

    recipe = recipe_from(arguments)
    with Console() as console:
        parts = _parts(arguments, recipe, console)
        packed = pack(
            parts,
            arguments.out,
            size=recipe.size or (224, 160),
            resize=cast("Resize", recipe.resize),
            threads=recipe.threads,
            progress=console.progress,
        )
    result = {
        "folder": str(packed.folder),
        "posters": len(packed.films),
        "size": list(packed.size),
        "findings": packed.findings.counts,
        "fingerprint": packed.fingerprint,
    }
    print(json.dumps(result) if arguments.json else f"packed {len(packed.films):,} posters into {packed.folder}")
    for finding in packed.findings:
        if not arguments.json:
            print(f"  {finding.flag}: {finding.detail}")
    return 0


def _fit(arguments: argparse.Namespace) -> int:
    from onesheet.data import open_packed
    from onesheet.training import fit

    recipe = recipe_from(arguments)
    packed = open_packed(arguments.packed)
    with Console() as console:
        run = fit(recipe.training, packed, folder=arguments.out, resume=arguments.resume, progress=console.progress)
    best = next((row for row in run.history if row["epoch"] == run.best_epoch), {})
    if arguments.json:
        result = {
            "folder": str(run.folder),
            "finished": run.finished,
            "best_epoch": run.best_epoch,
            "seconds": run.seconds,
        }
        print(json.dumps(result | {"best": best}))
    elif run.finished:
        print(
            f"trained in {run.seconds:.0f} s; kept epoch {run.best_epoch} of {len(run.history)}: "
            f"mAP {best['validation_map']:.3f}, ROC-AUC {best['validation_roc_auc']:.3f} on validation\n"
            f"next: onesheet export {arguments.out} --out {Path(arguments.out) / 'genres.onnx'}"
        )
    else:
        print(f"interrupted; go on with the same command and --resume, or export what there is: {arguments.out}")
    return 0 if run.finished else 130


def _export(arguments: argparse.Namespace) -> int:
    from onesheet.training import export, open_run

    recipe = recipe_from(arguments)
    with Console() as console:
        bundle = export(
            open_run(arguments.run_folder),
            arguments.out,
            precision=recipe.precision,
            precision_target=recipe.precision_target,
            recall_target=recipe.recall_target,
            progress=console.progress,
        )
    size = Path(arguments.out).stat().st_size
    if arguments.json:
        print(json.dumps({"model": arguments.out, "bytes": size, "validation": bundle.card.validation}))
    else:
        print(
            f"wrote {arguments.out}, {size / 1e6:.1f} MB, {len(bundle.genres)} genres; it gives the network's answers"
        )
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from onesheet.data import open_packed
    from onesheet.training import evaluate_file

    recipe = recipe_from(arguments)
    packed_folder = (Path(arguments.source) / "manifest.json").is_file()
    with Console() as console:
        if packed_folder:
            packed = open_packed(arguments.source)
            findings = packed.findings
        else:
            packed, findings = _pack_for(arguments, recipe, console)
        evaluation = evaluate_file(
            arguments.model_file,
            packed,
            out=arguments.out,
            part=arguments.part if packed_folder else CATALOGUE_PART,
            findings=findings,
            draws=recipe.draws,
            threads=recipe.threads,
            progress=console.progress,
        )
    print_evaluation(evaluation, Path(arguments.out), as_json=arguments.json)
    return 0


def _pack_for(arguments: argparse.Namespace, recipe: Recipe, console: Console) -> tuple[Packed, Findings]:
    """A whole catalogue packed as the model wants it, as one part, and what was found on the way."""
    import numpy as np

    from onesheet.data import Catalogue, Split, pack
    from onesheet.predict import load
    from onesheet.training.evaluating import check_genres
    from onesheet.training.preparing import clean, open_catalogue

    predictor = load(arguments.model_file)
    card, genres = predictor.card, predictor.genres
    catalogue = open_catalogue(replace(recipe, catalogue=(arguments.source,), min_films=1), tell=console.tell)
    catalogue = catalogue.drop_rare(recipe.min_films, spare=genres.names)
    check_genres(genres, catalogue.genres, Path(arguments.source), model_may_have_more=True)
    catalogue = Catalogue(catalogue.films, genres, catalogue.findings)
    catalogue = clean(catalogue, replace(recipe, min_films=1), progress=console.progress, tell=console.tell)
    catalogue = Catalogue(catalogue.films, genres, catalogue.findings)
    packed = pack(
        Split(catalogue, np.full(len(catalogue), CATALOGUE_PART)),
        Path(arguments.out) / "packed",
        size=card.size,
        resize=card.resize,
        threads=recipe.threads,
        progress=console.progress,
    )
    return packed, catalogue.findings + packed.findings


def print_evaluation(evaluation: Evaluation, out: Path, *, as_json: bool) -> None:
    """The headline figures beside the trivial baselines."""
    if as_json:
        print((out / "evaluation.json").read_text(encoding="utf-8").strip())
        return
    ranking, balanced, exact = evaluation.ranking, evaluation.at["balanced"], evaluation.at["exact"]
    trivial = evaluation.baselines
    figures = [
        (
            "mean average precision, macro",
            ranking["macro_average_precision"],
            "prior",
            "macro_average_precision",
        ),
        ("ROC-AUC, macro", ranking["macro_roc_auc"], "prior", "macro_roc_auc"),
        ("F1, macro, at balanced", balanced["macro_f1"], "commonest genre", "macro_f1"),
        ("F1, micro, at balanced", balanced["micro_f1"], "commonest genre", "micro_f1"),
        ("all genres right, at exact", exact["exact_match"], "commonest label set", "exact_match"),
        ("the likeliest genre is right", ranking["top1_hit"], "prior", "top1_hit"),
        ("calibration error", ranking["calibration_error"], "prior", "calibration_error"),
    ]
    rows = []
    for name, score, baseline, key in figures:
        trivial_score = trivial[baseline].get(key)
        rows.append(
            [
                name,
                f"{score.value:.3f}",
                f"{score.low:.3f} to {score.high:.3f}",
                f"{trivial_score.value:.3f} ({baseline})" if trivial_score else "",
            ]
        )
    title = f"{evaluation.films:,} films of part {evaluation.part!r}, {len(evaluation.genres)} genres"
    print_table(title, ["figure", "value", "95 % interval", "trivial answer"], rows)
    print(f"report: {out / 'report.html'}")

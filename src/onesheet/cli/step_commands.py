"""The steps alone: audit, split, pack, fit, export; `evaluate` has a file of its own."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onesheet.cli import arguments as options
from onesheet.cli.arguments import add_catalogue, add_options, recipe_from
from onesheet.cli.console import Console, print_table
from onesheet.errors import ConfigError

if TYPE_CHECKING:
    from onesheet.data import Catalogue
    from onesheet.images import Resize
    from onesheet.packed import Split
    from onesheet.pipeline.recipe import Recipe


SPLIT_SEED = "seed of the split (default: 0)"


def add_commands(commands: Any) -> None:
    """Add the commands."""
    audit = step_command(commands, "audit", _audit, "what is wrong with a catalogue; changes nothing")
    add_catalogue(audit)
    audit.add_argument("--out", metavar="PATH", help="folder for findings.csv and audit.html (default: none written)")
    add_options(audit, *options.CATALOGUE, "threads")

    split = step_command(commands, "split", _split, "films to train, validate and test on")
    add_catalogue(split)
    add_out(split, "the split file (CSV)")
    split.add_argument("--findings", metavar="FILE", help="findings.csv of an audit; default: audit now")
    add_options(split, *options.CATALOGUE, *options.AUDIT, *options.SPLIT, seed=SPLIT_SEED)

    pack = step_command(commands, "pack", _pack, "posters decoded and resized once, for training")
    add_catalogue(pack)
    add_out(pack, "folder for the packed posters")
    pack.add_argument("--findings", metavar="FILE", help="findings.csv of an audit; default: audit now")
    size = "H×W of the packed posters (default: 224x160; alexnet is meant for 256x256)"
    add_options(pack, *options.CATALOGUE, *options.AUDIT, *options.SPLIT, *options.PACK, seed=SPLIT_SEED, size=size)

    fit = step_command(commands, "fit", _fit, "train a network on packed posters")
    fit.add_argument("packed", help="folder written by pack")
    add_out(fit, "the run's folder")
    fit.add_argument("--resume", action="store_true", help="resume the run")
    add_options(fit, *options.FIT, short=True)

    export = step_command(commands, "export", _export, "one model file from a run, calibrated and checked")
    export.add_argument(
        "run_folders", metavar="RUN", nargs="+", help="folder written by fit or train; several become an ensemble"
    )
    where = export.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", metavar="PATH", help="the model file (ONNX)")
    where.add_argument(
        "--to", nargs=2, metavar=("hf", "FOLDER"), help="a folder for transformers and the Hugging Face hub instead"
    )
    add_options(export, *options.EXPORT)


def step_command(commands: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    """Add a command that prints a person's summary, or JSON."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def add_out(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Add where the result goes."""
    parser.add_argument("--out", required=True, metavar="PATH", help=help_text)


def _audit(arguments: argparse.Namespace) -> int:
    from onesheet.audit import audit
    from onesheet.data.findings import FLAGS
    from onesheet.pipeline.preparation import open_catalogue
    from onesheet.reporting import write_audit

    recipe = recipe_from(arguments)
    with Console() as console:
        catalogue = open_catalogue(replace(recipe, min_films=1), notify=console.notify)  # rare genres are findings here
        audited = audit(catalogue, threads=recipe.training.threads, progress=console.progress)
        usable = catalogue.drop_rare(recipe.min_films)
        findings, left = usable.findings + audited, usable.without(audited)
    staying = len(left)
    if arguments.out:
        one = recipe.catalogue[0] if len(recipe.catalogue) == 1 else ""
        review = shlex.join(["onesheet", "serve", "--catalogue", str(one)]) if one else ""
        write_audit(findings, catalogue, arguments.out, staying=left, review=review)
    if arguments.json:
        counts = {"films": len(catalogue), "staying": staying, "genres": len(catalogue.genres)}
        print(json.dumps({**counts, "findings": findings.counts, **usable.understood}))
        return 0
    print_table(
        f"{len(catalogue):,} films, {len(findings):,} findings",
        ["flag", "findings", "what it is"],
        [[flag, f"{count:,}", FLAGS[flag]] for flag, count in findings.counts.items()],
    )
    for finding in findings.of("rare-genre"):
        print(f"rare: {finding.detail}")
    for finding in findings.of("odd-genre", "unlabelled"):
        print(f"{FLAGS[finding.flag]}: {finding.detail}; {finding.action}")
    print(f"{staying:,} of {len(catalogue):,} films stay")
    if arguments.out:
        print(f"see {Path(arguments.out) / 'audit.html'} and {Path(arguments.out) / 'findings.csv'}")
    else:
        print("--out FOLDER writes audit.html and findings.csv")
    return 0


def _clean_catalogue(arguments: argparse.Namespace, recipe: Recipe, console: Console) -> Catalogue:
    """The catalogue without the films that an audit (made before, or now) leaves out."""
    from onesheet.data import Findings
    from onesheet.data.findings import AUDIT_FLAGS
    from onesheet.pipeline.preparation import clean, open_catalogue

    inputs = [*recipe.catalogue, *recipe.split, *([arguments.findings] if arguments.findings else [])]
    if any(Path(arguments.out).resolve() == Path(path).resolve() for path in inputs):
        raise ConfigError(f"--out {arguments.out!r} is read by this command and would be overwritten; choose another")
    catalogue = open_catalogue(recipe, notify=console.notify)
    findings = Findings.read_csv(arguments.findings).of(*AUDIT_FLAGS) if arguments.findings else None
    return clean(catalogue, recipe, findings=findings, progress=console.progress, notify=console.notify)


def _split_films(arguments: argparse.Namespace, recipe: Recipe, console: Console) -> Split:
    from onesheet.pipeline.preparation import split_by

    return split_by(recipe, _clean_catalogue(arguments, recipe, console), files=recipe.split, notify=console.notify)


def _split(arguments: argparse.Namespace) -> int:
    from onesheet.packed.splitting import SPLITS

    with Console() as console:
        found = _split_films(arguments, recipe_from(arguments), console)
    found.write_csv(arguments.out)
    shares = found.shares()
    if arguments.json:
        genres = found.catalogue.genres.names
        sizes = {split: len(found.rows(split)) for split in SPLITS}
        share_of = {split: dict(zip(genres, map(float, shares[split]), strict=True)) for split in SPLITS}
        print(json.dumps({"films": sizes, "shares": share_of, **found.catalogue.understood}))
        return 0
    rows = [
        [genre, *(f"{shares[split][column]:.1%}" for split in SPLITS)]
        for column, genre in enumerate(found.catalogue.genres.names)
    ]
    print_table("share of films with each genre", ["genre", *SPLITS], rows)
    print(f"written to {arguments.out}")
    return 0


def _pack(arguments: argparse.Namespace) -> int:
    from onesheet.packed import pack

    recipe = recipe_from(arguments)
    with Console() as console:
        found = _split_films(arguments, recipe, console)
        packed = pack(
            found,
            arguments.out,
            size=recipe.size or (224, 160),
            resize=cast("Resize", recipe.resize),
            threads=recipe.training.threads,
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
    from onesheet.packed import open_packed
    from onesheet.training import fit, open_run
    from onesheet.training.processes import processes

    begun = open_run(arguments.out).config.to_dict() if arguments.resume else {}
    recipe = recipe_from(arguments, **begun)
    packed = open_packed(arguments.packed)
    with Console() as console:
        run = fit(recipe.training, packed, folder=arguments.out, resume=arguments.resume, progress=console.progress)
    if not processes(recipe.training.devices, recipe.training.nodes).first:  # of several, the first speaks
        return 0
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
        kept = f", or export the best epoch so far: {arguments.out}" if run.network_path.exists() else ""
        print(f"interrupted; resume with the same command and --resume{kept}")
    return 0 if run.finished else 130


def _export(arguments: argparse.Namespace) -> int:
    from onesheet.exporting import export
    from onesheet.training import open_run

    recipe = recipe_from(arguments)
    if arguments.to:
        return _export_hf(arguments, recipe)
    with Console() as console:
        bundle = export(
            [open_run(folder) for folder in arguments.run_folders],
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
        checked = "the network" if bundle.card.precision == "fp32" else "the network in fp32, which it nearly equals"
        print(f"wrote {arguments.out}, {size / 1e6:.1f} MB, {len(bundle.genres)} genres; checked against {checked}")
    return 0


def _export_hf(arguments: argparse.Namespace, recipe: Recipe) -> int:
    from onesheet.exporting import export_hf
    from onesheet.training import open_run

    form, folder = arguments.to
    if form != "hf":
        raise ConfigError(f"unknown form {form!r}; use --to hf FOLDER, or --out for a model file")
    if len(arguments.run_folders) > 1:
        raise ConfigError(
            f"a folder for transformers holds one network; got {len(arguments.run_folders)} runs: export them one by "
            "one, or together as a model file with --out"
        )
    if recipe.precision != "fp32":
        raise ConfigError(f"a folder for transformers is fp32; got --precision {recipe.precision}: leave it out")
    with Console() as console:
        written = export_hf(open_run(arguments.run_folders[0]), folder, progress=console.progress)
    if arguments.json:
        print(json.dumps({"folder": folder, "difference": written.difference, "validation": written.validation}))
    else:
        print(
            f"wrote {folder}; its probabilities differ from the network's by at most {written.difference:.1g}\n"
            f"see {Path(folder) / 'README.md'} before you share it"
        )
    return 0

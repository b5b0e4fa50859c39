"""One change at a time against recipes/default.toml, measured on the validation set.

python benchmarks/ablation.py DATA BACKBONE OUT [NAME…]

Each row trains one network without a teacher on Chu & Guo's `train` split (5,055 films) at 160×112, about four minutes
on two cores, exports and evaluates on `validation`; rows that OUT has by now are not made again, so it can be stopped
at any time. NAME: these rows only, beside the recipe's.
"""

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

from onesheet.evaluation import read_evaluation

RECIPE = Path(__file__).parents[1] / "recipes" / "default.toml"
OF_THE_DATA = {"model", "min_films", "size", "epochs"}  # keys that stay out of the rows
EPOCHS = 4
BASE = "recipe"  # the row that the others are compared with
SIZE = "160x112"  # two fifths of the recipe's pixels: more than twice as many rows in a night
# name -> (what is changed, options of fit, options of pack)
ROWS: dict[str, tuple[str, list[str], list[str]]] = {
    "recipe": (f"the recipe (seed 2), {EPOCHS} epochs on 5,055 films at {SIZE}", [], []),
    "seed-0": ("seed 0", ["--seed", "0"], []),
    "seed-1": ("seed 1", ["--seed", "1"], []),
    "head": (
        "head only, 60 epochs, seed 0",
        ["--tune", "head", "--no-levels", "--start-scale", "1", "--cutmix", "0"],
        [],
    ),
    "levels": ("the head reads all levels", ["--levels"], []),
    "no-head": ("full at once, no head first", ["--head-epochs", "0"], []),
    "asymmetric": ("asymmetric loss", ["--loss", "asymmetric"], []),
    "focal": ("focal loss", ["--loss", "focal"], []),
    "balanced": ("distribution-balanced loss", ["--loss", "distribution-balanced"], []),
    "weights": ("positive weights", ["--positive-weights"], []),
    "no-ema": ("no averaged weights", ["--ema", "0"], []),
    "no-augment": ("no augmentation", ["--no-augment", "--start-scale", "1", "--crop-scale", "1"], []),
    "no-cutmix": ("no CutMix", ["--cutmix", "0"], []),
    "cutmix-quarter": ("CutMix in a quarter of the batches", ["--cutmix", "0.25"], []),
    "whole-crops": ("crops of 60 % of a poster or more", ["--crop-area", "0.6"], []),
    "teacher": ("a teacher: the first row's model", ["--teacher", "{out}/recipe/genres.onnx"], []),
    "two-teachers": (
        "two teachers: the first row's models of two seeds",
        ["--teacher", "{out}/recipe/genres.onnx,{out}/seed-0/genres.onnx"],
        [],
    ),
    "no-growth": ("crops at seven eighths from the start, none smaller", ["--start-scale", "1"], []),
    "no-mirror": ("without the mirror image", ["--no-tta"], []),
    "half-rate": ("half the learning rate", ["--learning-rate", "2e-4"], []),
    "size-224": ("224×160 pixels", [], ["--size", "224x160"]),
    "size-288": ("288×208 pixels", [], ["--size", "288x208"]),
    "pad": ("aspect kept, padded", [], ["--resize", "pad"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder with train.csv, Images/ and split.csv")
    parser.add_argument("backbone", help="folder of a pretrained backbone")
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows: {', '.join(ROWS)}")
    given = parser.parse_args()
    if unknown := set(given.names) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    same_recipe(given.out, parser)
    print("| change | mAP on validation | difference | ROC-AUC | calibration error |\n|---|---|---|---|---|")
    chosen = set(given.names or ROWS) | {BASE} | ({"seed-0"} if "two-teachers" in given.names else set())
    names = [name for name in ROWS if name in chosen]  # a teacher comes before those that it teaches
    first: float | None = None
    for name in names:
        change, fit, pack = ROWS[name]
        evaluation = given.out / name / "report" / "evaluation.json"
        if not evaluation.exists():
            run(given.data, given.backbone, given.out, name, fit, pack)
        ranking = read_evaluation(evaluation).ranking
        score = ranking["macro_average_precision"]
        first = score.value if first is None else first
        print(
            f"| {change} | {score.value:.3f} ({score.low:.3f}–{score.high:.3f}) | {score.value - first:+.3f} | "
            f"{ranking['macro_roc_auc'].value:.3f} | {ranking['calibration_error'].value:.3f} |",
            flush=True,
        )


def same_recipe(out: Path, parser: argparse.ArgumentParser) -> None:
    """Keep the recipe in OUT; rows of another one are no rows of the same table."""
    kept, recipe = out / "recipe.toml", RECIPE.read_text(encoding="utf-8")
    if kept.exists() and kept.read_text(encoding="utf-8") != recipe:
        parser.error(f"the rows in {out} were made by another recipe ({kept}); choose another OUT")
    out.mkdir(parents=True, exist_ok=True)
    kept.write_text(recipe, encoding="utf-8")


def run(data: str, backbone: str, out: Path, name: str, fit: list[str], pack: list[str]) -> None:
    """Pack (once a size), fit, export, evaluate."""
    packed = out / "_".join(["packed", *(word.strip("-") for word in pack)])
    if not (packed / "manifest.json").exists():
        options = ["--split", f"{data}/split.csv", "--min-films", "40", "--size", SIZE, *pack]
        onesheet("pack", data, *options, "--out", packed)
    folder = out / name
    resume = ["--resume"] if (folder / "run.json").exists() else []
    onesheet("fit", packed, "--model", f"hf:{backbone}", *fit_options(fit, out), "--out", folder, *resume)
    onesheet("export", folder, "--out", folder / "genres.onnx")
    onesheet("evaluate", folder / "genres.onnx", packed, "--split", "validation", "--out", folder / "report")


def fit_options(changes: list[str], out: Path) -> list[object]:
    """The recipe's choices for a network, then the row's changes."""
    if "head" in changes:  # its epochs take no time
        return [*changes]
    recipe = tomllib.loads(RECIPE.read_text(encoding="utf-8"))
    kept = [word for key in recipe.keys() - OF_THE_DATA for word in as_option(key, recipe[key])]
    return [*kept, "--epochs", EPOCHS, *(word.format(out=out) for word in changes)]


def as_option(name: str, value: object) -> list[object]:
    """A recipe's choice as words of the command."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", value]


def onesheet(*words: object) -> None:
    command = str(Path(sys.executable).with_name("onesheet"))
    subprocess.run([command, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

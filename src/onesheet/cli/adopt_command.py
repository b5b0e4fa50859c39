"""`onesheet adopt`: a Keras model or an ONNX image classifier to our one model file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, cast

from onesheet.cli import arguments as options
from onesheet.cli.arguments import add_options, recipe_from
from onesheet.cli.console import Console
from onesheet.cli.step_commands import add_out, step_command

CHOICES = {
    "scaling": "how pixels were scaled in training: none (0 to 255, or by the network itself), 1/255 (0 to 1), "
    "tf (-1 to 1), torch (ImageNet's mean and deviation), caffe (ImageNet's mean off, BGR: Keras's ResNet50 and VGG16)",
    "channels": "rgb or bgr; default: bgr with caffe, else rgb",
    "layout": "nhwc or nchw; default: as the input's shape shows",
    "answers": "probabilities or logits; default: as the last step of the network shows",
}

LEAST_ROC_AUC = 0.6  # on a catalogue; below it a wrong order of genres or scaling is likelier than a weak network
SIZE = "H×W of the posters, such as 224x224, where the network takes any"


def add_commands(commands: Any) -> None:
    """Add `adopt`."""
    adopt = step_command(
        commands, "adopt", run, "one model file from a Keras model or an ONNX classifier made elsewhere"
    )
    adopt.add_argument("network", metavar="MODEL", help=".onnx, .keras, .h5, or .json with --weights")
    adopt.add_argument(
        "--genres",
        required=True,
        dest="labels",
        metavar="FILE",
        help="text file: a genre a line, in the outputs' order",
    )
    adopt.add_argument("--weights", metavar="FILE", help="the .h5 that belongs to a .json")
    for name, help_text in CHOICES.items():
        adopt.add_argument(f"--{name}", metavar=name.upper(), help=help_text)
    adopt.add_argument(
        "--catalogue",
        action="append",
        metavar="PATH",
        default=argparse.SUPPRESS,
        help="films to fit calibration and thresholds to, best ones that the network was not trained on; repeatable",
    )
    add_out(adopt, "the model file (ONNX)")
    add_options(
        adopt,
        *(name for name in options.CATALOGUE if name != "genres"),
        *options.AUDIT,
        "size",
        "resize",
        "precision_target",
        "recall_target",
        size=SIZE,
    )


def run(arguments: argparse.Namespace) -> int:
    """Adopt and print what was written."""
    from onesheet.exporting import Conventions, adopt, read_genres
    from onesheet.images import Resize
    from onesheet.pipeline.preparation import whole_catalogue

    recipe = recipe_from(arguments)
    genres = read_genres(arguments.labels, notify=lambda message: print(message, file=sys.stderr))
    conventions = Conventions(
        **{name: getattr(arguments, name) for name in CHOICES}, size=recipe.size, resize=cast(Resize, recipe.resize)
    )
    with Console() as console:
        catalogue = None
        if recipe.catalogue:
            catalogue = whole_catalogue(recipe, genres, progress=console.progress, notify=console.notify)
        bundle = adopt(
            arguments.network,
            genres,
            arguments.out,
            weights=arguments.weights,
            conventions=conventions,
            catalogue=catalogue,
            precision_target=recipe.precision_target,
            recall_target=recipe.recall_target,
            threads=recipe.training.threads,
            progress=console.progress,
            notify=console.notify,
        )
    fed = bundle.card.training["fed_and_read"]
    if arguments.json:
        print(json.dumps({"model": arguments.out, "fed_and_read": fed, "validation": bundle.card.validation}))
        return 0
    height, width = bundle.card.size
    print(
        f"wrote {arguments.out}, {Path(arguments.out).stat().st_size / 1e6:.1f} MB, {len(genres)} genres; its "
        f"predictions are the network's, for posters of {height}×{width}, scaled {fed['scaling']}, outputs read as "
        f"{fed['answers']}"
    )
    if catalogue is None:
        print("every threshold is 0.5; --catalogue fits calibration and thresholds to films whose genres are known")
    else:
        found = bundle.card.validation
        print(f"on the catalogue, to which it is fitted now: mAP {found['map']:.3f}, ROC-AUC {found['roc_auc']:.3f}")
        if found["roc_auc"] < LEAST_ROC_AUC:
            print("that is near chance (.5): check the order of --genres, and --scaling", file=sys.stderr)
    return 0

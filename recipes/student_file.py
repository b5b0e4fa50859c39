"""Write a student's weights as a model file, calibrated on the validation films.

python recipes/student_file.py --weights recipes/weights/student-lite0.safetensors --store STORE --out genres.onnx
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from films import Films, load_films
from networks import NETWORKS, Classifier, build, load_8_bits
from onesheet.bundle import Bundle, label_counts, read_bundle
from onesheet.exporting.onnx_graph import QUANTIZATION, ExportGraph, to_precision, write_graph
from onesheet.files import whole_file
from onesheet.model_writer import fit_card, unfitted_card, write_model_file
from onesheet.models.network import SECOND_VIEW, Output, resized_map
from onesheet.predict import Predictor

PRECISIONS = tuple(QUANTIZATION)


class Student(nn.Module):
    """A classifier that also returns its embedding and evidence, from one view of a poster or two.

    The second view is the mirror image, somewhat smaller.
    """

    def __init__(self, network: Classifier, *, views: int) -> None:
        """`network` is in eval mode; `views` is 1 or 2."""
        super().__init__()
        self.network, self.views = network, views

    def forward(self, posters: Tensor) -> Output:
        """Posters float N×3×H×W in 0..1 -> logits N×G, embedding N×D, evidence N×G×h×w."""
        dense = self.network.head[-1]
        maps = [self.network.maps(posters)]
        if self.views == 2:
            smaller = [32 * round(side * SECOND_VIEW / 32) for side in posters.shape[-2:]]
            view = F.interpolate(posters, smaller, mode="bilinear", align_corners=False)
            maps.append(self.network.maps(view.flip(-1)))
        embedding = sum(one.mean((2, 3)) for one in maps) / len(maps)
        first, *mirrored = (F.conv2d(one, dense.weight[:, :, None, None]) for one in maps)
        evidence = [first, *(resized_map(one.flip(-1), first.shape[-2:]) for one in mirrored)]
        return Output(dense(embedding), embedding, sum(evidence) / len(evidence))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="of student.py")
    parser.add_argument("--network", choices=NETWORKS, default="lite0")
    parser.add_argument("--backbones", type=Path, help="folder of mobilenet_v2_1.0_224")
    parser.add_argument("--store", type=Path, required=True, help="folder of packed posters")
    parser.add_argument("--views", type=int, choices=(1, 2), default=1, help="default: 1")
    parser.add_argument("--precision", choices=PRECISIONS, default="w8", help="default: w8")
    parser.add_argument("--out", type=Path, required=True, help="the model file")
    args = parser.parse_args()
    films = load_films(args.store)
    network = build(args.network, len(films.genres), args.backbones)
    load_8_bits(network, args.weights)
    written = write_student(
        network.eval(), films, args.out, name=args.network, views=args.views, precision=args.precision
    )
    print(args.out, f"{args.out.stat().st_size / 1e6:.1f} MB", written.card.validation)


def write_student(network: Classifier, films: Films, path: Path, *, name: str, views: int, precision: str) -> Bundle:
    """Write the model file; it appears whole or not at all."""
    train, validation = films.rows("train"), films.rows("validation")
    size = (int(films.posters.shape[1]), int(films.posters.shape[2]))
    card = unfitted_card(
        genres=films.genres,
        size=size,
        resize="stretch",
        precision=precision,
        packages=("torch",),
        quantization=QUANTIZATION[precision],
        training={"model": name, "views": views, "recipe": "recipes/student.py"},
        data={
            "films": {split: len(films.rows(split)) for split in ("train", "validation", "test")},
            **label_counts(films.labels[train] > 0, films.genres),
        },
        licences={"code": "Apache-2.0", "weights": "as their training posters' and backbone's licences allow"},
    )
    with tempfile.TemporaryDirectory(prefix="onesheet-") as folder:
        raw, draft = Path(folder) / "raw.onnx", Path(folder) / "draft.onnx"
        write_graph(ExportGraph(Student(network, views=views)), raw, size=size)
        to_precision(raw, precision, films.posters, train)
        write_model_file(raw, draft, card)
        scores = Predictor(read_bundle(draft)).score_posters(films.posters, validation)
        logits = np.concatenate([one.logits for one in scores])
        labels = films.labels[validation] > 0
        with whole_file(path) as part:
            write_model_file(raw, part, fit_card(card, logits, labels, known=films.weights[validation] > 0))
    return read_bundle(path)


if __name__ == "__main__":
    main()

"""Keras on TensorFlow as the reference notebooks do it: tf.data from JPEG files, MobileNetV2, batches of 32, float32.

python benchmarks/keras_reference.py train TABLE full|head --epochs N    one JSON line: seconds of every epoch
python benchmarks/keras_reference.py save MODEL                          an untrained model file, for `predict`
python benchmarks/keras_reference.py predict MODEL POSTER                what a script that predicts one poster does

TABLE: CSV of poster, part (train or validation) and labels as 0 and 1, one digit a genre. Runs in an environment of its
own, with tensorflow and pillow and without onesheet. Weights are random: speed does not depend on them.
"""

import argparse
import csv
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

SIZE = (224, 160)
BATCH = 32
GENRES = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train_parser = commands.add_parser("train")
    train_parser.add_argument("table")
    train_parser.add_argument("tune", choices=("full", "head"))
    train_parser.add_argument("--epochs", type=int, required=True)
    commands.add_parser("save").add_argument("model")
    predict_parser = commands.add_parser("predict")
    predict_parser.add_argument("model")
    predict_parser.add_argument("poster")
    given = parser.parse_args()
    if given.command == "train":
        print(json.dumps(train(given.table, given.tune, given.epochs)))
    elif given.command == "save":
        network(GENRES, "full").save(given.model)
    else:
        print(predict(given.model, given.poster))


def network(genres: int, tune: str) -> keras.Model:
    """The backbone, global average pooling, dropout, one dense layer."""
    backbone = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(*SIZE, 3), pooling="avg")
    backbone.trainable = tune == "full"
    posters = keras.Input((*SIZE, 3))
    features = backbone(
        keras.layers.Rescaling(1 / 127.5, offset=-1)(posters), training=None if tune == "full" else False
    )
    return keras.Model(posters, keras.layers.Dense(genres, "sigmoid")(keras.layers.Dropout(0.5)(features)))


def train(table: str, tune: str, epochs: int) -> dict[str, object]:
    """Train; the first epoch holds the tracing of the graph."""
    rows = list(csv.reader(open(table, encoding="utf-8")))  # noqa: PTH123, SIM115 - read once
    labels = {poster: [int(digit) for digit in digits] for poster, _, digits in rows}
    parts = {part: [poster for poster, own, _ in rows if own == part] for part in ("train", "validation")}
    model = network(len(rows[0][2]), tune)
    model.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy", metrics=["binary_accuracy"])
    ends = [time.perf_counter()]
    model.fit(
        batches(parts["train"], labels, shuffle=True),
        validation_data=batches(parts["validation"], labels, shuffle=False) if parts["validation"] else None,
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))],
    )
    return {
        "epoch_seconds": np.diff(ends).tolist(),
        "train": len(parts["train"]),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def batches(posters: list[str], labels: dict[str, list[int]], *, shuffle: bool) -> tf.data.Dataset:
    """Files to batches, decoded anew in every epoch."""

    def read(path: tf.Tensor, truth: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picture = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(picture, SIZE), truth

    truth = np.array([labels[poster] for poster in posters], np.float32)
    files = tf.data.Dataset.from_tensor_slices((posters, truth))
    files = files.shuffle(len(posters)) if shuffle else files
    return files.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def predict(model: str, poster: str) -> str:
    """Load a model, read one poster, predict."""
    pixels = keras.utils.img_to_array(keras.utils.load_img(poster, target_size=SIZE))
    probabilities = keras.models.load_model(model).predict(pixels[None], verbose=0)[0]
    return " ".join(f"{value:.3f}" for value in probabilities)


if __name__ == "__main__":
    main()

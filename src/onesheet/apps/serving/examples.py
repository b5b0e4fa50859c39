"""What each route answers, for the OpenAPI description."""

from __future__ import annotations

PREDICTIONS = {
    "predictions": [
        {
            "path": "the-cellar.jpg",
            "genres": [{"genre": "Horror", "probability": 0.71}],
            "probabilities": {"Comedy": 0.04, "Drama": 0.33, "Horror": 0.71},
        },
        {
            "path": "notes.txt",
            "error": "cannot read poster of 12 bytes: not a picture of a known format; "
            "use one of JPEG, PNG, WEBP, GIF, TIFF, BMP, AVIF",
        },
    ]
}
MODEL = {
    "name": "default",
    "card": {"genres": ["Comedy", "Drama", "Horror"], "size": [224, 160], "resize": "stretch"},
    "model_card": "# The bundled model",
    "offers": ["review", "report"],
    "samples": ["The Scream in the Cellar"],
}
LIMITS = {
    "file_bytes": 20_000_000,
    "request_bytes": 64_000_000,
    "pixels": 50_000_000,
    "queue": 512,
    "seconds": 60.0,
}
SIMILAR = {
    "neighbours": [{"name": "below/the-attic.jpg", "similarity": 0.83, "picture": "data:image/jpeg;base64,/9j/4AAQ…"}]
}

DECISION = {
    "id": 7,
    "film": "tt0000042",
    "action": "correct",
    "genres": ["Comedy", "Horror"],
    "undoes": None,
    "at": "2026-01-31T12:00:00+00:00",
}
UNDO = DECISION | {"id": 8, "action": "undo", "genres": [], "undoes": 7}
DECIDED = {
    "film": "tt0000042",
    "title": "The Cellar",
    "year": 1987,
    "reason": "suspect",
    "doubted": ["Comedy"],
    "genres": ["Horror"],
    "predicted": ["Comedy", "Horror"],
    "probabilities": {"Comedy": 0.92, "Drama": 0.33, "Horror": 0.71},
    "version": 7,
    "decision": DECISION,
}
WAITING = DECIDED | {"version": 8, "decision": None}
REVIEW = {
    "about": "The corrected catalogue is films.csv with other genres for the films decided.",
    "counts": {"suspect": 25, "unsure": 14, "no-genres": 0, "decided": 3, "skipped": 1},
    "genres": ["Comedy", "Drama", "Horror"],
    "films": [WAITING],
}
UNDONE = {"undo": UNDO, "now": WAITING}
LEARNED = {
    "state": "done",
    "task": "folds",
    "share": 1.0,
    "error": "",
    "result": {
        "file": "genres-1.onnx",
        "learned": 1203,
        "decided": 12,
        "held_out": 251,
        "left_out": [],
        "before": {"map": 0.412, "precision": 0.41, "recall": 0.6},
        "after": {"map": 0.437, "precision": 0.44, "recall": 0.6},
    },
}
HISTORY = {"history": [UNDO, DECISION]}
STALE = {"error": "'tt0000042' was decided elsewhere meanwhile; look at it again (version 7)", "now": DECIDED}

SERVER = {"name": "onesheet", "version": "0.1.0", "extensions": ["binary_tensor_data", "classification"]}
METADATA = {
    "name": "default",
    "platform": "onnxruntime_onnx",
    "inputs": [{"name": "posters", "datatype": "UINT8", "shape": [-1, 224, 160, 3]}],
    "outputs": [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "genres", "datatype": "BYTES", "shape": [-1]},
    ],
}
INFERENCE_REQUEST = {
    "id": "42",
    "parameters": {"at": "precise"},
    "inputs": [{"name": "posters", "datatype": "BYTES", "shape": [1], "data": ["<base64 of an image file>"]}],
    "outputs": [{"name": "probabilities"}, {"name": "genres"}],
}
INFERENCE = {
    "model_name": "default",
    "id": "42",
    "outputs": [
        {"name": "probabilities", "datatype": "FP32", "shape": [1, 3], "data": [0.04, 0.33, 0.71]},
        {"name": "genres", "datatype": "BYTES", "shape": [1], "data": ["Horror"]},
    ],
}

"""What the routes of one service share."""

from __future__ import annotations

from dataclasses import dataclass, field

from onesheet.apps.serving.batching import Batcher
from onesheet.apps.serving.limits import Limits
from onesheet.apps.serving.service_metrics import Measures
from onesheet.apps.serving.uploads import Uploads
from onesheet.errors import RequestRejected
from onesheet.predict import Predictor


@dataclass
class Service:
    """One model file being served.

    Attributes:
        name: the model's name in the Open Inference Protocol.
        predictor: the model.
        limits: what is taken at most.
        batcher: where posters are scored.
        uploads: where bodies are read.
        measures: what is counted.
        token: what a client must show; None = nothing.
        offers: what it has besides predictions: "similar", "review", "report".
        in_flight: requests being worked on.
        draining: the service is about to stop; new requests are rejected.
    """

    name: str
    predictor: Predictor
    limits: Limits
    batcher: Batcher
    uploads: Uploads
    measures: Measures
    token: str | None = None
    offers: tuple[str, ...] = ()
    in_flight: int = field(default=0, init=False)
    draining: bool = field(default=False, init=False)

    def check_ready(self) -> None:
        """Raises RequestRejected (503) unless posters will be answered."""
        if self.draining or not self.batcher.running:
            raise RequestRejected("not ready; try again later", status=503)

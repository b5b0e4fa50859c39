"""Labels get better: a queue of films to look at, decisions in an SQLite file, a corrected catalogue."""

from onesheet.apps.review.corrected_catalogue import about_export, corrected, export
from onesheet.apps.review.decision_store import Decision, DecisionStore
from onesheet.apps.review.opening import open_review
from onesheet.apps.review.queue import Case, review_queue
from onesheet.apps.review.review import Review, Standing
from onesheet.apps.review.review_source import Source, decisions_path, read_source

__all__ = [
    "Case",
    "Decision",
    "DecisionStore",
    "Review",
    "Source",
    "Standing",
    "about_export",
    "corrected",
    "decisions_path",
    "export",
    "open_review",
    "read_source",
    "review_queue",
]

"""Labels get better: a queue of films to look at, decisions in an SQLite file, a corrected catalogue."""

from onesheet.review.exporting import about_export, corrected, export
from onesheet.review.opening import open_review
from onesheet.review.queue import Case, review_queue
from onesheet.review.review import Review, Standing
from onesheet.review.source import Source, decisions_path, read_source
from onesheet.review.store import Decision, DecisionStore

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

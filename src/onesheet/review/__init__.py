"""Labels get better: a queue of films to look at, decisions in an SQLite file, a corrected catalogue."""

from onesheet.review.opening import Source, decisions_path, open_review, read_source
from onesheet.review.queue import Case, review_queue
from onesheet.review.review import Review, Standing, corrected
from onesheet.review.store import Decision, DecisionStore

__all__ = [
    "Case",
    "Decision",
    "DecisionStore",
    "Review",
    "Source",
    "Standing",
    "corrected",
    "decisions_path",
    "open_review",
    "read_source",
    "review_queue",
]

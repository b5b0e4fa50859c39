"""A review: the queue of one catalogue, and what has been decided of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from onesheet.apps.review.corrected_catalogue import export
from onesheet.apps.review.decision_store import ACTIONS, Decision, DecisionStore
from onesheet.apps.review.queue import REASONS, Case
from onesheet.apps.review.review_source import Source
from onesheet.errors import CatalogueError
from onesheet.genres import GenreSet


@dataclass(frozen=True, slots=True)
class Standing:
    """A case as it is now.

    Attributes:
        case: the film, and why to look at it.
        version: to be named by the next decision about it; 0 = none was ever made.
        decision: the current one, None where there is none.
    """

    case: Case
    version: int
    decision: Decision | None

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        case = self.case
        return {
            "film": case.film.film_id,
            "title": case.film.title,
            "year": case.film.year,
            "reason": case.reason,
            "doubted": list(case.doubted),
            "genres": list(case.film.genres),
            "predicted": list(case.predicted),
            "probabilities": case.probabilities,
            "version": self.version,
            "decision": self.decision and self.decision.to_dict(),
        }


class Review:
    """The queue of one catalogue, and what has been decided of it. Safe to share between threads.

    Attributes:
        genres: what a film may have: the catalogue's genres and the model's, sorted.
        cases: film id -> case, in the queue's order.
        store: the decisions.
        source: what is reviewed.
    """

    def __init__(self, source: Source, cases: Iterable[Case], store: DecisionStore, *, genres: GenreSet) -> None:
        self.genres = GenreSet(sorted({*source.catalogue.genres.names, *genres.names}))
        self.cases = {case.film.film_id: case for case in cases}
        self.store = store
        self.source = source

    def case(self, film: str) -> Case:
        """The case of a film.

        Raises:
            CatalogueError: it is not in the queue.
        """
        try:
            return self.cases[film]
        except KeyError:
            raise CatalogueError(f"no film {film!r} in the review queue; see GET /v1/review") from None

    def waiting(
        self, *, after: str | None = None, limit: int, reason: str | None = None, genre: str | None = None
    ) -> list[Standing]:
        """The next undecided cases in the queue's order.

        Args:
            after: begin behind this film; None = at the front.
            limit: how many at most.
            reason: only cases with it; None = with any.
            genre: only films of it, by a label, a prediction or a doubt; None = of any.

        Raises:
            CatalogueError: `after` is not in the queue.
        """
        begin = list(self.cases).index(self.case(after).film.film_id) + 1 if after is not None else 0
        decided, versions = self.store.standing(), self.store.versions()
        left = [
            case
            for film, case in list(self.cases.items())[begin:]
            if film not in decided
            and reason in (None, case.reason)
            and (genre is None or genre in (*case.film.genres, *case.predicted, *case.doubted))
        ]
        return [Standing(case, versions.get(case.film.film_id, 0), None) for case in left[:limit]]

    def sort(self, cases: Iterable[Case]) -> None:
        """Another queue, of films that are not decided; the cases of those decided stay."""
        decided = self.store.standing()
        kept = {film: case for film, case in self.cases.items() if film in decided}
        self.cases = kept | {case.film.film_id: case for case in cases if case.film.film_id not in kept}

    def counts(self) -> dict[str, int]:
        """How many cases wait for each reason, and how many are decided and skipped."""
        decided = self.store.standing()
        waiting = Counter(case.reason for film, case in self.cases.items() if film not in decided)
        made = Counter(
            "skipped" if decided[film].action == "skip" else "decided" for film in self.cases if film in decided
        )
        return {reason: waiting[reason] for reason in REASONS} | {name: made[name] for name in ("decided", "skipped")}

    def standing(self, film: str) -> Standing:
        """A case as it is now.

        Raises:
            CatalogueError: the film is not in the queue.
        """
        case = self.case(film)
        return Standing(case, self.store.versions().get(film, 0), self.store.standing().get(film))

    def decide(self, film: str, action: str, *, genres: Iterable[str] = (), version: int) -> Standing:
        """Decide about a film.

        Args:
            film: its id.
            action: "accept": its genres are right (where it has none: the predicted ones are); "correct": it has
                `genres`; "skip": it stays as it is.
            genres: for "correct" alone.
            version: of the film when it was looked at.

        Raises:
            CatalogueError: an unknown film, action or genre, or no genre at all.
            StaleDecision: the film was decided elsewhere meanwhile.
        """
        case = self.case(film)
        if action not in ACTIONS:
            raise CatalogueError(f"unknown decision {action!r}; use {', '.join(ACTIONS)}")
        genres = {
            "accept": case.film.genres or case.predicted,
            "correct": self.genres.decode(self.genres.encode([genres]))[0],
            "skip": (),
        }[action]
        if action != "skip" and not genres:
            raise CatalogueError("a film needs at least one genre; correct it with some, or skip it")
        self.store.decide(film, action, genres=genres, version=version)
        return self.standing(film)

    def undo(self, decision: int) -> Decision:
        """Take back a decision; see `DecisionStore.undo`."""
        return self.store.undo(decision)

    def export(self) -> bytes:
        """What was decided, as a table that `train` reads; see `export`."""
        return export(self.source, self.store.standing())

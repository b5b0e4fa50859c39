"""Calibration, operating points and honest evaluation: arrays in, results out; knows no framework."""

from typing import TYPE_CHECKING

from onesheet.lazy import first_use

if TYPE_CHECKING:
    from onesheet.evaluation.answers import Answers, read_answers, write_answers
    from onesheet.evaluation.calibration import Calibration, fit_calibration
    from onesheet.evaluation.comparison import Comparison, Paired, compare_answers
    from onesheet.evaluation.confusion import confusion_matrix
    from onesheet.evaluation.decisions import decision_figures
    from onesheet.evaluation.evaluating import evaluate
    from onesheet.evaluation.label_errors import SuspectLabel, suspect_labels
    from onesheet.evaluation.label_sets import LabelSets
    from onesheet.evaluation.operating import OperatingPoint, Thresholds, fit_operating_points, operating_point
    from onesheet.evaluation.order import ranking_loss, top_hit
    from onesheet.evaluation.ranking import average_precision, recall_at_precision, roc_auc
    from onesheet.evaluation.record import read_evaluation, write_evaluation
    from onesheet.evaluation.reliability import calibration_error
    from onesheet.evaluation.results import Bin, Evaluation, GenreAtPoint, GenreResult, Score

__all__ = [
    "Answers",
    "Bin",
    "Calibration",
    "Comparison",
    "Evaluation",
    "GenreAtPoint",
    "GenreResult",
    "LabelSets",
    "OperatingPoint",
    "Paired",
    "Score",
    "SuspectLabel",
    "Thresholds",
    "average_precision",
    "calibration_error",
    "compare_answers",
    "confusion_matrix",
    "decision_figures",
    "evaluate",
    "fit_calibration",
    "fit_operating_points",
    "operating_point",
    "ranking_loss",
    "read_answers",
    "read_evaluation",
    "recall_at_precision",
    "roc_auc",
    "suspect_labels",
    "top_hit",
    "write_answers",
    "write_evaluation",
]

__getattr__, __dir__ = first_use(
    __name__,
    {
        "Answers": "answers",
        "read_answers": "answers",
        "write_answers": "answers",
        "Calibration": "calibration",
        "fit_calibration": "calibration",
        "Comparison": "comparison",
        "Paired": "comparison",
        "compare_answers": "comparison",
        "confusion_matrix": "confusion",
        "decision_figures": "decisions",
        "evaluate": "evaluating",
        "SuspectLabel": "label_errors",
        "suspect_labels": "label_errors",
        "LabelSets": "label_sets",
        "OperatingPoint": "operating",
        "Thresholds": "operating",
        "fit_operating_points": "operating",
        "operating_point": "operating",
        "ranking_loss": "order",
        "top_hit": "order",
        "average_precision": "ranking",
        "recall_at_precision": "ranking",
        "roc_auc": "ranking",
        "read_evaluation": "record",
        "write_evaluation": "record",
        "calibration_error": "reliability",
        "Bin": "results",
        "Evaluation": "results",
        "GenreAtPoint": "results",
        "GenreResult": "results",
        "Score": "results",
    },
)

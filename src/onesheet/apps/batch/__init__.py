"""A catalogue of any size predicted in parts, on this machine or on a Ray cluster."""

from onesheet.apps.batch.batch_run import BatchDone, run_batch

__all__ = ["BatchDone", "run_batch"]

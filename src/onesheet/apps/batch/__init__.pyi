from .batch_run import BatchDone as BatchDone
from .batch_run import run_batch as run_batch

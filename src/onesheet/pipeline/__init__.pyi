from .adaptation_run import Adaptation as Adaptation
from .adaptation_run import adapt as adapt
from .adaptation_run import adapt_recipe as adapt_recipe
from .file_evaluation import evaluate_file as evaluate_file
from .pipeline import train as train
from .recipe import Recipe as Recipe
from .source_evaluation import evaluate_source as evaluate_source

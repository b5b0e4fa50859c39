from .file_evaluation import evaluate_file as evaluate_file
from .pipeline import train as train
from .recipe import Recipe as Recipe

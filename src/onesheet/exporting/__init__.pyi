from .adoption import adopt as adopt
from .hugging_face import export_hf as export_hf
from .input_conventions import Conventions as Conventions
from .input_conventions import read_genres as read_genres
from .model_file import export as export

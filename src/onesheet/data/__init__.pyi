from .catalogue import Catalogue as Catalogue
from .catalogue import Film as Film
from .catalogue_writer import write_catalogue as write_catalogue
from .findings import Finding as Finding
from .findings import Findings as Findings
from .reading import read_catalogue as read_catalogue

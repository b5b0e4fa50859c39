"""From poster collections to packed, split posters: catalogue, audit, split, pack."""

from onesheet.data.audit import audit
from onesheet.data.audit_report import write_audit
from onesheet.data.catalogue import Catalogue, Film
from onesheet.data.findings import Finding, Findings
from onesheet.data.pack import pack
from onesheet.data.packed import Packed, open_packed
from onesheet.data.readers import read_catalogue
from onesheet.data.split import PARTS, Split, read_split, split
from onesheet.data.writers import write_catalogue

__all__ = [
    "PARTS",
    "Catalogue",
    "Film",
    "Finding",
    "Findings",
    "Packed",
    "Split",
    "audit",
    "open_packed",
    "pack",
    "read_catalogue",
    "read_split",
    "split",
    "write_audit",
    "write_catalogue",
]

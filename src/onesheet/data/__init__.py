"""From poster collections to packed, split posters: catalogue, audit, split, pack."""

from typing import TYPE_CHECKING

from onesheet.lazy import first_use

if TYPE_CHECKING:
    from onesheet.data.audit_report import write_audit
    from onesheet.data.auditing import audit
    from onesheet.data.catalogue import Catalogue, Film
    from onesheet.data.findings import Finding, Findings
    from onesheet.data.packed import Packed, open_packed
    from onesheet.data.packing import pack
    from onesheet.data.readers import read_catalogue
    from onesheet.data.splitting import PARTS, Split, read_split, split
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

__getattr__, __dir__ = first_use(
    __name__,
    {
        "audit": "auditing",
        "write_audit": "audit_report",
        "Catalogue": "catalogue",
        "Film": "catalogue",
        "Finding": "findings",
        "Findings": "findings",
        "pack": "packing",
        "Packed": "packed",
        "open_packed": "packed",
        "read_catalogue": "readers",
        "PARTS": "splitting",
        "Split": "splitting",
        "read_split": "splitting",
        "split": "splitting",
        "write_catalogue": "writers",
    },
)

"""Everything that can go wrong, as one tree.

::

    OnesheetError            anything the library raises on purpose; str() is one line for a person
    ├── UnreadablePoster     one poster cannot be decoded (.reason is a finding's flag)
    ├── CatalogueError       a table, folder, mapping or split file cannot be used
    ├── ConfigError          an option or a configuration file is wrong
    ├── PackError            a packed store is damaged, unfinished or does not fit
    ├── BundleError          a model file is not ours, damaged, too new or does not fit
    ├── ExportError          the exported file does not compute the network's outputs
    ├── EvaluationError      labels, probabilities, weights or an operating point do not fit together
    ├── RunError             a run folder is taken, incomplete or does not fit
    │   └── Interrupted      Ctrl-C; everything is saved, and the same command with --resume resumes
    ├── ReviewError          a file of decisions cannot be used
    │   └── StaleDecision    another decision about the film came first
    ├── LibraryError         a film library's folder, NFO file or backup cannot be used
    ├── FetchError           a service rejects requests
    │   └── NotFetched       one film or poster cannot be had (.final: asking again is no use)
    ├── RequestRejected       the service turns a request away (.status is the HTTP status)
    └── MissingExtra         an optional package is not installed
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType

DISTRIBUTION = "onesheet-genres"  # the name that pip installs
NEWER = f"run: pip install --upgrade {DISTRIBUTION}"


class OnesheetError(Exception):
    """Base of every error raised on purpose: what was wrong, what was got, the cure, in one line; no URL's password."""

    def __init__(self, message: str) -> None:
        super().__init__(without_passwords(message))


class UnreadablePoster(OnesheetError):
    """One poster cannot be decoded.

    Attributes:
        reason: the finding's flag: "missing", "not-an-image", "unreadable", "truncated" or "too-large".
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class CatalogueError(OnesheetError):
    """A table, folder, mapping or split file cannot be used."""


class ConfigError(OnesheetError):
    """An option or a configuration file is wrong."""


class PackError(OnesheetError):
    """A packed store is damaged, unfinished or does not fit."""


class BundleError(OnesheetError):
    """A model file is not ours, damaged, of a newer protocol, or does not fit."""


class ExportError(OnesheetError):
    """The exported file does not compute the network's outputs."""


class EvaluationError(OnesheetError):
    """Labels, probabilities, weights or an operating point do not fit together."""


class RunError(OnesheetError):
    """A run folder is taken, incomplete or does not fit."""


class Interrupted(RunError):
    """Ctrl-C: training stopped between two steps, with everything saved."""


class ReviewError(OnesheetError):
    """A file of decisions cannot be used."""


class StaleDecision(ReviewError):
    """Another decision about the film came first."""


class LibraryError(OnesheetError):
    """A film library's folder, NFO file or backup cannot be used."""


class FetchError(OnesheetError):
    """A service rejects requests: a wrong key, a used-up quota, or no data."""


class NotFetched(FetchError):
    """One film or poster cannot be had.

    Attributes:
        final: whether asking again is no use.
    """

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class RequestRejected(OnesheetError):
    """The service turns a request away.

    Attributes:
        status: the HTTP status, 400 to 599.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class MissingExtra(OnesheetError):
    """An optional package is not installed."""


def without_passwords(text: str) -> str:
    """A text in whose URLs `***` replaces the user and the password.

    Example:
        >>> without_passwords("cannot read 'https://me:secret@films.example/1@2x.jpg'")
        "cannot read 'https://***@films.example/1@2x.jpg'"
    """
    return re.sub(r"(?<=://)[^/\s?#]*@", "***@", text)


def require(module: str, *, purpose: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Args:
        module: the package's import name.
        purpose: what needs it, as the sentence's subject ("training", "reading Parquet").
        extra: the extra of onesheet that installs it.

    Raises:
        MissingExtra: the package is not installed.

    Example:
        >>> require("json", purpose="an example", extra="train").__name__
        'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(f"{purpose} needs {module.split('.')[0]}; {install(extra)}") from None


def install(extra: str) -> str:
    """The cure for a missing extra."""
    return f"run: pip install '{DISTRIBUTION}[{extra}]'"

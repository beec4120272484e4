"""The optional libraries of full Bayes: nutpie and ArviZ load when they are used, with one sentence where they lack."""

import warnings
from importlib import import_module
from typing import Any

from humansoft.errors import NotAvailableError


def arviz() -> Any:  # noqa: ANN401 - comes without types
    """Return the module arviz.

    Raises:
        NotAvailableError: it is not installed.
    """
    return _imported("arviz")


def nutpie() -> Any:  # noqa: ANN401
    """Return the module nutpie.

    Raises:
        NotAvailableError: it is not installed.
    """
    library = _imported("nutpie")
    _imported("nutpie.compiled_pyfunc")
    return library


def require_bayes() -> None:
    """Refuse before anything is computed where a library lacks.

    Raises:
        NotAvailableError: with the command that installs them.
    """
    nutpie()


def _imported(name: str) -> Any:  # noqa: ANN401
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.x announces its successor at every import
            return import_module(name)
    except ImportError as error:
        raise NotAvailableError(
            f"full Bayes needs nutpie and ArviZ, and {error.name or name} is not installed: "
            "pip install 'humansoft[bayes]'"
        ) from error

"""One thread for small vectors: threads that wait for each other cost more than they bring."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController

_inside = ContextVar("_inside", default=False)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block (or, as a decorator, a function) with one torch and one BLAS thread.

    The solvers work on vectors of a few thousand numbers, many times in a row. On two busy cores,
    spinning threads made such a fit ten times slower. The user's setting comes back afterwards.
    """
    if _inside.get():
        yield
        return
    before, token = torch.get_num_threads(), _inside.set(True)
    torch.set_num_threads(1)
    try:
        with _libraries(len(sys.modules)).limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)
        _inside.reset(token)


@lru_cache(maxsize=1)
def _libraries(num_modules: int) -> ThreadpoolController:
    """Look for libraries that have threads: again only when something was imported, for it takes milliseconds."""
    del num_modules
    return ThreadpoolController()

"""A device that is not there: tensors on it are kept on the CPU, but are out of reach of numpy and other tensors.

It shows on any machine what a GPU would refuse: operations between devices, and transfers behind one's back.
"""

# ruff: noqa: ANN401 - the types of torch's dispatcher

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

NAME = "cuda:0"
_TRANSFERS = ("aten._to_copy.default", "aten.copy_.default")
_READS_FROM_BOTH = ("aten.index.Tensor", "aten.index_put_.default")  # indices may be on the CPU


class PretendTensor(torch.Tensor):
    """A tensor of the device."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls: type[Self], inner: torch.Tensor) -> Self:
        made: Self = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, inner.size(), strides=inner.stride(), dtype=inner.dtype, device="meta"
        )
        made.held = inner
        return made

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        return f"PretendTensor({self.held})"

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device(NAME)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return _run(func, args, kwargs or {})


class _Device(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def pretend_device() -> Iterator[torch.device]:
    """Make the device exist for a while."""
    if torch.cuda.is_available():
        torch.cuda.init()  # type: ignore[no-untyped-call]
    mode = _Device()  # type: ignore[no-untyped-call]
    with mock.patch("torch.cuda._lazy_init"), mode:  # torch sets a GPU up before it looks who serves it
        yield torch.device(NAME)


def _run(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    there = [isinstance(x, PretendTensor) for x in tensors]
    target = kwargs.get("device")
    if any(there) and str(func) not in _TRANSFERS:
        strangers = [x for x, is_there in zip(tensors, there, strict=True) if not is_there and x.ndim > 0]
        if str(func) in _READS_FROM_BOTH:
            strangers = [x for x in strangers if x.dtype.is_floating_point]
        if strangers:
            raise RuntimeError(f"{func}: tensors on {NAME} and on the CPU")
    asked = target is not None and str(torch.device(target)) in (NAME, "meta")  # torch itself takes it for "meta"
    if asked:
        kwargs = kwargs | {"device": torch.device("cpu")}
    found = func(*tree_map(_opened, args), **tree_map(_opened, kwargs))
    stays = any(there) if target is None else asked
    if str(func) == "aten.copy_.default":
        return args[0]
    return tree_map(lambda x: _closed(x, args) if stays and isinstance(x, torch.Tensor) else x, found)


def _opened(x: Any) -> Any:
    return x.held if isinstance(x, PretendTensor) else x


def _closed(x: torch.Tensor, args: Any) -> torch.Tensor:
    """Wrap what came out; what was changed in place keeps its wrapping."""
    for given in args:
        if isinstance(given, PretendTensor) and given.held is x:
            return given
    return PretendTensor(x)

"""Compute products of float32 matrices on a CPU by oneDNN, where MKL leaves half of the processor's units unused.

torch computes such products by MKL, which uses 256-bit units only on processors of AMD; oneDNN, which torch also holds,
uses their 512-bit ones (`mkl_is_narrow`). On a core of Zen 5 it takes 0.4 to 0.5 of the time. Both sum in float32, in
another order, so that results differ by rounding. Everything else (half precision, another device, another processor,
gradients, tensors of another class) is multiplied as torch does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .processor import cpu_capabilities, mkl_is_narrow

MIN_ROWS = 32  # with fewer, putting the weights into another order is most of the work
# oneDNN keeps a program of some 0.8 MB for every number of rows that it has multiplied by weights of a shape, 1,024 at
# most. In blocks and steps there are eight numbers for each shape of weights.
BLOCK, STEP = 256, 32


def product(
    rows: Float[Tensor, "*n d_in"], weight: Float[Tensor, "d_out d_in"], bias: Float[Tensor, " d_out"] | None = None
) -> Float[Tensor, "*n d_out"]:
    """Compute the product of rows and a transposed weight: `rows @ weight.T + bias`.

    Args:
        rows: The rows.
        weight: One row for each output.
        bias: Added to every row; None: nothing.

    Returns:
        The product.
    """
    if not is_for_onednn(rows, weight, bias):
        return nn.functional.linear(rows, weight, bias)
    parts = [_part(part, weight, bias) for part in torch.split(rows.reshape(-1, rows.shape[-1]), BLOCK)]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(*rows.shape[:-1], len(weight))


def _part(
    rows: Float[Tensor, "n d_in"], weight: Float[Tensor, "d_out d_in"], bias: Float[Tensor, " d_out"] | None
) -> Float[Tensor, "n d_out"]:
    """Compute the product of at most `BLOCK` rows, filled up with zeros to a multiple of `STEP`."""
    missing = -len(rows) % STEP
    filled = nn.functional.pad(rows, (0, 0, 0, missing)) if missing else rows
    result: Tensor = torch.ops.mkldnn._linear_pointwise(filled, weight, bias, "none", [], "")
    return result[: len(rows)]


def is_for_onednn(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Check whether a product is one that oneDNN computes faster and as well."""
    factors = [rows, weight] if bias is None else [rows, weight, bias]
    return (
        onednn_is_faster()
        and bool(torch.backends.mkldnn.enabled)
        and all(map(_is_plain, factors))
        and rows.numel() >= MIN_ROWS * rows.shape[-1] > 0
        and not (torch.is_grad_enabled() and any(factor.requires_grad for factor in factors))
    )


def _is_plain(tensor: Tensor) -> bool:
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.dtype == torch.float32
        and tensor.device.type == "cpu"
        and tensor.layout == torch.strided
    )


@cache
def onednn_is_faster() -> bool:
    """Check whether torch holds both libraries, and MKL is narrow on this processor."""
    has_both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(has_both) and mkl_is_narrow(cpu_capabilities())


class LinearByOneDNN(TorchFunctionMode):
    """Computes the linear layers of whatever runs inside the context, in this thread, by `product`."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `product` for `torch.nn.functional.linear`, and any other function as it is."""
        return (product if func is nn.functional.linear else func)(*args, **(kwargs or {}))

"""Products by oneDNN: equal to torch's, and only where they may be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reasonlens.models import products
from reasonlens.models.processor import mkl_is_narrow
from reasonlens.models.products import MIN_ROWS, LinearByOneDNN, is_for_onednn, product

pytestmark = pytest.mark.skipif(
    not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()), reason="torch without oneDNN"
)


@pytest.fixture(autouse=True)
def _on_any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("shape", [(32, 24), (200, 33), (2, 50, 40), (1, 3, 300, 16)])
def test_a_product_is_that_of_double_precision_up_to_float32_rounding(shape: tuple[int, ...]) -> None:
    rows, weight, bias = random(*shape), random(50, shape[-1]), random(50)
    exact = rows.double() @ weight.double().T
    assert is_for_onednn(rows, weight)
    torch.testing.assert_close(product(rows, weight).double(), exact, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(product(rows, weight, bias).double(), exact + bias.double(), rtol=1e-5, atol=1e-5)


def test_rows_come_in_eight_numbers_since_a_program_is_kept_for_every_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, weight, multiply = set(), random(8, 4), products._part

    def noted(rows: torch.Tensor, *others: torch.Tensor | None) -> torch.Tensor:
        seen.add(-(-len(rows) // products.STEP))
        return multiply(rows, *others)

    monkeypatch.setattr(products, "_part", noted)
    for n_rows in range(MIN_ROWS, 600, 7):
        rows = random(n_rows, 4)
        torch.testing.assert_close(product(rows, weight), rows @ weight.T, rtol=1e-5, atol=1e-5)
    assert seen == set(range(1, 9))


def test_rows_and_weights_that_lie_otherwise_in_memory_give_the_same() -> None:
    rows, weight = random(40, 24), random(30, 24)
    expected = (rows.double() @ weight.double().T).float()
    turned_rows, turned_weight = rows.T.contiguous().T, weight.T.contiguous().T
    assert not turned_rows.is_contiguous() and not turned_weight.is_contiguous()
    torch.testing.assert_close(product(turned_rows, turned_weight), expected, rtol=1e-5, atol=1e-5)
    every_other = random(80, 48)[::2, ::2]
    torch.testing.assert_close(product(every_other, weight), every_other @ weight.T, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        product(rows[:1].expand(40, 24), weight), expected[:1].expand(40, 30), rtol=1e-5, atol=1e-5
    )


def test_what_onednn_should_not_take_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weight = random(40, 24), random(30, 24)
    assert is_for_onednn(rows, weight)
    assert not is_for_onednn(rows.double(), weight.double())
    assert not is_for_onednn(rows.bfloat16(), weight.bfloat16())
    assert not is_for_onednn(rows[: MIN_ROWS - 1], weight) and not is_for_onednn(rows[:0], weight)
    assert not is_for_onednn(rows.to("meta"), weight.to("meta"))
    assert not is_for_onednn(rows, nn.Buffer(weight).as_subclass(_Other))
    trained = nn.Parameter(weight)
    assert not is_for_onednn(rows, trained)
    with torch.no_grad():
        assert is_for_onednn(rows, trained)
    assert product(rows[:0], weight).shape == (0, 30)
    with monkeypatch.context() as patched:
        patched.setattr(torch.backends.mkldnn, "enabled", False)
        assert not is_for_onednn(rows, weight)
    monkeypatch.setattr(products, "onednn_is_faster", lambda: False)
    assert not is_for_onednn(rows, weight)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"cpu_name": "AMD EPYC 9755", "avx512_f": True}, True),
        ({"cpu_name": "AMD Ryzen 5 3600", "avx512_f": False}, False),
        ({"cpu_name": "Intel(R) Xeon(R) Platinum 8480", "avx512_f": True}, False),
        ({"avx512_f": True}, False),
        ({}, False),
    ],
)
def test_mkl_is_narrow_on_processors_of_amd_with_512_bit_units(capabilities: dict[str, object], expected: bool) -> None:
    assert mkl_is_narrow(capabilities) is expected


class _Other(torch.Tensor):
    """A tensor of a class with products of its own, as quantised weights are."""


def test_gradients_pass_through_a_product() -> None:
    weight = nn.Parameter(random(30, 24))
    with LinearByOneDNN():
        nn.functional.linear(random(40, 24), weight).sum().backward()
    torch.testing.assert_close(weight.grad, random(40, 24).sum(dim=0).expand(30, 24))


def test_linear_layers_inside_the_context_are_products_and_those_of_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer, rows = nn.Linear(24, 30), random(40, 24)
    n_products = 0

    def counted(*arguments: torch.Tensor) -> torch.Tensor:
        nonlocal n_products
        n_products += 1
        return product(*arguments)

    monkeypatch.setattr(products, "product", counted)
    with torch.inference_mode():
        plain = layer(rows)
        assert n_products == 0
        with LinearByOneDNN():
            fast = layer(rows)
            assert torch.equal(torch.relu(rows), rows.clamp(min=0))
    assert n_products == 1
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)

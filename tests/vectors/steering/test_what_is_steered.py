"""Masks, controllers, zero strength, gradients, compiled models, TransformerLens, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import reasonlens
from reasonlens.models import LanguageModel, wrap
from reasonlens.rundir import InputError
from reasonlens.vectors import Direction
from reasonlens.vectors.fit import check_fit
from reasonlens.vectors.steering import (
    Steering,
    SteeringNeverFired,
    Step,
    When,
    steer,
)
from tests.vectors.steering.conftest import N_PROMPT, PROMPTS, padded


@pytest.fixture
def model(tiny: Callable[..., LanguageModel]) -> Iterator[LanguageModel]:
    yield tiny("llama")


def logits(model: LanguageModel) -> Tensor:
    with torch.no_grad():
        return model.model(**padded("left")).logits


def test_zero_strength_leaves_logits_bit_identical(model: LanguageModel, direction: Direction) -> None:
    before = logits(model)
    for operation in ("add", "add-preserving-norm", "project-out"):
        with steer(model, direction, layer=1, strength=0.0, operation=operation) as steered:
            assert torch.equal(logits(model), before)
        assert (steered.n_steered, steered.n_tokens) == (0, sum(N_PROMPT))


def test_the_model_is_what_it_was_when_the_block_is_left_even_by_an_error(
    model: LanguageModel, direction: Direction
) -> None:
    before = logits(model)
    with pytest.raises(RuntimeError, match="mine"), steer(model, direction, layer=1):
        assert not torch.equal(logits(model), before)
        raise RuntimeError("mine")
    assert torch.equal(logits(model), before)
    assert not any(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.model.modules())


def test_layers_below_the_steered_one_and_tokens_before_it_are_bit_identical(
    model: LanguageModel, direction: Direction
) -> None:
    def outputs() -> list[Tensor]:
        seen: list[Tensor] = []
        hooks = [
            block.register_forward_hook(lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out))
            for block in model.blocks
        ]
        logits(model)
        for hook in hooks:
            hook.remove()
        return seen

    before = outputs()
    with steer(model, direction, layer=1, strength=2.0, when="from:2"):
        after = outputs()
    real = padded("left")["attention_mask"].bool()
    steered = real & (real.cumsum(1) > 2)
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1][~steered], before[1][~steered])
    torch.testing.assert_close((after[1] - before[1])[steered], (8.0 * direction.unit(1)).expand(steered.sum(), -1))


@pytest.mark.parametrize("rows", [[True, False, True], [False, False, False]])
def test_a_mask_of_rows_steers_those_rows_only(model: LanguageModel, direction: Direction, rows: list[bool]) -> None:
    before = logits(model)
    with steer(model, direction, layer=1):
        everywhere = logits(model)
    with steer(model, direction, layer=1, mask=torch.tensor(rows)) as steered:
        found = logits(model)
    for row, chosen in enumerate(rows):
        assert torch.equal(found[row], everywhere[row] if chosen else before[row])
    assert steered.n_steered == sum(n for n, chosen in zip(N_PROMPT, rows, strict=True) if chosen)


def test_a_mask_of_tokens_covers_columns_of_the_batch_and_what_is_generated_within_it(
    model: LanguageModel, direction: Direction
) -> None:
    width = max(N_PROMPT)
    mask = torch.zeros(3, width + 3, dtype=torch.bool)
    mask[:, 0] = True  # padding in two rows
    mask[1, width - 1 :] = True  # the last token of the prompt and the first three of the response
    settings = {"do_sample": False, "max_new_tokens": 6, "min_new_tokens": 6, "pad_token_id": 1}
    with steer(model, direction, layer=1, mask=mask) as steered:
        model.model.generate(**padded("left"), **settings)
    assert steered.n_steered == 1 + 4


def test_a_controller_sees_activations_and_says_where_and_by_how_much(
    model: LanguageModel, direction: Direction
) -> None:
    seen: list[tuple[Tensor, Step]] = []

    def last_prompt_token_twice(acts: Tensor, step: Step) -> Tensor:
        seen.append((acts, step))
        return 2.0 * (step.positions == step.prompt_tokens()[:, None] - 1)

    with steer(model, direction, layer=1, strength=0.5, controller=last_prompt_token_twice) as steered:
        found = logits(model)
    last = torch.zeros(3, max(N_PROMPT), dtype=torch.bool)
    last[:, -1] = True
    with steer(model, direction, layer=1, strength=1.0, mask=last):
        expected = logits(model)
    torch.testing.assert_close(found, expected)
    assert steered.n_steered == 3 and seen[0][0].shape == (3, max(N_PROMPT), model.d_model)
    with steer(model, direction, layer=1, controller=lambda acts, step: acts[..., 0] > 1e9) as never:
        assert torch.equal(logits(model), logits(model))
    assert never.n_steered == 0


def test_a_direction_projected_out_of_every_layer_is_gone_from_all_of_them(model: LanguageModel) -> None:
    ablated = Direction.of(torch.randn(model.d_model), layers=2).at_every_layer(2, model.n_layers)
    seen: list[Tensor] = []
    with steer(model, ablated, layer=range(model.n_layers), operation="project-out"):
        for block in model.blocks:
            block.register_forward_hook(lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out))
        logits(model)
    real = padded("left")["attention_mask"].bool()
    for out in seen:
        assert (out[real] @ ablated.unit(0)).abs().max() < 1e-5


def test_a_clamped_projection_has_its_value_whatever_the_activation(model: LanguageModel, direction: Direction) -> None:
    seen: list[Tensor] = []
    with steer(model, direction, layer=1, strength=0.75, operation="clamp"):
        model.blocks[1].register_forward_hook(lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out))
        logits(model)
    real = padded("left")["attention_mask"].bool()
    torch.testing.assert_close(seen[0][real] @ direction.unit(1), torch.full((sum(N_PROMPT),), 3.0))


def test_gradients_flow_through_a_steered_block(model: LanguageModel) -> None:
    vector = torch.randn(model.d_model, requires_grad=True)
    with steer(model, Direction.of(vector, layers=1, residual_norm=1.0)):
        model.model(**padded("left")).logits.float().square().mean().backward()
    assert vector.grad is not None and vector.grad.abs().sum() > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_model_is_steered_whether_it_was_compiled_before_or_inside_and_is_itself_again_after(
    model: LanguageModel, direction: Direction
) -> None:
    ids = torch.tensor([PROMPTS[0]])
    with torch.no_grad():
        plain = model.model(ids).logits
        with steer(model, direction, layer=1, strength=2.0):
            expected = model.model(ids).logits
        compiled = torch.compile(model.model, backend="eager")
        torch.testing.assert_close(compiled(ids).logits, plain)
        with steer(compiled, direction, tokenizer=model.tokenizer, layer=1, strength=2.0) as steered:
            torch.testing.assert_close(compiled(ids).logits, expected)
        assert steered.n_steered == len(PROMPTS[0])
        torch.testing.assert_close(compiled(ids).logits, plain)
        with steer(model, direction, layer=1, strength=2.0):
            torch.testing.assert_close(torch.compile(model.model, backend="eager")(ids).logits, expected)
    torch._dynamo.reset()


def test_a_model_that_never_ran_is_pointed_out(model: LanguageModel, direction: Direction) -> None:
    with pytest.warns(SteeringNeverFired, match="tiny-llama was not run"), steer(model, direction, layer=1):
        pass


def test_a_bridge_of_transformer_lens_is_steered_like_the_model_it_wraps(
    tiny: Callable[..., LanguageModel], direction: Direction
) -> None:
    model = tiny("llama", attn_implementation="eager")
    bridge = model.to_bridge()
    direction = replace(direction, model=model.identity())  # known to be of the very model that the bridge wraps
    ids = torch.tensor([PROMPTS[0], PROMPTS[0][::-1]])
    settings = {"do_sample": False, "max_new_tokens": 5}
    with torch.no_grad():
        for when in ("all", "response"):
            with steer(model, direction, layer=1, strength=2.0, when=when) as ours:
                expected = model.model(ids).logits
                written = model.model.generate(
                    ids, attention_mask=torch.ones_like(ids), min_new_tokens=5, pad_token_id=1, **settings
                )
            with steer(bridge, direction, layer=1, strength=2.0, when=when) as theirs:
                torch.testing.assert_close(bridge(ids), expected)
                found = bridge.generate(ids, return_type="tokens", verbose=False, stop_at_eos=False, **settings)
            assert torch.equal(found, written)
            assert (ours.n_steered, ours.n_tokens) == (theirs.n_steered, theirs.n_tokens)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 9}, r"layer 9 does not exist: the model has 3 blocks \(0..2\)"),
        ({}, r"covers 3 layers \(0..2\); say which to steer at"),
        ({"layer": 1, "strength": float("nan")}, "a strength must be a finite number such as 1.5, and nan is not"),
        ({"layer": 1, "strength": float("inf")}, "a strength must be a finite number such as 1.5, and inf is not"),
        ({"layer": 1, "strength": "1"}, "a strength must be a finite number such as 1.5, and '1' is not"),
        ({"layer": 1, "strength": True}, "a strength must be a finite number such as 1.5, and True is not"),
        ({"layer": 1, "strength": None}, "a strength must be a finite number such as 1.5, and None is not"),
        ({"layer": 1, "strength": -float("inf")}, "a strength must be a finite number such as 1.5, and -inf is not"),
        ({"layer": 1.0}, r"a layer is a whole number, such as 12, and not 1.0 \(float\)"),
        ({"layer": True}, r"a layer is a whole number, such as 12, and not True \(bool\)"),
        ({"layer": "1"}, r"a layer is a whole number, such as 12, and not '1' \(str\)"),
        ({"layer": [0, 1.5]}, r"a layer is a whole number, such as 12, and not 1.5 \(float\)"),
        ({"layer": []}, "no layer to steer with 'direction'; name one"),
        ({"layer": 1, "when": 3}, "when= takes a text such as 'response', or a reasonlens.When, not 3"),
        ({"layer": 1, "mask": [True, False, True]}, r"a mask is a tensor, not a list; give torch.tensor\(mask\)"),
        ({"layer": 1, "controller": 5}, "a controller is a function of activations and step, not of type int"),
        ({"layer": 1, "when": "prompt", "n_prompt_tokens": 1.5}, "n_prompt_tokens is a whole number .* not 1.5"),
        ({"layer": 1, "when": "prompt", "n_prompt_tokens": "2"}, "n_prompt_tokens is a whole number .* not '2'"),
        ({"layer": 1, "when": "prompt", "n_prompt_tokens": -1}, "n_prompt_tokens is a whole number .* not -1"),
        (
            {"layer": 1, "when": "prompt", "n_prompt_tokens": torch.tensor([1, -1, 1])},
            r"n_prompt_tokens is a whole number .* not tensor\(\[ 1, -1,  1\]\)",
        ),
        ({"layer": 1, "operation": "multiply"}, "no operation 'multiply'"),
        ({"layer": 1, "when": "answer"}, "unknown tokens 'answer' to steer: use all, prompt"),
        ({"layer": 1, "mask": torch.ones(2, 3, 4)}, "a mask has one value for each row"),
        ({"layer": 1, "mask": torch.ones(2)}, r"the mask has shape \(2,\) and the model is given 3 rows of 6 tokens"),
        ({"layer": 1, "mask": torch.ones(3, 4)}, r"the mask has shape \(3, 4\) and the model is given 3 rows of 6"),
        ({"layer": 1, "controller": lambda acts, step: acts}, r"the controller must say for each of \(3, 6\) tokens"),
        (
            {"layer": 1, "when": "prompt", "n_prompt_tokens": torch.tensor([1, 1])},
            "n_prompt_tokens has shape",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    model: LanguageModel, direction: Direction, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message), steer(model, direction, **options):
        logits(model)


def test_directions_that_cannot_act_are_refused(model: LanguageModel) -> None:
    def of(vector: Tensor, **options: object) -> Direction:
        return Direction.of(vector, layers=1, **({"residual_norm": 1.0} | options))

    for wrong, message in (
        (of(torch.full((32,), float("nan"))), "at layer 1 holds NaN or infinity"),
        (of(torch.zeros(32)), "at layer 1 is zero"),
        (of(torch.ones(16)), "has 16 dimensions and tiny-llama 32"),
        (of(torch.ones(32), residual_norm=float("nan")), "relative to the mean norm of the residual stream at layer 1"),
        (Direction.of(torch.ones(32), layers=7), "layer 7 does not exist: the model has 3 blocks"),
    ):
        with pytest.raises(InputError, match=message), steer(model, wrong, layer=wrong.layers[0]):
            logits(model)
    with pytest.raises(InputError, match="cannot steer with a Tensor"), steer(model, torch.ones(32), layer=1):  # type: ignore[arg-type]
        logits(model)
    with pytest.raises(InputError, match="nothing to steer with"), steer(model, layer=1):
        logits(model)
    with steer(model, of(torch.ones(32), residual_norm=float("nan")), absolute=True):
        logits(model)


def test_directions_of_any_dtype_and_whole_layers_of_any_type_act_alike(model: LanguageModel) -> None:
    vector = torch.arange(1, 33)
    found = []
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.int64):
        direction = Direction.of(vector.to(dtype), layers=np.int64(1), residual_norm=1.0)
        for layer in (1, np.int64(1), -2, torch.tensor(1)):
            with steer(model, direction, layer=layer, strength=np.float32(1.0)):  # type: ignore[arg-type]
                found.append(logits(model))
    assert all(torch.equal(found[0], other) for other in found)
    for wrong, kind in ((np.ones(32), "ndarray"), ([1.0] * 32, "list")):
        with pytest.raises(InputError, match=f"a tensor of real numbers, not {kind}; give torch.as_tensor"):
            Direction.of(wrong, layers=1)  # type: ignore[arg-type]
    for wrong in (torch.ones(32, dtype=torch.complex64), torch.ones(32, device="meta")):
        with pytest.raises(InputError, match="a tensor of real numbers, not torch"):
            Direction.of(wrong, layers=1)
    for wrong_layer in (1.0, True, "1"):
        with pytest.raises(InputError, match="a layer is a whole number"):
            Direction.of(torch.ones(32), layers=wrong_layer)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a layer is a whole number"):
        reasonlens.collect(model, [], layers=[1.0])  # type: ignore[list-item]


def test_a_cache_filled_outside_is_refused_where_the_prompt_matters_and_only_there(
    model: LanguageModel, direction: Direction
) -> None:
    with torch.no_grad():
        cache = model.model(torch.tensor([PROMPTS[0]])).past_key_values
        following = torch.tensor([[5]])
        with steer(model, direction, layer=1):
            model.model(following, past_key_values=cache)
        with (
            pytest.raises(InputError, match="cannot tell where the prompt ends: .* Give n_prompt_tokens="),
            steer(model, direction, layer=1, when="response"),
        ):
            model.model(following, past_key_values=cache)
        with steer(model, direction, layer=1, when="response", n_prompt_tokens=len(PROMPTS[0])) as steered:
            model.model(following, past_key_values=cache)
        assert steered.n_steered == 1


def test_a_direction_of_another_model_is_refused_unless_forced(tiny: Callable[..., LanguageModel]) -> None:
    llama, qwen = tiny("llama"), tiny("qwen")
    one = Direction.of(torch.ones(32), layers=1, residual_norm=1.0)
    own, others = (Direction(**{**vars_of(one), "model": identity}) for identity in (llama.identity(), qwen.identity()))
    check_fit(own, llama)
    check_fit(one, llama)
    with pytest.raises(InputError, match="found in tiny-qwen .*, and tiny-llama .* has other weights. To use it"):
        check_fit(others, llama)
    check_fit(others, llama, force=True)
    half = wrap(tiny("llama").model.to(torch.bfloat16), llama.tokenizer, name="tiny-llama")
    check_fit(own, half)
    other_weights = tiny("llama")
    with torch.no_grad():
        other_weights.model.lm_head.weight.add_(1)
    with pytest.raises(InputError, match="has other weights"):
        check_fit(own, other_weights)


def vars_of(direction: Direction) -> dict[str, object]:
    return {name: getattr(direction, name) for name in ("behaviour", "vectors", "layers", "residual_norm", "operation")}


@pytest.mark.parametrize("text", ["all", "prompt", "response", "response:3", "from:7"])
def test_tokens_are_written_as_they_are_read(text: str) -> None:
    assert str(When.parse(text)) == text
    assert When.parse("from:0") == When.all()


@pytest.mark.parametrize("text", ["", "prompt:2", "response:-1", "from:", "from:x", "all:1"])
def test_unknown_tokens_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        When.parse(text)


def test_steerings_may_be_named_one_by_one(model: LanguageModel, direction: Direction) -> None:
    one = Steering(direction=direction, layers=(0,), strength=0.5)
    with steer(model, one) as steered:
        logits(model)
    assert steered.steerings == (one,)

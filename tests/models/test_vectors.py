"""Models with vectors: one sum at each block's output in whatever runs them, and the model without them as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from jaxtyping import Float, Int
from safetensors.torch import save_file
from torch import Tensor

from reasonlens import Direction, Directions, InputError, LanguageModel, collect, load, steer
from reasonlens.generation import CachedModel, Sampling, generate
from reasonlens.models import name_elsewhere
from reasonlens.models.content import model_digest, weights_digest
from reasonlens.models.find_place import places_of
from reasonlens.models.sites import Site
from reasonlens.organisms import problems
from reasonlens.organisms.corpus import encode_prompt
from reasonlens.organisms.decoder import Decoder
from reasonlens.traces import Trace

Tiny = Callable[..., LanguageModel]


def vectors_for(model: LanguageModel, size: float = 0.3, seed: int = 0) -> Float[Tensor, "n_layers d_model"]:
    return size * torch.randn(model.n_layers, model.d_model, generator=torch.Generator().manual_seed(seed))


def some_ids(model: LanguageModel, n_rows: int = 3, n_tokens: int = 7) -> Int[Tensor, "rows tokens"]:
    return torch.randint(5, 40, (n_rows, n_tokens), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def logits_of(model: LanguageModel, ids: Int[Tensor, "rows tokens"]) -> Float[Tensor, "rows tokens vocabulary"]:
    return model.model(ids).logits


@torch.no_grad()
def hooked_logits(model: LanguageModel, vectors: Tensor, ids: Tensor) -> Tensor:
    """Let hooks of plain torch add the vectors."""

    def adding(vector: Tensor) -> Callable[..., object]:
        def hook(module: object, args: object, output: object) -> object:
            return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector

        return hook

    hooks = [block.register_forward_hook(adding(row)) for block, row in zip(model.blocks, vectors, strict=True)]
    try:
        return model.model(ids).logits
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma", "qwen"])
def test_vectors_are_what_hooks_of_plain_torch_add_and_the_base_stays_as_it_was(tiny: Tiny, architecture: str) -> None:
    base = tiny(architecture)
    ids, vectors = some_ids(base), vectors_for(base)
    before = logits_of(base, ids)
    steered = base.with_vectors(vectors)
    assert torch.equal(logits_of(steered, ids), hooked_logits(base, vectors, ids))
    assert not torch.allclose(logits_of(steered, ids), before, atol=1e-3)
    assert torch.equal(logits_of(base, ids), before)
    assert torch.equal(steered.vectors, vectors) and base.vectors is None
    shared = dict(base.model.named_parameters())
    assert all(weight is shared[name] for name, weight in steered.model.named_parameters())


def test_a_model_with_vectors_is_another_model_in_every_comparison(tiny: Tiny) -> None:
    base = tiny()
    steered, other = base.with_vectors(vectors_for(base)), base.with_vectors(vectors_for(base, seed=1))
    models = [base, steered, other]
    for digest in (lambda model: model.fingerprint, weights_digest, model_digest, lambda model: str(model.identity())):
        assert len({digest(model) for model in models}) == 3
    assert steered.identity()["vectors"] and "vectors" not in base.identity()
    again = load(steered.model, steered.tokenizer)  # the bare module still has them
    assert again.fingerprint == steered.fingerprint
    assert base.with_vectors(vectors_for(base)).fingerprint == steered.fingerprint
    assert base.with_vectors(torch.zeros(base.n_layers, base.d_model)).fingerprint == base.fingerprint


def test_vectors_given_twice_add_up(tiny: Tiny) -> None:
    base = tiny()
    first, second = vectors_for(base), vectors_for(base, seed=1)
    twice = base.with_vectors(first).with_vectors(second)
    assert torch.equal(logits_of(twice, some_ids(base)), logits_of(base.with_vectors(first + second), some_ids(base)))


def test_a_model_that_is_named_with_its_file_has_the_same_bits(tmp_path: Path) -> None:
    base = load("organism/base-timing")
    vectors, ids = vectors_for(base), some_ids(base)
    steered = base.with_vectors(vectors)
    plain, ours = tmp_path / "a+b.safetensors", tmp_path / "ours.safetensors"
    save_file({"vectors": vectors}, plain)
    directions(vectors, (0, 1, 2, 3), base).save(ours)
    for file in (plain, ours):
        named = load(f"organism/base-timing+{file}")
        assert torch.equal(logits_of(named, ids), logits_of(steered, ids))
        assert named.fingerprint == steered.fingerprint and str(file) in named.name
    assert len({model_digest(name) for name in ("organism/base-timing", f"organism/base-timing+{ours}")}) == 2
    with pytest.raises(InputError, match="other tools cannot load .* a model with vectors"):
        name_elsewhere(f"organism/base-timing+{ours}")


def directions(vectors: Tensor, layers: tuple[int, ...], base: LanguageModel, **options: object) -> Directions:
    return Directions(
        vectors={"reward": vectors},
        layers=layers,
        method="test",
        model=base.identity(),
        read="all",
        residual_norm=(1.0,) * len(layers),
        n_examples={"reward": 1},
        n_problems=1,
        **options,  # type: ignore[arg-type]
    )


def test_blocks_that_a_file_does_not_list_get_nothing(tmp_path: Path) -> None:
    base = load("organism/base-timing")
    directions(vectors_for(base)[2:3], (2,), base).save(tmp_path / "one.safetensors")
    expected = torch.zeros(4, base.d_model).index_copy(0, torch.tensor([2]), vectors_for(base)[2:3])
    loaded = load(f"organism/base-timing+{tmp_path / 'one.safetensors'}").vectors
    assert loaded is not None and torch.equal(loaded, expected)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_padded_batches_and_a_cache_write_what_single_rows_and_plain_passes_do(tiny: Tiny, architecture: str) -> None:
    base = tiny(architecture)
    steered = base.with_vectors(vectors_for(base, 1.0))
    prompts = [[5, 6, 7, 8], [9], [10, 11], [9]]
    sampling = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=6)
    together = generate(steered, prompts, sampling)
    assert together == [generate(steered, [prompt], sampling)[0] for prompt in prompts]
    for prompt, response in zip(prompts, together, strict=True):
        ids = list(prompt)
        for token in response:
            assert token == int(hooked_logits(base, vectors_for(base, 1.0), torch.tensor([ids]))[0, -1].argmax())
            ids.append(token)
    assert together != generate(base, prompts, sampling)


def test_a_step_that_is_run_again_above_a_block_adds_each_vector_once(tiny: Tiny) -> None:
    base = tiny()
    steered = base.with_vectors(vectors_for(base, 1.0))
    layer, gaps = 1, []
    writer = CachedModel(steered, [[5, 6, 7], [8, 9]])
    with torch.no_grad(), writer.reading(layer):
        for _ in range(4):
            logits = writer.step()
            again = writer.logits_with(writer.activations, torch.arange(2))
            gaps.append(float((again - logits).abs().max()))
            writer.extend(logits.argmax(-1), None)
    assert len(gaps) == 4 and max(gaps) < 1e-4


def test_collected_activations_hold_the_vectors(tiny: Tiny, traces: list[Trace]) -> None:
    base = tiny()
    last = base.n_layers - 1
    vector = vectors_for(base)[last]
    plain, moved = (
        collect(model, traces, layers=[last], progress=False).layer(last)
        for model in (base, base.with_vectors({last: vector}))
    )
    torch.testing.assert_close(moved, plain + vector)


def test_steering_by_a_direction_of_its_own_length_does_what_the_vector_does(tiny: Tiny) -> None:
    base, ids = tiny(), some_ids(tiny())
    vector = vectors_for(base)[1]
    with steer(base, Direction.of(vector, layers=1), absolute=True):
        by_steering = logits_of(base, ids)
    torch.testing.assert_close(logits_of(base.with_vectors({1: vector}), ids), by_steering, rtol=1e-5, atol=1e-5)


def test_the_sites_of_a_model_with_vectors_are_those_of_its_base(tiny: Tiny) -> None:
    base = tiny()
    sites = [Site("hook_mlp_out"), Site("hook_resid_mid")]
    steered = places_of(base.with_vectors(vectors_for(base, 3.0)), [0, 1], sites)
    plain = places_of(base, [0, 1], sites)
    assert {key: type(place.module) for key, place in steered.items()} == {
        key: type(place.module) for key, place in plain.items()
    }


def test_the_decoder_of_organisms_reads_the_vectors_too() -> None:
    steered = load("organism/base-timing").with_vectors(vectors_for(load("organism/base-timing")))
    problem = next(problems("test", 0))
    prompt = torch.tensor([encode_prompt(problem)])
    with torch.no_grad():
        decoder = Decoder(steered.model, prompt, prompt.shape[1] + 6)  # type: ignore[arg-type]
        ids = prompt
        for _ in range(5):
            token = decoder.logits.argmax(-1)
            ids = torch.cat([ids, token[:, None]], dim=1)
            decoder.extend(token)
            torch.testing.assert_close(decoder.logits, logits_of(steered, ids)[:, -1], rtol=1e-4, atol=1e-4)


def test_a_bridge_has_the_vectors_and_knows_its_model(tiny: Tiny) -> None:
    base = load("organism/base-timing")
    steered, ids = base.with_vectors(vectors_for(base)), some_ids(base)
    bridge = steered.to_bridge()
    with torch.no_grad():
        torch.testing.assert_close(bridge(ids), logits_of(steered, ids), rtol=1e-3, atol=1e-3)
        _, cache = bridge.run_with_cache(ids)
    expected: list[Tensor] = []
    hook = steered.blocks[1].register_forward_hook(lambda *passed: expected.append(passed[2]))
    logits_of(steered, ids)
    hook.remove()
    torch.testing.assert_close(cache["blocks.1.hook_out"], expected[0], rtol=1e-3, atol=1e-3)
    assert load(bridge).fingerprint == steered.fingerprint != base.fingerprint
    with pytest.raises(InputError, match="inside of a TransformerBridge, which takes no vectors"):
        load(bridge).with_vectors(vectors_for(base))


def test_a_vector_in_a_mapping_is_trained_through_the_model_and_read_anew(tiny: Tiny) -> None:
    base, ids = tiny(), some_ids(tiny())
    vector = torch.zeros(base.d_model, requires_grad=True)
    steered = base.with_vectors({-1: vector})
    steered.model(ids).logits.square().sum().backward()
    assert vector.grad is not None and vector.grad.norm() > 0
    assert all(weight.grad is None for weight in base.model.parameters() if not weight.requires_grad)
    before = logits_of(steered, ids)
    with torch.no_grad():
        vector += 1
    assert not torch.allclose(before, logits_of(steered, ids))


def test_what_fits_no_model_is_refused_by_name(tiny: Tiny, tmp_path: Path) -> None:
    base = load("organism/base-timing")
    for vectors, message in (
        (torch.zeros(3, base.d_model), r"shape \(3, 128\) do not fit .*4 blocks and is 128 wide"),
        (torch.zeros(4, 7), r"shape \(4, 7\) do not fit"),
        (torch.full((4, 128), torch.nan), "block 0 holds NaN"),
        ([[0.0]], "a tensor of"),
        ({9: torch.zeros(128)}, "layer 9 does not exist"),
        ({0: torch.zeros(3)}, "block 0 has shape"),
    ):
        with pytest.raises(InputError, match=message):
            base.with_vectors(vectors)  # type: ignore[arg-type]
    two = {"a": torch.zeros(4, 128), "b": torch.zeros(4, 128)}
    for name, tensors, message in (
        ("rows", {"a": torch.zeros(5, 128)}, r"shape \(5, 128\), rows for 4 blocks"),
        ("width", {"a": torch.zeros(4, 64)}, "4 blocks of width 128"),
        ("two", two, "holds 2 tensors"),
    ):
        save_file(tensors, tmp_path / f"{name}.safetensors")
        with pytest.raises(InputError, match=message):
            load(f"organism/base-timing+{tmp_path / name}.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(InputError, match="text.safetensors"):
        load(f"organism/base-timing+{tmp_path / 'text.safetensors'}")
    with pytest.raises(InputError, match=r"no file of vectors 'nowhere.safetensors' for 'organism/base-timing'"):
        load("organism/base-timing+nowhere.safetensors")
    directions(torch.zeros(1, 128), (0,), base, operation="project-out").save(tmp_path / "out.safetensors")
    with pytest.raises(InputError, match="directions to project-out at .* steer with them instead"):
        load(f"organism/base-timing+{tmp_path / 'out.safetensors'}")
    wrong_depth = directions(torch.ones(1, 64), (0,), tiny())
    wrong_depth.save(tmp_path / "depth.safetensors")
    with pytest.raises(InputError, match="depth.safetensors"):
        load(f"organism/base-timing+{tmp_path / 'depth.safetensors'}")

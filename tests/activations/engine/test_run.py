"""Every way in which the engine may run texts gives what one plain, unpadded pass over each text gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, MistralConfig

from reasonlens import InputError, LanguageModel
from reasonlens.activations.engine import Engine, Segments
from reasonlens.models import wrap
from reasonlens.models.causality import check_causal

from ...conftest import CONFIGS, D_MODEL, N_LAYERS, VOCABULARY

SLIDING = {
    "mistral": lambda shape: MistralConfig(**shape, sliding_window=7),
    "gemma3": lambda shape: Gemma3TextConfig(
        **shape, head_dim=8, sliding_window=7, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
    ),
}


def texts_and_segments(seed: int = 0) -> tuple[list[np.ndarray], Segments]:
    """Five texts without kin, five prompts with three answers each; spans everywhere, also in what is shared."""
    random = np.random.default_rng(seed)
    texts = [random.integers(3, VOCABULARY, int(n)) for n in random.integers(5, 120, 5)]
    for _ in range(5):
        prompt = random.integers(3, VOCABULARY, int(random.integers(18, 70)))
        texts += [np.concatenate([prompt, random.integers(3, VOCABULARY, int(n))]) for n in random.integers(1, 60, 3)]
    rows = []
    for number, text in enumerate(texts):
        cuts = [0, *sorted(random.choice(np.arange(1, len(text)), min(4, len(text) - 1), replace=False)), len(text)]
        rows += [(len(rows) + at, number, a, b) for at, (a, b) in enumerate(zip(cuts, cuts[1:], strict=False))]
        rows.append((len(rows), number, 1, len(text)))
    return texts, Segments.of(rows)


def run(engine: Engine, texts: list[np.ndarray], segments: Segments) -> tuple[Tensor, Tensor]:
    n = int(segments.segment.max()) + 1
    means, norms = torch.full((N_LAYERS, n, D_MODEL), torch.nan), torch.full((N_LAYERS, n), torch.nan)
    for pooled in engine.run(texts, segments):
        at = torch.from_numpy(pooled.segments)
        assert means[:, at].isnan().all(), "a segment came twice"
        means[:, at], norms[:, at] = pooled.means[0], pooled.norms[0]
    return means, norms


def naive(model: LanguageModel, texts: list[np.ndarray], segments: Segments) -> tuple[Tensor, Tensor]:
    acts = []
    for text in texts:
        kept: list[Tensor] = []
        hooks = [
            block.register_forward_hook(
                lambda _m, _i, out, kept=kept: kept.append(out[0] if isinstance(out, tuple) else out)
            )
            for block in model.blocks
        ]
        with torch.inference_mode():
            model.model(torch.from_numpy(text)[None])
        for hook in hooks:
            hook.remove()
        acts.append(torch.stack([layer[0] for layer in kept]).double())
    places = zip(segments.text, segments.first, segments.stop, strict=True)
    parts = [acts[text][:, first:stop] for text, first, stop in places]
    return (
        torch.stack([part.mean(dim=1) for part in parts], dim=1).float(),
        torch.stack([part.norm(dim=-1).mean(dim=1) for part in parts], dim=1).float(),
    )


def make(architecture: str, tiny: Callable[..., LanguageModel], tokenizer) -> LanguageModel:
    if not architecture.startswith("sliding-"):
        return tiny(architecture)
    torch.manual_seed(0)
    shape = {"vocab_size": VOCABULARY, "hidden_size": D_MODEL, "num_hidden_layers": N_LAYERS, "num_attention_heads": 4}
    shape |= {"intermediate_size": 48, "max_position_embeddings": 1024, "num_key_value_heads": 2}
    config = SLIDING[architecture.removeprefix("sliding-")](shape)
    return wrap(AutoModelForCausalLM.from_config(config), tokenizer, name=architecture)


@pytest.mark.parametrize("architecture", [*CONFIGS, "sliding-mistral", "sliding-gemma3"])
@pytest.mark.parametrize(
    ("tokens_per_batch", "share_prefixes"), [(4096, False), (4096, True), (200, True), (16, True), (16, False)]
)
def test_padded_and_chunked_and_shared_equal_one_text_at_a_time(
    tiny, tokenizer, architecture: str, tokens_per_batch: int, share_prefixes: bool
) -> None:
    model = make(architecture, tiny, tokenizer)
    texts, segments = texts_and_segments()
    engine = Engine(model, range(N_LAYERS), tokens_per_batch=tokens_per_batch, share_prefixes=share_prefixes)
    means, norms = run(engine, texts, segments)
    expected_means, expected_norms = naive(model, texts, segments)
    distance = (means - expected_means).norm(dim=-1) / expected_means.norm(dim=-1)
    assert distance.max() < 3e-6
    torch.testing.assert_close(norms, expected_norms, rtol=1e-5, atol=0)


def test_what_is_shared_is_run_once(tiny) -> None:
    model = tiny()
    texts, segments = texts_and_segments()
    counted: list[int] = []
    check_causal(model)  # a pass of its own, once a model
    hook = model.blocks[0].register_forward_pre_hook(lambda _m, inputs: counted.append(inputs[0].shape[:2].numel()))
    run(Engine(model, range(N_LAYERS)), texts, segments)
    shared = sum(counted)
    counted.clear()
    run(Engine(model, range(N_LAYERS), share_prefixes=False), texts, segments)
    hook.remove()
    assert shared < 0.8 * sum(map(len, texts)) < sum(counted)


def test_only_texts_that_are_read_are_run(tiny) -> None:
    texts, segments = texts_and_segments()
    engine = Engine(tiny(), range(N_LAYERS))
    only = segments.of_texts(np.array([2, 7]))
    assert sum(pooled.n_tokens for pooled in engine.run(texts, only)) == len(texts[2]) + len(texts[7])


class OutOfMemory:
    """A device that holds so many tokens of one forward pass."""

    def __init__(self, model: LanguageModel, n_tokens: int) -> None:
        self.passes: list[int] = []
        self.n_tokens = n_tokens
        model.blocks[1].register_forward_pre_hook(self)

    def __call__(self, _module: object, inputs: tuple[Tensor, ...]) -> None:
        self.passes.append(inputs[0].shape[:2].numel())
        if self.passes[-1] > self.n_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize("share_prefixes", [False, True])
def test_where_memory_runs_out_smaller_batches_are_taken_and_nothing_is_lost(tiny, share_prefixes: bool) -> None:
    model = tiny()
    texts, segments = texts_and_segments()
    expected, _ = naive(model, texts, segments)
    device = OutOfMemory(model, 150)
    engine = Engine(model, range(N_LAYERS), tokens_per_batch=2048, share_prefixes=share_prefixes)
    means, _ = run(engine, texts, segments)
    assert max(device.passes) > 150, "memory never ran out: the test tests nothing"
    assert engine.tokens_per_batch == 128
    torch.testing.assert_close(means, expected, rtol=1e-4, atol=1e-6)
    device.passes.clear()
    run(engine, texts, segments)
    assert max(device.passes) <= 150, "the budget that was found is kept"


def test_memory_that_does_not_suffice_for_anything_is_said(tiny) -> None:
    model = tiny()
    OutOfMemory(model, 10)
    with pytest.raises(InputError, match="out of memory on cpu with only 64 tokens a batch .*quantised"):
        run(Engine(model, range(N_LAYERS)), *texts_and_segments())


@pytest.mark.parametrize("n_tokens", [12_288, pytest.param(32_768, marks=pytest.mark.long)])
def test_a_text_of_many_thousand_tokens_in_parts_equals_one_piece(tokenizer, n_tokens: int) -> None:
    torch.manual_seed(0)
    shape = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(**shape, num_key_value_heads=1, intermediate_size=24, max_position_embeddings=n_tokens)
    model = wrap(AutoModelForCausalLM.from_config(config), tokenizer, name="long")
    text = np.random.default_rng(0).integers(3, VOCABULARY, n_tokens)
    cuts = [1, 40, 4095, 4097, 10_000, n_tokens]
    segments = Segments.of([(n, 0, a, b) for n, (a, b) in enumerate(zip(cuts, cuts[1:], strict=False))])
    found = [
        next(Engine(model, range(2), tokens_per_batch=budget).run([text], segments)) for budget in (4096, n_tokens)
    ]
    torch.testing.assert_close(found[0].means, found[1].means, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found[0].norms, found[1].norms, rtol=1e-5, atol=0)


def test_long_texts_that_share_a_beginning_go_in_parts_too(tiny) -> None:
    model = tiny()
    random = np.random.default_rng(0)
    shared = random.integers(3, VOCABULARY, 20)
    texts = [np.concatenate([shared, random.integers(3, VOCABULARY, 700)]) for _ in range(2)]
    segments = Segments.of([(0, 0, 1, 720), (1, 1, 500, 720)])
    widest: list[int] = []
    hook = model.blocks[0].register_forward_pre_hook(lambda _m, inputs: widest.append(inputs[0].shape[:2].numel()))
    means, _ = run(Engine(model, range(N_LAYERS), tokens_per_batch=128), texts, segments)
    hook.remove()
    assert max(widest) <= 128
    torch.testing.assert_close(means, naive(model, texts, segments)[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("tokens_per_batch", [4096, 40])
def test_rotary_frequencies_that_depend_on_the_longest_text_are_those_of_each_text(
    tokenizer, tokens_per_batch: int
) -> None:
    torch.manual_seed(0)
    rope = {"rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": 64}
    rope |= {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "factor": 16.0}
    shape = {"vocab_size": VOCABULARY, "hidden_size": D_MODEL, "num_hidden_layers": N_LAYERS, "num_attention_heads": 4}
    config = LlamaConfig(**shape, intermediate_size=48, max_position_embeddings=1024, rope_parameters=rope)
    model = wrap(AutoModelForCausalLM.from_config(config), tokenizer, name="longrope")
    texts, segments = texts_and_segments()
    assert {len(text) > 64 for text in texts} == {True, False}
    means, _ = run(Engine(model, range(N_LAYERS), tokens_per_batch=tokens_per_batch), texts, segments)
    expected, _ = naive(model, texts, segments)
    distance = (means - expected).norm(dim=-1) / expected.norm(dim=-1)
    assert distance.max() < 3e-6


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_compiled_blocks_give_the_same_and_leave_the_model_as_it_was(tiny) -> None:
    model = tiny()
    texts, segments = texts_and_segments()
    expected, _ = naive(model, texts, segments)
    before = [block.forward for block in model.blocks]
    engine = Engine(model, range(N_LAYERS), tokens_per_batch=200, compile=True)
    means, _ = run(engine, texts, segments)
    assert [block.forward for block in model.blocks] == before
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0, "nothing was compiled: the test tests nothing"
    torch.testing.assert_close(means, expected, rtol=1e-4, atol=1e-6)


def test_compiling_that_fails_is_said(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_forward: object, **_: object) -> Callable[..., Tensor]:
        def run(*_: object, **__: object) -> Tensor:
            raise torch._dynamo.exc.BackendCompilerFailed(print, RuntimeError("no C++ compiler"), None)

        return run

    monkeypatch.setattr(torch, "compile", fails)
    engine = Engine(tiny(), range(N_LAYERS), compile=True)
    with pytest.raises(InputError, match="torch.compile failed .*leave compile out"):
        run(engine, *texts_and_segments())

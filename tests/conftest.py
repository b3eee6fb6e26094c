"""Tiny random models of several architectures, a tokenizer trained on the spot, short labelled traces; no network."""

from __future__ import annotations

import os
import re

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    PhiConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from reasonlens.models import LanguageModel, wrap
from reasonlens.traces import Span, Trace, bundled_traces

LEFT_OUT = ("long", "notebook", "browser", "interop")
N_LAYERS, D_MODEL, VOCABULARY = 3, 32, 400

_SHARED = {"vocab_size": VOCABULARY, "hidden_size": D_MODEL, "num_hidden_layers": N_LAYERS, "num_attention_heads": 4}
_ROPE = _SHARED | {"intermediate_size": 48, "max_position_embeddings": 1024}
CONFIGS = {
    "llama": lambda: LlamaConfig(**_ROPE, num_key_value_heads=2),
    "qwen": lambda: Qwen3Config(**_ROPE, num_key_value_heads=2, head_dim=8),
    "mistral": lambda: MistralConfig(**_ROPE, num_key_value_heads=2),
    "gemma": lambda: Gemma2Config(**_ROPE, num_key_value_heads=2, head_dim=8),
    "phi": lambda: PhiConfig(**_ROPE),
    "gpt-neox": lambda: GPTNeoXConfig(**_ROPE),
    "gpt2": lambda: GPT2Config(vocab_size=VOCABULARY, n_embd=D_MODEL, n_layer=N_LAYERS, n_head=4, n_positions=1024),
    "opt": lambda: OPTConfig(**_SHARED, ffn_dim=48, max_position_embeddings=1024, word_embed_proj_dim=D_MODEL),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, help="how often test_kill kills a run; default 10, with --full 30")
    parser.addoption("--full", action="store_true", help=f"run also what is marked {', '.join(LEFT_OUT)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long or needs more than Python packages, unless it is asked for: --full, or -m MARK."""
    if config.getoption("--full"):
        return
    left_out = set(LEFT_OUT) - set(re.findall(r"\w+", config.getoption("-m")))
    deselected = {item for item in items if left_out & {mark.name for mark in item.iter_markers()}}
    if deselected:
        config.hook.pytest_deselected(items=list(deselected))
        items[:] = [item for item in items if item not in deselected]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Give each worker, and what it starts, one thread: workers with a thread for every core wait for each other."""
    os.environ.update(dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1"))


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on the bundled traces: multi-byte characters take several tokens, as in real models."""
    raw = Tokenizer(BPE(unk_token=None))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator((trace.text for trace in bundled_traces()), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>")


@pytest.fixture(scope="session")
def tiny(tokenizer: PreTrainedTokenizerFast) -> Callable[..., LanguageModel]:
    """`tiny("gpt2")`: a random model of that architecture, the same at every call."""

    def make(architecture: str = "llama", **options: object) -> LanguageModel:
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(CONFIGS[architecture](), **options)
        return wrap(model, tokenizer, name=f"tiny-{architecture}")

    return make


@pytest.fixture
def traces() -> list[Trace]:
    """Twelve problems, each with two spans of each of three behaviours in varied places and of varied length."""
    return [_short_trace(number) for number in range(12)]


def _short_trace(number: int) -> Trace:
    sentences = [
        ("deduction", f"So {number} plus {number} makes {2 * number}."),
        ("backtracking", "Wait, that was wrong."),
        ("deduction", "Adding the rest gives the total that was asked for, and nothing is left over."),
        ("verification", f"Checking again, {2 * number} halves to {number}, as it should."),
        ("backtracking", "The corner was counted twice, which spoils it – début again."),
        ("verification", "Both ways agree."),
    ]
    turn = number % len(sentences)
    text, spans = "", []
    for label, sentence in sentences[turn:] + sentences[:turn]:
        text += " " if text else ""
        spans.append(Span(len(text), len(text) + len(sentence), label))
        text += sentence
    return Trace(f"t{number}", f"What is {number} doubled?", text, tuple(spans))

"""The model, the vectors and their files that every tool is given, and the figures that the tests leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import load
from reasonlens.models import LanguageModel
from reasonlens.rundir import InputError
from reasonlens.vectors import Directions

from . import environment
from .contract import Run, run

LAYER = 14
SEVERAL = (3, 14, 21)
TEXT = "The total is 24, so the answer is 12. Wait, let me check that again: 3 times 4"
_MEASURED: list[tuple[str, str, str]] = []


@pytest.fixture
def measured() -> Callable[[str, str, str], None]:
    """`measured(tool, what, figure)`: a line of the table that is printed when all has run."""
    return lambda tool, what, figure: _MEASURED.append((tool, what, figure))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _MEASURED:
        terminalreporter.section("measured against the tools")
        for tool, what, figure in _MEASURED:
            terminalreporter.write_line(f"{tool:18} {what:58} {figure}")


@pytest.fixture(scope="session")
def smollm2() -> LanguageModel:
    try:
        return load("smollm2-135m", device="cpu")
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def smollm2_directory(smollm2: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same model as a directory that tools of either transformers can load.

    transformers 5 writes the base of the rotary embedding into `rope_parameters`, which transformers 4 does not read,
    going on with 10,000 where SmolLM2 has 100,000; and it names a class of tokenizer that transformers 4 has not.
    """
    source = Path(smollm2.model.config._name_or_path)
    directory = tmp_path_factory.mktemp("smollm2")
    for file in source.iterdir():
        (directory / file.name).symlink_to(file)
    config = json.loads((source / "config.json").read_text())
    rewrite(directory / "config.json", rope_theta=config["rope_parameters"]["rope_theta"])
    rewrite(
        directory / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        model_input_names=["input_ids", "attention_mask"],
    )
    return str(directory)


def rewrite(link: Path, **changes: object) -> None:
    """In place of a link, the JSON that it leads to with some entries changed."""
    content = json.loads(link.read_text()) | changes
    link.unlink()
    link.write_text(json.dumps(content))


@pytest.fixture(scope="session")
def ids(smollm2: LanguageModel) -> list[list[int]]:
    return [smollm2.tokenizer(TEXT)["input_ids"]]


@pytest.fixture(scope="session")
def ours_plain(smollm2: LanguageModel, ids: list[list[int]]) -> Run:
    return run(smollm2, ids)


@pytest.fixture(scope="session")
def directions(smollm2: LanguageModel, ours_plain: Run) -> Directions:
    """A random direction for every block, as long as 0.3 of what a token there usually is."""
    generator = torch.Generator().manual_seed(0)
    norms = ours_plain.acts[:, 1:].norm(dim=-1).median(dim=-1).values  # (n_layers,); the first token is no measure
    rows = torch.randn(smollm2.n_layers, smollm2.d_model, generator=generator)
    rows = 0.3 * norms[:, None] * rows / rows.norm(dim=-1, keepdim=True)
    return Directions(
        vectors={"backtracking": rows},
        layers=tuple(range(smollm2.n_layers)),
        method="random",
        model=smollm2.identity(),
        read="none",
        residual_norm=tuple(norms.tolist()),
        n_examples={"backtracking": 0},
        n_problems=0,
    )


def random_directions(model: LanguageModel) -> Directions:
    """One for every block of a small model, of norm about sqrt(d_model)."""
    vectors = torch.randn(model.n_layers, model.d_model, generator=torch.Generator().manual_seed(1))
    return Directions(
        vectors={"backtracking": vectors},
        layers=tuple(range(model.n_layers)),
        method="random",
        model=model.identity(),
        read="none",
        residual_norm=(1.0,) * model.n_layers,
        n_examples={"backtracking": 0},
        n_problems=0,
    )


def answer(
    name: str, script: str, request: dict[str, Any], directory: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a tool says to `request` and its arrays; skips where its environment has not been made."""
    require(name)
    output = directory / "answer.npz"
    said = environment.ask(name, script, {**request, "output": str(output)})
    with np.load(output, allow_pickle=False) as arrays:
        return said, dict(arrays)


def require(name: str) -> None:
    if not environment.is_made(name):
        pytest.skip(f"the environment {name} is not there; make it with: python tests/interop/make.py {name}")

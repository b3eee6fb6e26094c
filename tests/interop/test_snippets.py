"""The code that `reasonlens export --print` shows, run as it is printed by each tool's own Python."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from reasonlens.models import LanguageModel
from reasonlens.vectors import Directions
from reasonlens.vectors.formats import FORMATS
from reasonlens.vectors.formats.snippets import snippet

from . import environment
from .conftest import LAYER, require
from .contract import adding, distance, reference

pytestmark = [pytest.mark.interop, pytest.mark.real_model]

PROMPT = "How many primes are below 30?"  # of the snippets
TOLERANCE = 1e-5


def run_printed(
    tool: str, directions: Directions, model: str, ending: str, folder: Path, python: str | None = None
) -> subprocess.CompletedProcess[str]:
    """The snippet for `tool` and then `ending`, as one script in an empty folder with the files that it names."""
    name = python or tool
    require(name)
    file = folder / "directions.safetensors"
    FORMATS["safetensors"].write(directions, file)
    FORMATS["repeng"].write(directions, folder / "vector.gguf", layers=LAYER)
    script = folder / "printed.py"
    script.write_text("\n".join([*snippet(tool, directions, file, layer=LAYER, model=model), ending]))
    done = environment.run_script(name, script, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.parametrize("tool", ["nnsight", "nnterp"])
def test_the_printed_trace_gives_our_steered_logits(
    tool: str, directions: Directions, smollm2: LanguageModel, smollm2_directory: str, tmp_path: Path
) -> None:
    ending = 'import numpy\nnumpy.save("logits.npy", logits[0].detach().float().numpy())'
    run_printed(tool, directions, smollm2_directory, ending, tmp_path)
    theirs = torch.from_numpy(np.load(tmp_path / "logits.npy"))
    ids = [smollm2.tokenizer(PROMPT)["input_ids"]]
    row = directions.at("backtracking", LAYER)
    assert distance(reference(smollm2, ids, {LAYER: row}).logits, theirs) < TOLERANCE
    for other in (LAYER - 1, LAYER + 1):
        assert distance(reference(smollm2, ids, {other: row}).logits, theirs) > 10 * TOLERANCE


@pytest.mark.parametrize(
    ("tool", "python"), [("transformers", "nnsight"), ("repeng", "repeng"), ("steering-vectors", "steering-vectors")]
)
def test_the_printed_code_writes_what_our_model_writes_when_steered(
    tool: str, python: str, directions: Directions, smollm2: LanguageModel, smollm2_directory: str, tmp_path: Path
) -> None:
    done = run_printed(tool, directions, smollm2_directory, "import json\nprint(json.dumps(text))", tmp_path, python)
    inputs = smollm2.tokenizer(PROMPT, return_tensors="pt")
    written = {}
    for layer in (LAYER, LAYER - 1, LAYER + 1, None):
        with torch.no_grad(), adding(smollm2, {} if layer is None else {layer: directions.at("backtracking", LAYER)}):
            tokens = smollm2.model.generate(**inputs, max_new_tokens=50, do_sample=False)[0]
        written[layer] = smollm2.tokenizer.decode(tokens)
    assert json.loads(done.stdout.splitlines()[-1]) == written[LAYER]
    assert all(written[layer] != written[LAYER] for layer in written if layer != LAYER)

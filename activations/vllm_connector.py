"""Store hidden states that vLLM extracts on a CPU; vLLM imports this module by its name, in its own process.

It is vLLM's `ExampleHiddenStatesConnector` but for the copy from the cache to the file, which there goes over CUDA
streams: on a CPU the states are in memory already.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from safetensors.torch import save_file
from vllm.distributed.kv_transfer.kv_connector.v1.example_hidden_states_connector import (
    ExampleHiddenStatesConnector,
    extract_from_kv_cache,
)


class _Copied:
    """An event that has happened."""

    def query(self) -> bool:
        """Return that the copy is done."""
        return True


class HiddenStatesOnCpu(ExampleHiddenStatesConnector):  # type: ignore[misc]
    """vLLM's connector for hidden states, without streams."""

    def _submit_async_write(self, pending: Any) -> None:
        offsets = torch.arange(self._block_size)
        slots = (torch.tensor(pending.block_ids)[:, None] * self._block_size + offsets).flatten()
        states = extract_from_kv_cache(self._kv_cache, slots, len(pending.token_ids))
        save_file({"hidden_states": states.contiguous(), "token_ids": pending.token_ids.clone()}, pending.filename)
        self._req_copy_events[pending.req_id] = _Copied()
        lock = self._lock_fds.pop(pending.req_id, None)
        if lock is not None:
            os.close(lock)

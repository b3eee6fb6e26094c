"""Store hidden states that vLLM extracts on a CPU; vLLM imports this module by its name, in its own process.

The connector is vLLM's `ExampleHiddenStatesConnector` but for the copy from the cache to the file, which there goes
over CUDA streams: on a CPU the states are in memory already. It is made when asked for: vLLM need not be there.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch
from safetensors.torch import save_file

NAME = "HiddenStatesOnCpu"


def __getattr__(name: str) -> Any:
    if name == NAME:
        return _connector()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Copied:
    """An event that has happened."""

    def query(self) -> bool:
        """Return that the copy is done."""
        return True


@cache
def _connector() -> type:
    from vllm.distributed.kv_transfer.kv_connector.v1.example_hidden_states_connector import (
        ExampleHiddenStatesConnector,
        extract_from_kv_cache,
    )

    class HiddenStatesOnCpu(ExampleHiddenStatesConnector):  # type: ignore[misc]
        """vLLM's connector for hidden states, without streams."""

        def _submit_async_write(self, pending: Any) -> None:
            offsets = torch.arange(self._block_size)
            slots = (torch.tensor(pending.block_ids)[:, None] * self._block_size + offsets).flatten()
            states = extract_from_kv_cache(self._kv_cache, slots, len(pending.token_ids))
            tensors = {"hidden_states": states.contiguous(), "token_ids": pending.token_ids.clone()}
            save_file(tensors, pending.filename)
            self._req_copy_events[pending.req_id] = _Copied()
            lock = self._lock_fds.pop(pending.req_id, None)
            if lock is not None:
                os.close(lock)

    return HiddenStatesOnCpu

"""llama.cpp as a library: the control vector by `llama_set_adapter_cvec`, every block's `l_out` by the eval callback.

The file is read by ggml's own GGUF reader and laid out as llama.cpp's programs do it (common.cpp): direction.N at
(N - 1) * n_embd of one buffer. Their own reading of it is tested beside this, with `llama-debug --control-vector`.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

import llama_cpp
import numpy as np

F32 = 0  # GGML_TYPE_F32, llama.cpp's number for plain float32

base = ctypes.CDLL(str(Path(os.environ["LLAMA_CPP_LIB_PATH"]) / "libggml-base.so"))
base.ggml_get_name.restype = ctypes.c_char_p
base.ggml_nelements.restype = ctypes.c_int64
base.ggml_nbytes.restype = ctypes.c_size_t
base.ggml_get_name.argtypes = base.ggml_nelements.argtypes = base.ggml_nbytes.argtypes = [ctypes.c_void_p]
base.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]


class GgufParams(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.POINTER(ctypes.c_void_p))]


base.gguf_init_from_file.argtypes = [ctypes.c_char_p, GgufParams]
base.gguf_init_from_file.restype = base.ggml_get_tensor.restype = base.ggml_get_data_f32.restype = ctypes.c_void_p
base.gguf_get_n_tensors.argtypes = [ctypes.c_void_p]
base.gguf_get_n_tensors.restype = ctypes.c_int64
base.gguf_get_tensor_name.argtypes = [ctypes.c_void_p, ctypes.c_int64]
base.gguf_get_tensor_name.restype = ctypes.c_char_p
base.ggml_get_tensor.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
base.ggml_get_data_f32.argtypes = [ctypes.c_void_p]


class Session:
    """One model, one context: plain float32 caches, no flash attention, one thread."""

    def __init__(self, model: str) -> None:
        llama_cpp.llama_backend_init()
        llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
        self.model = llama_cpp.llama_model_load_from_file(model.encode(), llama_cpp.llama_model_default_params())
        self.n_layers = llama_cpp.llama_model_n_layer(self.model)
        self.d_model = llama_cpp.llama_model_n_embd(self.model)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.blocks: dict[int, np.ndarray] = {}
        self._callback = llama_cpp.ggml_backend_sched_eval_callback(self._seen)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = 256, 1, 1
        params.type_k = params.type_v = F32
        params.flash_attn_type = 0  # LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cb_eval = self._callback
        self.context = llama_cpp.llama_init_from_model(self.model, params)

    def _seen(self, tensor: int, ask: bool, data: int) -> bool:
        name = base.ggml_get_name(tensor).decode()
        if not name.startswith("l_out-"):
            return not ask  # asked: no, this one need not be shown; shown: go on
        if not ask:
            values = np.empty(base.ggml_nelements(tensor), np.float32)
            assert values.nbytes == base.ggml_nbytes(tensor)
            base.ggml_backend_tensor_get(tensor, values.ctypes.data, 0, values.nbytes)
            self.blocks[int(name.removeprefix("l_out-"))] = values.reshape(-1, self.d_model)
        return True

    def steer(self, buffer: np.ndarray | None) -> None:
        """A control vector for blocks 1 to the last; None takes it away."""
        pointer = ctypes.POINTER(ctypes.c_float)()
        if buffer is not None:
            pointer = buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        length = 0 if buffer is None else buffer.size
        code = llama_cpp.llama_set_adapter_cvec(self.context, pointer, length, self.d_model, 1, self.n_layers)
        assert code == 0, code

    def run(self, ids: list[int], name: str) -> dict[str, np.ndarray]:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        self.blocks.clear()
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for place, token in enumerate(ids):
            batch.token[place], batch.pos[place] = token, place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = 1  # of every token: else the last block is run for the last token only
        assert llama_cpp.llama_decode(self.context, batch) == 0
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits(self.context), (len(ids), self.n_vocab)).copy()
        llama_cpp.llama_batch_free(batch)
        assert sorted(self.blocks) == list(range(self.n_layers)), sorted(self.blocks)
        return {
            f"{name}/acts": np.stack([self.blocks[layer] for layer in range(self.n_layers)]),
            f"{name}/logits": logits,
        }


@llama_cpp.llama_log_callback
def silent(level: int, text: bytes, data: int) -> None:
    pass


def directions(file: str) -> dict[int, np.ndarray]:
    """N -> the tensor direction.N, by ggml's reader."""
    tensors = ctypes.c_void_p()
    opened = base.gguf_init_from_file(file.encode(), GgufParams(False, ctypes.pointer(tensors)))
    assert opened, f"ggml cannot read {file}"
    found = {}
    for number in range(base.gguf_get_n_tensors(opened)):
        name = base.gguf_get_tensor_name(opened, number)
        tensor = base.ggml_get_tensor(tensors, name)
        data = ctypes.cast(base.ggml_get_data_f32(tensor), ctypes.POINTER(ctypes.c_float))  # aborts if it is not F32
        found[int(name.removeprefix(b"direction."))] = np.ctypeslib.as_array(data, (base.ggml_nelements(tensor),))
    return found


def buffer_of(rows: dict[int, np.ndarray], n_layers: int, d_model: int) -> np.ndarray:
    buffer = np.zeros((n_layers, d_model), np.float32)
    for number, row in rows.items():
        buffer[number - 1] = row
    return buffer


asked = json.load(sys.stdin)
session = Session(asked["model"])
(ids,) = asked["ids"]
arrays = session.run(ids, "plain")
loaded = {}
for name, file in asked["files"].items():
    rows = directions(file)
    loaded[name] = {"layers": sorted(rows)}
    session.steer(buffer_of(rows, session.n_layers, session.d_model))
    arrays |= session.run(ids, name)
    session.steer(None)
    arrays |= session.run(ids, f"{name}-after")
np.savez(asked["output"], **arrays)
sys.stdout.write("\n" + json.dumps({"version": llama_cpp.__version__, "loaded": loaded}) + "\n")

"""The parts of two vLLM plugins that run without vLLM: hotwire's store of vectors, vllm-lens's SteeringVector."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from hotwire import _state
from safetensors.torch import load_file
from vllm_lens import SteeringVector

asked = json.load(sys.stdin)
arrays = {}

# hotwire reads a .pt with weights_only; these two lines turn the file that is written into one
with tempfile.TemporaryDirectory() as directory:
    torch.save(load_file(asked["hotwire"])["vectors"], Path(directory) / "direction.pt")
    state = _state.SteerState(asked["n_layers"], asked["d_model"], 8, torch.device("cpu"), torch.float32, n_slots=16)
    state.load_store(directory)
for layer in asked["layers"]:
    slot = state.slot_for("direction", layer, 1.0)
    arrays[f"hotwire/{layer}"] = (state.bank.scales[slot] * state.bank.bank[slot]).numpy()

tensors = load_file(asked["vllm_lens"])
vector = SteeringVector(activations=tensors["activations"], layer_indices=tensors["layer_indices"].tolist(), scale=1.0)
vector = SteeringVector.model_validate(json.loads(json.dumps(vector.model_dump())))  # as over its HTTP interface
for layer, row in vector.layer_index_map.items():
    arrays[f"vllm-lens/{layer}"] = (vector.scale * vector.activations[row]).numpy()
np.savez(asked["output"], **arrays)
sys.stdout.write("\n" + json.dumps({"norm_match": vector.norm_match, "layers": vector.layer_indices}) + "\n")

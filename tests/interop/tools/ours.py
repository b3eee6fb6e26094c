"""reasonlens's own file with safetensors alone: the rows of its one behaviour, by layer."""

from __future__ import annotations

import json

import torch
from safetensors import safe_open


def rows(file: str) -> dict[int, torch.Tensor]:
    with safe_open(file, framework="pt") as opened:
        layers = json.loads(opened.metadata()["reasonlens"])["layers"]
        (behaviour,) = opened.keys()
        return dict(zip(layers, opened.get_tensor(behaviour), strict=True))

"""What every tool is asked to do: the same prompts, so many new tokens, the same vectors at the same layers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from spec import Spec

STRENGTHS = {"one layer": 0.5, "response": 0.5, "all layers": 0.05}  # norm of a vector over the median norm of a token


@dataclass(frozen=True)
class Batch:
    """Prompts padded on the left, as generation wants them."""

    ids: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True)
class Task:
    spec: Spec
    prompts: dict[str, list[list[int]]]  # name of a batch -> its prompts
    n_new: int
    layer: int
    folder: str  # where the first process leaves the vectors, for all to use the same

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Task:
        from spec import Spec  # found from the worker, which runs in a tool's own environment

        content = json.loads(path.read_text())
        return cls(**content | {"spec": Spec(**content["spec"])})

    def model(self) -> Any:
        """The Hugging Face model; it never stops before `n_new` tokens."""
        model = self.spec.model()
        model.generation_config.eos_token_id = None
        return model

    def batch(self, name: str) -> Batch:
        prompts = self.prompts[name]
        width = max(map(len, prompts))
        ids, mask = torch.zeros(len(prompts), width, dtype=torch.long), torch.zeros(len(prompts), width).long()
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :], mask[row, width - len(prompt) :] = torch.tensor(prompt), 1
        return Batch(ids.to(self.spec.device), mask.to(self.spec.device))

    def generate(self, model: Any, batch: Batch) -> torch.Tensor:
        """Greedy, with a key-value cache; prompt and response."""
        return model.generate(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            do_sample=False,
            max_new_tokens=self.n_new,
            pad_token_id=0,
        )

    def vectors(self, way: str, model: Any = None) -> dict[int, torch.Tensor]:
        """The vector to add at each layer, float32 on the CPU: random, of a norm relative to the residual stream's."""
        file = Path(self.folder) / "vectors.npy"
        if not file.is_file():
            np.save(file, self._made(model))
        rows = torch.from_numpy(np.load(file)) * STRENGTHS[way]
        return {layer: row for layer, row in enumerate(rows) if way == "all layers" or layer == self.layer}

    @torch.inference_mode()
    def _made(self, model: Any) -> np.ndarray:
        batch = self.batch(next(iter(self.prompts)))
        states = model(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True).hidden_states[1:]
        norms = torch.stack([state[0].float().norm(dim=-1).median() for state in states]).cpu()  # (n_layers,)
        normals = torch.randn(len(states), states[0].shape[-1], generator=torch.Generator().manual_seed(0))
        return (torch.nn.functional.normalize(normals, dim=-1) * norms[:, None]).numpy()

"""What is measured: a model, texts, and the spans whose mean activation is wanted at every layer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Workload:
    """Texts as strings and as token ids, the spans of each as token positions [first, stop), and length-sorted batches.

    The batches are those that reasonlens makes; every tool that takes token ids is given the same.
    """

    texts: list[str]
    token_ids: list[list[int]]
    spans: list[list[list[int]]]
    batches: list[list[int]]

    @property
    def n_tokens(self) -> int:
        return sum(map(len, self.token_ids))

    def padded(self, batch: list[int], device: str) -> tuple[Any, Any]:
        """Token ids and attention mask of the texts of a batch, padded on the right."""
        import torch

        width = max(len(self.token_ids[index]) for index in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        mask = torch.zeros(len(batch), width, dtype=torch.long)
        for row, index in enumerate(batch):
            ids[row, : len(self.token_ids[index])] = torch.tensor(self.token_ids[index])
            mask[row, : len(self.token_ids[index])] = 1
        return ids.to(device), mask.to(device)

    def means(self, batch: list[int], activations: Any) -> dict[tuple[int, int], Any]:
        """The mean of every span of a batch from whole activations (layer, batch, position, d_model)."""
        return {
            (index, number): activations[:, row, first:stop].float().mean(dim=1).cpu()
            for row, index in enumerate(batch)
            for number, (first, stop) in enumerate(self.spans[index])
        }


@dataclass(frozen=True)
class Spec:
    """A model directory, or the shape of one with random weights; where and in what precision."""

    directory: str | None
    config: dict[str, Any] | None
    device: str
    dtype: str
    n_threads: int
    workloads: dict[str, Workload]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Spec:
        content = json.loads(path.read_text())
        content["workloads"] = {name: Workload(**fields) for name, fields in content["workloads"].items()}
        return cls(**content)

    def model(self) -> Any:
        """The Hugging Face model, the same weights in every process."""
        import torch
        from transformers import AutoModelForCausalLM, LlamaConfig

        dtype = getattr(torch, self.dtype)
        if self.directory is not None:
            return (
                AutoModelForCausalLM.from_pretrained(self.directory, dtype=dtype, trust_remote_code=False)
                .to(self.device)
                .eval()
            )
        torch.manual_seed(0)
        with torch.device(self.device):
            return AutoModelForCausalLM.from_config(LlamaConfig(**self.config), dtype=dtype).eval()

    def tokenizer(self) -> Any:
        from transformers import PreTrainedTokenizerFast

        if self.directory is None:
            raise SystemExit("a model of random weights has no tokenizer")
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{self.directory}/tokenizer.json")
        tokenizer.pad_token = tokenizer.eos_token = tokenizer.decode([0])
        return tokenizer

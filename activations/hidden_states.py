"""Read activations from hidden states that another engine has written, instead of running the model.

vLLM's own extraction (`speculative_config={"method": "extract_hidden_states", ...}`) writes a safetensors file for each
request: `token_ids` (n_tokens,) and `hidden_states` (n_tokens, n_states, d_model). State i is what goes into block i,
so the output of block L is state L + 1, and state n_layers is that of the last block, before the final norm.

A directory of such files takes the place of the forward pass: each text is looked up by its token ids, and its states
are averaged over the same segments (`plan.py`), in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from torch import Tensor

from ..models import LanguageModel
from ..rundir import InputError, check_kinds, content_digest, expanded, file_digest, read_json, reading, write_json
from .engine import LayerMeans, Pooled, Segments
from .engine.segments import CUT

STATES = "states.json"  # beside the files: which states they hold
KINDS: dict[str, type] = {"format": str, "state_ids": list}
FORMAT = "reasonlens.hidden_states/1"


class HiddenStates:
    """A directory of hidden states, one file for each text."""

    def __init__(self, directory: str | Path, model: LanguageModel) -> None:
        self.path = expanded(directory)
        files = sorted(self.path.glob("*.safetensors"))
        if not files:
            raise InputError(f"{self.path} holds no .safetensors file of hidden states")
        self._file_of: dict[str, Path] = {}
        shapes = []
        for file in files:
            with reading(file, "hidden states"), safe_open(file, "pt") as opened:
                if not {"token_ids", "hidden_states"} <= set(opened.keys()):
                    raise InputError(f"{file} holds no hidden states: it needs the tensors token_ids and hidden_states")
                self._file_of.setdefault(_key(opened.get_tensor("token_ids").numpy()), file)
                n_tokens = opened.get_slice("token_ids").get_shape()[0]
                shapes.append((n_tokens, tuple(opened.get_slice("hidden_states").get_shape()), file))
        self.state_ids = self._state_ids(model.n_layers, shapes)
        self._are_tokens_first = _are_tokens_first(shapes, len(self.state_ids), model.d_model)
        self._model = model

    def _state_ids(self, n_layers: int, shapes: list[tuple[int, tuple[int, ...], Path]]) -> list[int]:
        if (self.path / STATES).is_file():
            note = self.path / STATES
            about = check_kinds(read_json(note, "a note on hidden states"), KINDS, note)
            return [int(state) for state in about["state_ids"]]
        _, shape, file = shapes[0]
        for state_ids in (range(n_layers + 1), range(1, n_layers + 1)):
            if len(state_ids) in shape[:2]:
                return list(state_ids)
        raise InputError(
            f"{file} has hidden states of shape {shape}, and which of the {n_layers + 1} they are is not known: write "
            f'{{"format": "{FORMAT}", "state_ids": [...]}} into {self.path / STATES}, with the numbers given to vLLM'
        )

    def slot(self, layer: int) -> int:
        """Return the place of a block's output among the states.

        Args:
            layer: The 0-based block.

        Returns:
            The index along the axis of states.

        Raises:
            InputError: The files do not hold it.
        """
        if layer + 1 not in self.state_ids:
            held = ", ".join(str(state - 1) for state in self.state_ids if state)
            raise InputError(f"the hidden states in {self.path} hold no output of block {layer}, but of {held}")
        return self.state_ids.index(layer + 1)

    def of(self, token_ids: Int[np.ndarray, " n_tokens"]) -> Float[Tensor, "n_states n_tokens d_model"]:
        """Read the states of one text.

        Args:
            token_ids: Its tokens.

        Returns:
            The states, in the order of `state_ids` and the dtype of the file.

        Raises:
            InputError: No file is of these tokens.
        """
        file = self._file_of.get(_key(token_ids))
        if file is None:
            raise InputError(
                f"no file in {self.path} is of the {len(token_ids)} tokens {token_ids[:8].tolist()}...: write hidden "
                "states of these traces with the same tokenizer and template"
            )
        with reading(file, "hidden states"), safe_open(file, "pt") as opened:
            states: Tensor = opened.get_tensor("hidden_states")
        return states.transpose(0, 1) if self._are_tokens_first else states

    def digest(self) -> str:
        """Return a digest of all files, which takes the place of the model's weights."""
        return content_digest([self.state_ids, *(file_digest(file) for file in sorted(self._file_of.values()))])


class StatesEngine:
    """Averages hidden states over segments, as `Engine` does what it runs; one batch a text."""

    def __init__(self, states: HiddenStates, layers: Sequence[int]) -> None:
        self._states = states
        self._slots = [states.slot(layer) for layer in layers]
        self.tokens_per_batch = 0  # nothing runs
        self.results = {torch.device("cpu"): list(range(len(layers)))}

    def fit_again(self) -> None:
        """Leave the budget as it is: nothing runs."""

    def run(self, texts: Sequence[Int[np.ndarray, " n_tokens"]], segments: Segments) -> Iterator[Pooled]:
        """Yield the means of every segment, text by text.

        Args:
            texts: The token ids of each text.
            segments: What is averaged.

        Yields:
            The results of each text.

        Raises:
            InputError: There are no states of a text.
        """
        for text in np.unique(segments.text[segments.segment != CUT]).tolist():
            own = segments.take((segments.text == text) & (segments.segment != CUT))
            states = self._states.of(texts[text])[self._slots].double()  # (layer, token, d_model)
            numbers = np.unique(own.segment)
            means, norms = [], []
            for number in numbers.tolist():
                of_segment = own.take(own.segment == number)
                positions = [
                    np.arange(first, stop) for first, stop in zip(of_segment.first, of_segment.stop, strict=True)
                ]
                rows = states[:, torch.from_numpy(np.concatenate(positions))]
                means.append(rows.mean(dim=1))
                norms.append(rows.norm(dim=-1).mean(dim=1))
            yield Pooled(
                numbers,
                (LayerMeans(list(range(len(self._slots))), torch.stack(means, dim=1)[None].float()),),
                torch.stack(norms, dim=1)[None].float(),
                len(texts[text]),
            )


def write_states_note(directory: Path, state_ids: Sequence[int], **about: Any) -> None:
    """Write beside hidden states which they are.

    Args:
        directory: Of the files.
        state_ids: The numbers given to vLLM: state i goes into block i.
        **about: What else is worth knowing, such as the model's name.
    """
    write_json(directory / STATES, {"format": FORMAT, "state_ids": list(state_ids), **about})


def _key(token_ids: Int[np.ndarray, " n_tokens"]) -> str:
    return content_digest(np.asarray(token_ids, dtype=np.int64).tolist())


def _are_tokens_first(shapes: list[tuple[int, tuple[int, ...], Path]], n_states: int, d_model: int) -> bool:
    """Find the order of axes that all files agree with: tokens before states, as vLLM writes them, or after."""
    for n_tokens, shape, file in shapes:
        if len(shape) != 3 or shape[2] != d_model or sorted(shape[:2]) != sorted((n_tokens, n_states)):
            raise InputError(
                f"{file} has hidden states of shape {shape}; for {n_tokens} tokens, {n_states} states of a model that "
                f"is {d_model} wide it would be ({n_tokens}, {n_states}, {d_model})"
            )
    if all(shape[:2] == (n_tokens, n_states) for n_tokens, shape, _ in shapes):
        return True
    if all(shape[:2] == (n_states, n_tokens) for n_tokens, shape, _ in shapes):
        return False
    raise InputError("hidden states of several files have their axes in different orders")

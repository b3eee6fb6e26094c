"""Write samples with transformers: the step loop of this package, batch by batch.

1. Requests are sorted by the length of their prompts and cut into batches of `n_rows`. All samples of a prompt stand
   side by side, and the loop runs their prompt once.
2. A row ends with an end token, at the limit, or where its text holds a stop string; its response is handed on at once.
3. A batch of which some rows are done already is run as a whole, since arithmetic on a batch of another shape rounds
   otherwise: a run that goes on ends in the same bytes on the same machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from ...models import LanguageModel, load
from ...models._load import ModelLike
from ...models.content import model_digest
from ...rundir import looked_at
from ...traces.thoughts import TAG, opening_of
from ..loop import generate
from ..state import StepState
from ..vocabulary import end_tokens
from ..writing import MAX_OPENER_TOKENS, encode_prompts
from .engine import Engine, Keep, Manner, Place, Request, Response, cut

N_MORE = 4  # tokens of a text's end in which a stop string is looked for, beside as many as it has bytes


class Texts:
    """Makes texts of the tokens of a model. Tags of thoughts stay where the tokenizer has them as special tokens."""

    def __init__(self, model: LanguageModel) -> None:
        self.tokenizer = model.tokenizer
        self.ends = frozenset(end_tokens(model))
        special = zip(self.tokenizer.all_special_tokens, self.tokenizer.all_special_ids, strict=True)
        self._tags = {token_id: token for token, token_id in special if TAG.fullmatch(token)}

    @looked_at(".decode(tokens), .ends")
    def __repr__(self) -> str:
        return f"Texts(of a tokenizer of {len(self.tokenizer)} tokens)"

    def decode(self, tokens: Sequence[int]) -> str:
        """Spell tokens, without special ones but for tags of thoughts."""
        text, start = "", 0
        for place, token in enumerate(tokens):
            if token in self._tags:
                text += self._plain(tokens[start:place]) + self._tags[token]
                start = place + 1
        return text + self._plain(tokens[start:])

    def _plain(self, tokens: Sequence[int]) -> str:
        decode = self.tokenizer.decode
        return str(decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)) if tokens else ""

    def response(self, prompt: Sequence[int], tokens: Sequence[int], stop: Sequence[str]) -> Response:
        """Make the response of what was emitted after a prompt.

        Args:
            prompt: Token ids that the response followed.
            tokens: Token ids that were emitted, that of the end included.
            stop: Texts that end a response.

        Returns:
            The response.
        """
        has_ended = bool(tokens) and tokens[-1] in self.ends
        text = self.decode(tokens[:-1] if has_ended else tokens)
        until = cut(text, stop)
        end_of_prompt = self.tokenizer.decode(list(prompt)[-MAX_OPENER_TOKENS:], skip_special_tokens=False)
        return Response(
            text=opening_of(str(end_of_prompt)) + until,
            n_tokens=len(tokens),
            is_truncated=not has_ended and until == text,
        )


@dataclass(frozen=True, eq=False)
class TransformersWriter:
    """A model in this process."""

    model: LanguageModel
    n_rows: int

    def write(self, requests: Sequence[Request], manner: Manner, done: Collection[int], keep: Keep) -> Counter[str]:
        """Write a response to each request that has none yet; see `Writer.write`."""
        prompts = encoded_prompts(self.model, requests, manner)
        texts = Texts(self.model)
        order = sorted(requests, key=lambda request: (len(prompts[request.prompt]), request.prompt, request.number))
        for start in range(0, len(order), self.n_rows):
            batch = order[start : start + self.n_rows]
            if any(request.number not in done for request in batch):
                self._write_batch(batch, [prompts[request.prompt] for request in batch], texts, manner, done, keep)
        return Counter()

    def _write_batch(
        self,
        batch: Sequence[Request],
        prompts: Sequence[Sequence[int]],
        texts: Texts,
        manner: Manner,
        done: Collection[int],
        keep: Keep,
    ) -> None:
        limits = limits_of(self.model, prompts, manner)
        written: list[list[int]] = [[] for _ in batch]
        n_tail = max((len(stop.encode()) + N_MORE for stop in manner.stop), default=0)

        def hand_on(place: int) -> None:
            if batch[place].number not in done:
                keep(batch[place].number, texts.response(prompts[place], written[place], manner.stop))

        def observe(
            state: StepState, places: Sequence[int], tokens: Int[Tensor, " rows"], numbers: Sequence[int]
        ) -> list[bool] | None:
            is_stopped = [False] * len(places)
            for row, (place, token) in enumerate(zip(places, numbers, strict=True)):
                written[place].append(token)
                if n_tail and token not in texts.ends:
                    tail = texts.decode(written[place][-n_tail:])
                    is_stopped[row] = any(stop in tail for stop in manner.stop)
                if token in texts.ends or is_stopped[row] or len(written[place]) == limits[place]:
                    hand_on(place)
            return is_stopped if any(is_stopped) else None

        generate(
            self.model,
            prompts,
            manner.sampling,
            seed=manner.seed,
            n_rows=len(batch),
            numbers=[request.number for request in batch],
            limits=limits,
            observe=observe,
        )
        for place, limit in enumerate(limits):
            if limit <= 0:  # the prompt fills the context
                hand_on(place)


def encoded_prompts(model: LanguageModel, requests: Sequence[Request], manner: Manner) -> dict[str, list[int]]:
    """Encode each prompt once."""
    prompts = list(dict.fromkeys(request.prompt for request in requests))
    return dict(zip(prompts, encode_prompts(model, prompts, manner.template, manner.system), strict=True))


def limits_of(model: LanguageModel, prompts: Sequence[Sequence[int]], manner: Manner) -> list[int]:
    """Compute how many tokens each response may have: no more than the manner and the model's context allow."""
    most, context = manner.sampling.max_new_tokens, model.context_tokens
    return [most if context is None else min(most, context - len(prompt)) for prompt in prompts]


def _open(model: ModelLike, place: Place) -> TransformersWriter:
    return TransformersWriter(load(model, device=place.device), place.n_rows)


def _identify(model: ModelLike, place: Place) -> str:
    return model_digest(model)


TRANSFORMERS = Engine(identify=_identify, open=_open)

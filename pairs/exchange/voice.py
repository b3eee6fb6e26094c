"""One of the two models of an exchange, with what it is asked and how its tokens read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from ...generation import encode_prompts, end_tokens
from ...generation.vocabulary import same_tokens, width
from ...generation.writing import thought_openers
from ...models import LanguageModel
from ...rundir import InputError
from ...traces import Template
from ...vectors.steering.sentence_ends import ends_sentence
from ..pair import Pair


@dataclass(frozen=True, eq=False)
class Voice:
    """A model, and its tokens."""

    model: LanguageModel
    template: Template
    stops: frozenset[int]  # tokens that end a response
    ends: Bool[Tensor, " vocabulary"]  # tokens that end a sentence or a response
    has_other_tokens: bool  # than the model that sentences are exchanged with

    @classmethod
    def of(cls, model: LanguageModel, template: Template, other: LanguageModel) -> Voice:
        """Find the tokens of a model that end sentences and responses.

        Args:
            model: The model.
            template: How questions are put to it.
            other: The model that sentences are exchanged with.

        Returns:
            The voice.
        """
        stops = set(end_tokens(model))
        has_other_tokens = not same_tokens(model, other)
        if not has_other_tokens:
            stops |= {token for token in end_tokens(other) if token < width(model)}
        ends = torch.zeros(width(model), dtype=torch.bool)
        of_sentences = ends_sentence(model)
        ends[: len(of_sentences)] = of_sentences[: len(ends)]
        ends[sorted(stops)] = True
        return cls(model, template, frozenset(stops), ends, has_other_tokens)

    @classmethod
    def both(cls, pair: Pair) -> tuple[Voice, Voice]:
        """Make the voices of the base and of the thinking model."""
        return (
            cls.of(pair.base, pair.base_template, pair.thinking),
            cls.of(pair.thinking, pair.thinking_template, pair.base),
        )

    def prompts(self, questions: Sequence[str]) -> list[list[int]]:
        """Encode questions.

        Args:
            questions: As they are put.

        Returns:
            Token ids of each prompt.

        Raises:
            InputError: A prompt opens thoughts: who ends them would be neither deciding nor writing.
        """
        prompts = encode_prompts(self.model, questions, self.template)
        if any(thought_openers(self.model, prompts)):
            raise InputError(
                f"the prompt of {self.model.name} opens thoughts, and who ends them is neither *when* nor *how*: give "
                "it a template without thoughts, or measure the pair with `hybrid`"
            )
        return prompts

    def text(self, tokens: Sequence[int]) -> str:
        """Decode tokens of a response, without its end."""
        own = [token for token in tokens if token not in self.stops]
        return str(self.model.tokenizer.decode(own, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def has_ended(self, tokens: Sequence[int]) -> bool:
        """Whether the last token ends a response."""
        return bool(tokens) and tokens[-1] in self.stops

    def tokens_of(self, other: Voice, tokens: Sequence[int]) -> list[int]:
        """Write tokens of another voice in this one's."""
        if not self.has_other_tokens:
            return list(tokens)
        encoded = self.model.tokenizer(other.text(tokens), add_special_tokens=False)["input_ids"]
        ended = [min(self.stops)] if other.has_ended(tokens) and self.stops else []
        return [*encoded, *ended]

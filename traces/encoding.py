"""Encode a trace for a model: token ids, which tokens are markup, and the tokens of every span.

The response is teacher-forced: prompt, then text, in one sequence. The chat template is applied once if the tokenizer
has one (BOS is then not added again); otherwise prompt and text are joined by a blank line. Attention sinks and markup
are flagged: position 0, special tokens, and everything that the template adds. The residual stream there is orders of
magnitude larger than elsewhere and would dominate any mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from ..models import LanguageModel
from ..rundir import InputError, looked_at
from .known import check_known
from .thoughts import begins_with_thoughts, without_opener
from .token_spans import token_span
from .tokenising import tokenise
from .trace import Trace

Template = Literal["auto", "chat", "plain"]
_STAND_IN = "reasonlens-stand-in-for-the-prompt"  # rendered to find where a template puts the prompt


@dataclass(frozen=True, eq=False, slots=True)
class EncodedTrace:
    """Token ids of prompt and text, and the tokens [first, stop) of each span of the trace."""

    trace: Trace
    token_ids: Int[np.ndarray, " n_tokens"]
    is_markup: Bool[np.ndarray, " n_tokens"]  # attention sinks and markup: not to be pooled
    spans: tuple[tuple[int, int] | None, ...]  # one for each span of the trace; None where it was truncated away
    characters: Int[np.ndarray, "n_tokens 2"]  # [start, end) of each token in the trace's text; empty outside it

    def __len__(self) -> int:
        return len(self.token_ids)

    @looked_at(".token_ids, .is_markup, .spans, .trace")
    def __repr__(self) -> str:
        return f"EncodedTrace({self.trace.id!r:.60}, {len(self)} tokens, {len(self.spans)} spans)"


def encode(
    model: LanguageModel,
    traces: Iterable[Trace],
    *,
    template: Template = "auto",
    truncate: bool = False,
    system: str = "",
) -> list[EncodedTrace]:
    """Tokenise traces for a model.

    Args:
        model: The model whose tokenizer is used.
        traces: The traces.
        template: "chat" applies the tokenizer's chat template to the prompt, "plain" does not, "auto" does if there is
            one.
        truncate: Cut texts that are longer than the model's context instead of refusing them; spans that do not lie
            completely in the rest are dropped.
        system: What the system is told before each prompt: a message of the template, else a paragraph.

    Returns:
        The encoded traces, in the same order.

    Raises:
        InputError: A text is too long, many words are unknown, the template is missing, or the tokenizer does not
            report the characters that a token covers.
    """
    if not model.tokenizer.is_fast:
        raise InputError(
            f"the tokenizer of {model.name} ({type(model.tokenizer).__name__}) does not report character offsets; "
            "load a fast one (AutoTokenizer with use_fast=True)"
        )
    if template == "auto":
        template = "chat" if model.tokenizer.chat_template else "plain"
    if template == "chat" and not model.tokenizer.chat_template:
        raise InputError(f"the tokenizer of {model.name} has no chat template; use template 'plain'")
    encoded = [encode_trace(model, trace, template, truncate, system) for trace in traces]
    check_known(model, [text.token_ids for text in encoded])
    return encoded


def _prefix(model: LanguageModel, prompt: str, template: Template, system: str) -> tuple[str, tuple[int, int]]:
    """Return the text before the response, and the characters of it that are the prompt and not markup."""
    if template == "plain":
        prefix = "".join(f"{part}\n\n" for part in (system, prompt) if part)
        return prefix, (0, len(prefix))
    before_user = [{"role": "system", "content": system}] if system else []

    def render(content: str) -> str:
        conversation = [*before_user, {"role": "user", "content": content}]
        try:
            return str(model.tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True))
        except Exception as error:  # a template is a program: its own raise_exception, a mistake in it, a missing name
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"the chat template of {model.name} fails on the prompt {content!r:.60}: {reason}. Use template "
                "'plain' (--template plain), or mend the template"
            ) from error

    before, stand_in, after = render(_STAND_IN).partition(_STAND_IN)
    if not stand_in:
        raise InputError(f"the chat template of {model.name} leaves the user's words out; use template 'plain'")
    prefix = render(prompt)
    return prefix, (len(before), len(prefix) - len(after))


def encode_trace(
    model: LanguageModel, trace: Trace, template: Template, truncate: bool, system: str = ""
) -> EncodedTrace:
    """Tokenise one trace as `encode` does, unknown words allowed; `template` is "chat" or "plain"."""
    prefix, (prompt_start, prompt_end) = _prefix(model, trace.prompt, template, system)
    if begins_with_thoughts(trace.text):  # a template that opens the thoughts would open them twice
        prefix = without_opener(prefix)
    text = prefix + trace.text
    tokens = tokenise(model, text, add_special_tokens=template == "plain")
    token_ids, offsets = tokens.ids, tokens.offsets
    model.check_token_ids(token_ids, f"trace {trace.id!r}")
    limit = model.context_tokens
    if limit is not None and len(token_ids) > limit:
        if not truncate:
            count = f"{len(token_ids)} tokens" if tokens.is_whole else f"{len(text)} characters and over {limit} tokens"
            raise InputError(
                f"trace {trace.id!r} has {count}, more than the {limit} of {model.name}'s context; "
                "shorten it, or allow truncation (--truncate, truncate=True)"
            )
        token_ids, offsets = token_ids[:limit], offsets[:limit]
    n_characters = int(offsets[:, 1].max(initial=0))
    spans = tuple(
        token_span(offsets, text, len(prefix) + span.start, len(prefix) + span.end)
        if len(prefix) + span.end <= n_characters
        else None
        for span in trace.spans
    )
    is_markup = np.isin(token_ids, model.tokenizer.all_special_ids) | (offsets[:, 0] == offsets[:, 1])
    is_markup[:1] = True
    in_prompt = (offsets[:, 0] >= prompt_start) & (offsets[:, 1] <= prompt_end)
    is_markup |= (offsets[:, 1] <= len(prefix)) & ~in_prompt
    return EncodedTrace(trace, token_ids, is_markup, spans, (offsets - len(prefix)).clip(min=0))

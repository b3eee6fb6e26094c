"""List the annotators that `label` knows: keywords, rules, spans, probe:FILE, endpoint:MODEL.

A new one is a function of the type `Maker`, listed in MAKERS. It checks what was given at once, and returns what makes
the annotator when sentences are left to be labelled, so that a finished run loads no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...models import load
from ...models._load import ModelLike
from ...models.content import model_digest
from ...organisms import organism_annotator
from ...probes.annotator import probe_annotator
from ...probes.saved import SavedProbes
from ...rundir import (
    InputError,
    RowLog,
    callable_name,
    content_digest,
    entry_of,
    expanded,
    file_digest,
    shown,
    whole_number,
)
from ...traces import Annotator, BehaviourSet, KeywordAnnotator
from ...traces.annotators import SegmentedTrace, SentenceAnnotator, SentenceLabels, label_of, over_sentences
from ...traces.chat_endpoint import endpoint_url
from ...traces.chat_model import REPLY_TOKENS, ChatModel
from ...traces.endpoint_annotator import endpoint_annotator
from ...traces.label_replies import LINES, SCHEMA


@dataclass(frozen=True, kw_only=True)
class Means:
    """What annotators may need beside the sentences."""

    behaviours: BehaviourSet
    model: ModelLike | None = None  # that reads for a probe; None: the one that the probes name
    url: str | None = None  # of an endpoint
    key_variable: str = "OPENAI_API_KEY"
    reply_tokens: int = REPLY_TOKENS
    structured_outputs: bool = False
    timeout_s: float = 600.0
    n_parallel: int = 8
    device: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class NamedAnnotator:
    """An annotator by its name, what decides its labels, and how it is made."""

    name: str
    identity: Mapping[str, Any]  # plain values
    make: Callable[[RowLog], SentenceAnnotator] = field(repr=False)  # from a log of an endpoint's replies
    uses_set: bool = False  # whether it labels with the behaviour set
    has_structured_outputs: bool = False  # whether its replies are held to a JSON schema

    @property
    def key(self) -> str:
        """Its name with a digest of what decides its labels."""
        return f"{self.name}@{content_digest(dict(self.identity))[:8]}"


Maker = Callable[[str, Means], NamedAnnotator]  # from what stands after the colon


def named_annotator(by: str | Annotator, means: Means) -> NamedAnnotator:
    """Find an annotator.

    Args:
        by: A name of `MAKERS`, with what it needs after a colon, or an annotator of one's own.
        means: What it may need.

    Returns:
        The annotator; nothing is loaded yet.

    Raises:
        InputError: There is no such annotator, or it lacks what it needs.
    """
    if not isinstance(by, str):
        if not callable(by):
            raise InputError(f"an annotator is one of {', '.join(MAKERS)} or a function, and {shown(by)} is neither")
        name, own = callable_name(by), by
        return NamedAnnotator(name=name, identity={"function": name}, make=lambda log: over_sentences(own))
    kind, _, rest = by.partition(":")
    maker = entry_of(MAKERS, kind, "there is no annotator {}")
    if rest and kind in ("keywords", "rules", "spans"):
        raise InputError(f"{kind} takes nothing after a colon, and {by!r:.80} gives something; write {kind}")
    if not rest and kind in ("probe", "endpoint"):
        what = "its file, as probe:probes.safetensors" if kind == "probe" else "a model, as endpoint:MODEL"
        raise InputError(f"the annotator {kind} needs {what}")
    return maker(rest, means)


def _keywords(_: str, means: Means) -> NamedAnnotator:
    annotator = KeywordAnnotator(means.behaviours)
    return NamedAnnotator(name="keywords", identity={}, make=lambda log: over_sentences(annotator), uses_set=True)


def _rules(_: str, means: Means) -> NamedAnnotator:
    return NamedAnnotator(name="rules", identity={}, make=lambda log: over_sentences(organism_annotator))


def _spans(_: str, means: Means) -> NamedAnnotator:
    return NamedAnnotator(name="spans", identity={}, make=lambda log: _of_spans)


def _of_spans(documents: Sequence[SegmentedTrace]) -> Iterator[SentenceLabels]:
    for document in documents:
        yield SentenceLabels(tuple(label_of(sentence, document.trace.spans) for sentence in document.sentences))


def _probe(file: str, means: Means) -> NamedAnnotator:
    probes = SavedProbes.open(file)
    model: ModelLike | None = means.model or probes.model.get("name")
    if not model:
        raise InputError(f"{file} does not say which model it belongs to: name one (--model, model=)")

    def make(log: RowLog) -> SentenceAnnotator:
        return probe_annotator(load(model, device=means.device), probes)

    identity = {"probes": file_digest(expanded(file)), "model": model_digest(model)}
    return NamedAnnotator(name=f"probe:{file}", identity=identity, make=make)


def _endpoint(model: str, means: Means) -> NamedAnnotator:
    if means.url is None:
        raise InputError(f"endpoint:{model} needs the address of the endpoint: --url https://host/v1 (url=)")
    chat = ChatModel(
        url=means.url,
        model=model,
        key_variable=means.key_variable,
        timeout_s=means.timeout_s,
        n_parallel=means.n_parallel,
        options={"temperature": 0, "max_tokens": whole_number(means.reply_tokens, "reply_tokens")},
    )
    place = endpoint_url(chat.url)
    identity = {
        "model": model,
        "options": dict(chat.options),
        "structured_outputs": means.structured_outputs,
        "place": f"{place.host}{place.path}",
    }

    def make(log: RowLog) -> SentenceAnnotator:
        return endpoint_annotator(chat, means.behaviours, log, form=SCHEMA if means.structured_outputs else LINES)

    return NamedAnnotator(
        name=f"endpoint:{model}",
        identity=identity,
        make=make,
        uses_set=True,
        has_structured_outputs=means.structured_outputs,
    )


MAKERS: dict[str, Maker] = {
    "keywords": _keywords,
    "rules": _rules,
    "spans": _spans,
    "probe": _probe,
    "endpoint": _endpoint,
}

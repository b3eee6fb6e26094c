"""Label the sentences of traces by several annotators, and write traces whose spans are the labels of one of them.

1. Texts are divided into sentences (`traces.segment`), or only their thoughts.
2. Each annotator labels every sentence. Its labels are rows of a log beside the file that is written, trace by trace,
   and an endpoint's replies are rows of another: an interrupted call goes on where it was, and a call with a further
   annotator keeps what the others said.
3. Their agreement is measured over problems (`agreement.py`), and what they disagree on is marked in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...models._load import ModelLike
from ...rundir import InputError, RowLog, RunDirectory, expanded, is_there, only_writer_of, truth_of, whole_number
from ...rundir.progress import ProgressBar
from ...rundir.result_files import RESULTS
from ...traces import Annotator, BehaviourSet, TraceSource, digest, open_behaviour_set, resolve_traces
from ...traces.annotators import SegmentedTrace, SentenceLabels, segmented
from ...traces.chat_model import REPLY_COLUMNS, REPLY_TOKENS
from ...traces.labelled import MAJORITY, PERSON, LabelledTrace, metadata_by_id, read_labelled, write_labelled
from .annotators import Means, NamedAnnotator, named_annotator
from .labelling import Labelling

BESIDE = ".label"  # of the directory beside the file
ROWS, REPLIES = "labels.jsonl", "replies.jsonl"
COLUMNS = {"annotator": str, "place": int, "labels": list[str | None], "n_malformed": int}


def label(
    traces: TraceSource,
    by: str | Annotator | Sequence[str | Annotator] = "keywords",
    *,
    behaviours: str | Path | BehaviourSet = "bundled",
    take: str | None = None,
    thoughts_only: bool = False,
    min_words: int = 1,
    model: ModelLike | None = None,
    url: str | None = None,
    key_variable: str = "OPENAI_API_KEY",
    reply_tokens: int = REPLY_TOKENS,
    structured_outputs: bool = False,
    timeout_s: float = 600.0,
    n_parallel: int = 8,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Labelling:
    """Label the sentences of traces.

    Args:
        traces: Traces, with or without spans: a file, "bundled", Trace objects or dictionaries.
        by: Annotators: "keywords", "rules" (of model organisms), "spans" (those that the traces have), "probe:FILE",
            "endpoint:MODEL", or functions from prompt and text to labelled spans.
        behaviours: The behaviours that keywords and endpoints label: a name such as "cognitive", a YAML file, or a set.
        take: Whose labels become the spans: an annotator, or "majority" (of several alike the first annotator's); None
            means the first annotator.
        thoughts_only: Label only what stands inside the thoughts; a response without tags is labelled as a whole.
        min_words: Pieces with fewer words are no sentences.
        model: The model that reads for a probe; None means the one that the probes name.
        url: The chat-completions endpoint, https://host/v1.
        key_variable: The environment variable that holds its key.
        reply_tokens: Tokens of a reply of it at most, its thoughts among them; fewer where its context is too short.
        structured_outputs: Let it hold its replies to a JSON schema (`response_format`), so that they can be read.
        timeout_s: Seconds for a reply of it.
        n_parallel: Requests at the same time.
        out: The JSONL file to write; the run lies in a directory of the same name with `.label` at its end, and the
            same call resumes it. None writes nothing.
        device: Where a model that is loaded by name runs.
        progress: Show progress bars.

    Returns:
        The labels, their agreement, and the traces.

    Raises:
        InputError: The traces, the annotators or the file cannot be used.
    """
    examples = resolve_traces(traces)
    if not examples:
        raise InputError("there are no traces to label; give some")
    means = Means(
        behaviours=open_behaviour_set(behaviours),
        model=model,
        url=url,
        key_variable=key_variable,
        reply_tokens=reply_tokens,
        structured_outputs=truth_of(structured_outputs, "structured_outputs"),
        timeout_s=timeout_s,
        n_parallel=n_parallel,
        device=device,
    )
    chosen = list(by) if isinstance(by, Sequence) and not isinstance(by, str) else [by]
    annotators = [named_annotator(one, means) for one in chosen]
    names = [annotator.name for annotator in annotators]
    _check(names, take)
    truth_of(thoughts_only, "thoughts_only")
    whole_number(min_words, "min_words", 0)
    documents = [segmented(trace, min_words, thoughts_only) for trace in examples]
    if not any(document.sentences for document in documents):
        raise InputError(f"none of {len(examples)} traces holds a sentence to label; is their text empty?")
    file = None if out is None else expanded(out)
    metadata = metadata_by_id(traces) if isinstance(traces, str | Path) and traces != "bundled" else {}
    run = RunDirectory(
        None if file is None else file.with_name(f"{file.name}{BESIDE}"),
        "label",
        settings={"behaviours": means.behaviours.to_dict(), "thoughts_only": thoughts_only, "min_words": min_words},
        inputs={"traces": digest(examples)},
        changeable={"by": [annotator.key for annotator in annotators], "take": take},
        options={"device": device},
    )
    with ExitStack() as stack:
        if file is not None:
            stack.enter_context(only_writer_of(file))  # which a review holds, too
        earlier = _earlier(file, run)
        stack.enter_context(run)
        rows = run.log(ROWS, key=("annotator", "place"), columns=COLUMNS)
        replies = run.log(REPLIES, key="key", columns=REPLY_COLUMNS)
        for annotator in annotators:
            _annotate(annotator, documents, rows, replies, progress)
        by_name: dict[str, list[tuple[str | None, ...]]] = {
            annotator.name: [tuple(rows[annotator.key, place]["labels"]) for place in range(len(documents))]
            for annotator in annotators
        }
        n_malformed = {
            annotator.name: sum(rows[annotator.key, place]["n_malformed"] for place in range(len(documents)))
            for annotator in annotators
        }
        structured = tuple(annotator.name for annotator in annotators if annotator.has_structured_outputs)
        labelled = _labelled(documents, by_name, take or names[0], structured, metadata, earlier)
        uses_set = any(annotator.uses_set for annotator in annotators)
        result = Labelling.of(labelled, means.behaviours, n_malformed, uses_set=uses_set)
        marked = tuple(
            replace(trace, low_agreement=result.low_agreement).with_spans(means.behaviours.words) for trace in labelled
        )
        if file is not None:
            run.record()
            write_labelled(marked, file)
            result.write(run.path)
            run.finish([RESULTS])
    return replace(result, labelled=marked)


def _annotate(
    annotator: NamedAnnotator, documents: Sequence[SegmentedTrace], rows: RowLog, replies: RowLog, progress: bool
) -> None:
    """Add a row for each trace that an annotator has not labelled yet."""
    missing = [place for place in range(len(documents)) if (annotator.key, place) not in rows]
    if not missing:
        return
    pending = [documents[place] for place in missing]
    with ProgressBar(
        desc=f"labelling by {annotator.name}",
        unit="trace",
        total=len(documents),
        initial=len(documents) - len(missing),
        progress=progress,
    ) as bar:
        for place, labels in zip(missing, annotator.make(replies)(pending), strict=True):
            rows.add([_row(annotator, place, labels)])
            bar.update()


def _row(annotator: NamedAnnotator, place: int, labels: SentenceLabels) -> dict[str, Any]:
    return {
        "annotator": annotator.key,
        "place": place,
        "labels": list(labels.labels),
        "n_malformed": labels.n_malformed,
    }


def _labelled(
    documents: Sequence[SegmentedTrace],
    by: Mapping[str, Sequence[tuple[str | None, ...]]],
    spans_by: str,
    structured: tuple[str, ...],
    metadata: Mapping[str, dict[str, Any]],
    earlier: Mapping[tuple[str, tuple[tuple[int, int], ...]], LabelledTrace],
) -> list[LabelledTrace]:
    """Put the labels of all annotators together, with those of a person where the file has some."""
    persons = {place: labels for place, labels in enumerate(_persons(documents, earlier)) if labels is not None}
    labelled = []
    for place, document in enumerate(documents):
        own = {name: labels[place] for name, labels in by.items()}
        if persons:
            own[PERSON] = persons.get(place, (None,) * len(document.sentences))
        more = metadata.get(document.trace.id, {})
        labelled.append(LabelledTrace(document.trace, document.sentences, own, spans_by, (), structured, more))
    return labelled


def _persons(
    documents: Sequence[SegmentedTrace], earlier: Mapping[tuple[str, tuple[tuple[int, int], ...]], LabelledTrace]
) -> list[tuple[str | None, ...] | None]:
    reviewed = (earlier.get((document.trace.id, document.sentences)) for document in documents)
    return [None if trace is None else trace.by.get(PERSON) for trace in reviewed]


def _earlier(file: Path | None, run: RunDirectory) -> dict[tuple[str, tuple[tuple[int, int], ...]], LabelledTrace]:
    """Read the file that an earlier call wrote, for what a person has said in it since."""
    if file is None or not is_there(file):
        return {}
    if not run.path.exists():
        raise InputError(f"{file} is there and was not written by `reasonlens label`; choose another --out")
    return {(trace.trace.id, trace.sentences): trace for trace in read_labelled(file)}


def _check(names: Sequence[str], take: str | None) -> None:
    if not names:
        raise InputError("no annotator is named; give one, such as by='keywords'")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"the annotator {twice[0]!r:.80} is named twice; name it once")
    if PERSON in names or MAJORITY in names:
        raise InputError(f"no annotator may be called {PERSON!r} or {MAJORITY!r}; rename the function")
    if take is not None and take not in (*names, MAJORITY):
        raise InputError(f"the labels of {take!r:.80} cannot be taken; take those of {', '.join(names)}, or {MAJORITY}")

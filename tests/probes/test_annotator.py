"""Labels by saved probes: those of scores sentence by sentence, in batches as alone, and what is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reasonlens import InputError, Trace, score
from reasonlens.probes.annotator import probe_annotator
from reasonlens.probes.saved import SavedProbes
from reasonlens.traces.annotators import SentenceLabels, segmented

from ..analysis.test_score import planted


def test_a_sentence_takes_the_behaviour_of_its_highest_log_odds_or_none_below_0(tiny, traces) -> None:
    model = tiny("llama")
    probes = planted(model)
    documents = [segmented(replace(trace, spans=()), min_words=1) for trace in traces]
    labels = list(probe_annotator(model, probes)(documents))
    scored = score(model, [document.trace for document in documents], probes, progress=False).texts
    expected = []
    for text in scored:
        best = text.sentence_log_odds.argmax(axis=0)
        positive = text.sentence_log_odds.max(axis=0) > 0
        expected.append(tuple(np.where(positive, np.array(probes.behaviours)[best], "").tolist()))
    assert [row.labels for row in labels] == expected
    assert {label for row in expected for label in row} == {"", *probes.behaviours}, "the case is no trivial one"


def test_labels_do_not_depend_on_batches_ids_or_other_traces(tiny, traces) -> None:
    model = tiny("llama")
    probes = planted(model)
    documents = [segmented(Trace("same id", trace.prompt, trace.text)) for trace in [*traces, Trace("", "", " ")]]
    together = list(probe_annotator(model, probes, tokens_per_batch=40)(documents))
    assert together == [next(probe_annotator(model, probes)([document])) for document in documents]
    assert together[-1] == SentenceLabels(())


def test_what_a_read_takes_no_token_of_is_not_known(tiny) -> None:
    model = tiny("llama")
    probes = planted(model, read="before:1")
    document = segmented(Trace("t", "", "So it is. Wait, no."))
    (labels,) = probe_annotator(model, probes)([document])
    assert labels.labels[0] is None and labels.labels[1] is not None


def test_probes_of_another_model_are_refused(tiny) -> None:
    probes: SavedProbes = planted(tiny("llama"))
    with pytest.raises(InputError, match="these probes were trained on tiny-llama"):
        probe_annotator(tiny("qwen"), probes)

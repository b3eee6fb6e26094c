"""Several reads of one pass are, to the last bit, what each is alone; a store holds all of them, and one is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import (
    Activations,
    Collection,
    InputError,
    LanguageModel,
    Moments,
    Span,
    Trace,
    collect,
    collect_moments,
    encode,
)
from reasonlens.activations import open_collection
from reasonlens.activations.engine.segments import CUT, MAX_RUN, layout
from reasonlens.activations.plan import plan
from reasonlens.activations.read import Read

READS = ["mean", "before:1", "window:-1:10"]
MORE_READS = [*READS, "window:-12:-7", "last", "first"]


def with_answers(traces: list[Trace]) -> list[Trace]:
    """The traces, one whose labelled span has nothing before it, and three answers to one prompt."""
    opening = Trace("opening", "", "One two three four.", (Span(0, 19, "deduction"),))
    prompt = "Which of these sums is the largest, and how do you know that it is? Take your time to think."
    answers = [
        Trace(
            f"answer {number}", prompt, f"So it is {number}. Wait, no.", (Span(0, 11, "deduction"), Span(12, 21, "b"))
        )
        for number in range(3)
    ]
    return [*traces, opening, *answers]


def assert_same(together: Activations, alone: Activations) -> None:
    """Check that everything is equal to the last bit."""
    assert (together.examples, together.read, together.n_skipped) == (alone.examples, alone.read, alone.n_skipped)
    assert torch.equal(together.load().values, alone.load().values)
    assert torch.equal(together.embeddings, alone.embeddings)
    assert torch.equal(together.overall_mean, alone.overall_mean)
    assert torch.equal(together.residual_norm, alone.residual_norm)


def assert_same_moments(together: Moments, alone: Moments) -> None:
    assert (together.read, together.n_skipped, list(together.by_label)) == (
        alone.read,
        alone.n_skipped,
        list(alone.by_label),
    )
    for label in alone.by_label:
        one, other = together.of_label(label), alone.of_label(label)
        assert one.count == other.count and torch.equal(one.mean, other.mean) and torch.equal(one.m2, other.m2)
    assert torch.equal(together.overall_mean, alone.overall_mean) and torch.equal(together.norm_sum, alone.norm_sum)
    assert np.array_equal(together.problem_hashes, alone.problem_hashes)


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("llama", {}),  # plain batches, padded, and shared prefixes
        ("llama", {"share_prefixes": False, "include_markup": True}),
        ("llama", {"tokens_per_batch": 24}),  # in parts over a cache
        ("gpt2", {"tokens_per_batch": 200}),
    ],
    ids=["shared", "plain", "parts", "gpt2"],
)
def test_each_of_many_reads_is_to_the_last_bit_what_it_is_alone(
    tiny, traces, architecture: str, options: dict[str, Any]
) -> None:
    model, data = tiny(architecture), with_answers(traces)
    both = collect(model, data, read=MORE_READS, progress=False, **options)
    assert isinstance(both, Collection) and [str(read) for read in both.reads] == MORE_READS
    for read in MORE_READS:
        assert_same(both.at(read), collect(model, data, read=read, progress=False, **options))
    assert both.at("before:1").n_skipped != both.at("mean").n_skipped  # each has its own examples


def test_reads_in_another_order_are_the_same(tiny, traces) -> None:
    together, other = (collect(tiny(), traces, read=reads, progress=False) for reads in (READS, READS[::-1]))
    for read in READS:
        assert_same(together.at(read), other.at(read))


def test_one_pass_serves_all_reads(tiny, traces) -> None:
    model, counts = tiny(), []
    collect(model, traces[:1], progress=False)  # one short pass of its own, at the first use of a model
    hook = model.blocks[0].register_forward_pre_hook(lambda _m, inputs: counts.append(inputs[0].shape[:2].numel()))
    for read in ("mean", READS):
        counts.append(0)
        collect(model, traces, read=read, progress=False)
    hook.remove()
    half = len(counts) // 2
    assert counts[:half] == counts[half:]


def test_the_stretches_are_cut_at_all_spans_whatever_is_read(tiny, traces) -> None:
    """Without that, another read beside it would change the order in which a stretch is added up."""
    texts = encode(tiny(), traces)

    def runs(reads: list[str]) -> list[list[int]]:
        planned = plan(texts, [Read.parse(read) for read in reads], include_markup=False)
        own = planned.segments.text == 0
        segments = planned.segments.take(own)
        where = layout(segments.segment, segments.first, segments.stop, segments.group)
        at = int(np.flatnonzero(where.segments == planned.first_stretch)[0])
        bounds = [*where.segment_starts, len(where.runs)]
        return [where.positions[where.run_starts[run]] for run in where.runs[bounds[at] : bounds[at + 1]]]

    assert runs(["mean"]) == runs(["last"]) == runs(READS)
    whole = np.array([0]), np.array([1]), np.array([MAX_RUN]), np.array([0])
    assert len(layout(*whole).run_starts) == 1
    cut = [np.append(column, value) for column, value in zip(whole, (CUT, 5, 9, 0), strict=True)]
    assert len(layout(*cut).run_starts) == 3
    cut[3][1] = 1  # a border of another group cuts nothing
    assert len(layout(*cut).run_starts) == 1


def test_a_store_of_many_reads_gives_each_and_wants_one_to_be_chosen(tiny, traces, tmp_path: Path) -> None:
    options: dict[str, Any] = {"spans_per_shard": 18, "progress": False}
    both = collect(tiny(), traces, read=READS, out=tmp_path / "many", **options)
    assert [str(read) for read in both.reads] == READS
    for read in READS:
        alone = collect(tiny(), traces, read=read, out=tmp_path / read.replace(":", "-"), **options)
        assert_same(Activations.open(tmp_path / "many", read=read), alone)
        assert_same(both.at(read), alone)
    with pytest.raises(InputError, match=r"many holds the reads mean, before:1, window:-1:10: choose one \(read="):
        Activations.open(tmp_path / "many")
    with pytest.raises(InputError, match=r"many does not hold the read 'last'; it holds mean, before:1, window:-1:10"):
        Activations.open(tmp_path / "many", read="last")
    with pytest.raises(InputError, match=r"mean does not hold the read 'before:1'; it holds mean\."):
        Activations.open(tmp_path / "mean", read="before:1")
    with pytest.raises(InputError, match="does not hold the site 'hook_mlp_out'; it holds hook_out"):
        Activations.open(tmp_path / "mean", site="hook_mlp_out")
    assert list(open_collection(tmp_path / "many").members) == list(both.members)


def test_a_store_of_other_reads_is_refused(tiny, traces, tmp_path: Path) -> None:
    collect(tiny(), traces, read=READS, out=tmp_path / "out", progress=False)
    with pytest.raises(InputError, match=r"holds another run \(reads \['mean', .*\] there, \['mean'\] asked"):
        collect(tiny(), traces, read="mean", out=tmp_path / "out", progress=False)


def test_a_run_of_many_reads_that_was_cut_off_ends_as_one_left_alone(
    tiny, traces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"read": READS, "spans_per_shard": 18, "progress": False}
    collect(tiny(), traces, out=tmp_path / "whole", **options)

    def cut() -> Any:
        yield from traces[:8]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(tiny(), cut(), out=tmp_path / "cut", **options)
    with pytest.raises(InputError, match="is not whole yet: 2 shards are done"):
        Activations.open(tmp_path / "cut", read="mean")
    collect(tiny(), traces, out=tmp_path / "cut", **options)
    names = sorted(file.name for file in (tmp_path / "whole").iterdir() if file.name != "run.json")
    assert all((tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names)


def test_moments_of_many_reads_are_those_of_each_alone(tiny, traces, tmp_path: Path) -> None:
    data, options = with_answers(traces), {"spans_per_window": 20, "progress": False}
    both = collect_moments(tiny(), data, read=READS, out=tmp_path / "out", **options)
    for read in READS:
        alone = collect_moments(tiny(), data, read=read, **options)
        assert_same_moments(both.at(read), alone)
        assert_same_moments(Moments.open(tmp_path / "out", read=read), alone)
    with pytest.raises(InputError, match="out holds the reads mean, before:1, window:-1:10: choose one"):
        Moments.open(tmp_path / "out")


def test_a_read_that_takes_nothing_leaves_the_others(tiny, tmp_path: Path) -> None:
    data = [Trace(f"t{number}", "", "One two three.", (Span(0, 14, "deduction"),)) for number in range(3)]
    together = collect(tiny(), data, read=["mean", "before:1"], progress=False)
    assert len(together.at("mean").examples) == 3
    with pytest.raises(InputError, match="no labelled span has a token that the read 'before:1' takes"):
        together.at("before:1")
    with pytest.raises(InputError, match="none has a token that the read 'before:1' or 'before:2' may take"):
        collect(tiny(), data, read=["before:1", "before:2"], progress=False)


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        ([], "no read is named"),
        (["mean", "mean"], "the read 'mean' is named twice"),
        (["mean", "before"], None),
        (["before:1", "before"], "the read 'before:1' is named twice"),
        (["mean", "median"], "unknown read 'median'"),
    ],
)
def test_reads_that_cannot_be_read_together_are_refused(
    tiny: Any, traces: list[Trace], reads: list[str], message: str | None
) -> None:
    model: LanguageModel = tiny()
    if message is None:
        assert len(collect(model, traces, read=reads, progress=False).reads) == len(reads)
        return
    with pytest.raises(InputError, match=message):
        collect(model, traces, read=reads, progress=False)

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reasonlens import (
    InputError,
    Moments,
    Span,
    Trace,
    collect,
    collect_moments,
    mean_difference_directions,
)
from reasonlens.activations.moments import stream, window_sum


def assert_same(found: Moments, expected: Moments, exact: bool = True) -> None:
    tolerance = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-5, "atol": 1e-7}
    assert set(found.by_label) == set(expected.by_label)
    for label in expected.by_label:
        assert found.of_label(label).count == expected.of_label(label).count
        torch.testing.assert_close(found.of_label(label).mean, expected.of_label(label).mean, **tolerance)
        torch.testing.assert_close(found.of_label(label).m2, expected.of_label(label).m2, **tolerance)
    torch.testing.assert_close(found.stretches.mean, expected.stretches.mean, **tolerance)
    torch.testing.assert_close(found.residual_norm, expected.residual_norm, **tolerance)
    assert found.n_problems == expected.n_problems and found.n_skipped == expected.n_skipped


@pytest.mark.parametrize("spans_per_window", [5, 1000])
def test_streamed_moments_are_those_of_the_activations(tiny, traces, spans_per_window: int) -> None:
    kept = collect(tiny(), traces, read="window:-1:10", progress=False)
    found = collect_moments(
        tiny(), iter(traces), read="window:-1:10", spans_per_window=spans_per_window, covariance=True, progress=False
    )
    assert_same(found, Moments.of(kept, covariance=True), exact=False)
    for label in kept.behaviours:
        acts = kept.where(label).layer(1).double()
        torch.testing.assert_close(found.of_label(label).covariance()[1], acts.T.cov(), rtol=1e-3, atol=1e-9)
        torch.testing.assert_close(found.of_label(label).variance()[1], acts.var(dim=0), rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize("against", ["others", "overall"])
@pytest.mark.parametrize("rescale", [False, True])
def test_directions_of_moments_are_those_of_the_activations(tiny, traces, against: str, rescale: bool) -> None:
    kept = mean_difference_directions(collect(tiny(), traces, progress=False), against=against, rescale=rescale)
    moments = collect_moments(tiny(), traces, spans_per_window=10, progress=False)
    found = mean_difference_directions(moments, against=against, rescale=rescale)
    assert found.behaviours == kept.behaviours and found.n_examples == kept.n_examples
    assert found.n_problems == kept.n_problems and found.method == kept.method
    for behaviour in kept.behaviours:
        torch.testing.assert_close(found.vectors[behaviour], kept.vectors[behaviour], rtol=1e-3, atol=1e-6)


def test_moments_of_two_halves_add_up_to_those_of_the_whole(tiny, traces) -> None:
    options = {"tokens_per_batch": 64, "progress": False}
    one, other = (collect_moments(tiny(), half, **options) for half in (traces[:7], traces[6:]))
    assert (one + other).n_problems == 12, "the problem that is in both counts once"
    halves = collect_moments(tiny(), traces[:7], **options) + collect_moments(tiny(), traces[7:], **options)
    assert_same(halves, collect_moments(tiny(), traces, **options), exact=False)
    with pytest.raises(InputError, match="moments of another read cannot be added up: mean and last"):
        _ = one + collect_moments(tiny(), traces, read="last", progress=False)


def test_a_run_cut_off_between_windows_ends_with_the_very_same_sums(tiny, traces, tmp_path: Path, monkeypatch) -> None:
    options = {"spans_per_window": 8, "progress": False}
    whole = collect_moments(tiny(), traces, out=tmp_path / "whole", **options)
    window_moments = stream.window_moments
    for survived in (1, 3):
        calls: list[int] = []

        def cut(*arguments: object, calls=calls, survived=survived) -> Moments:
            if len(calls) == survived:
                raise KeyboardInterrupt
            calls.append(1)
            return window_moments(*arguments)

        monkeypatch.setattr(stream, "window_moments", cut)
        with pytest.raises(KeyboardInterrupt):
            collect_moments(tiny(), traces, out=tmp_path / "cut", **options)
    with pytest.raises(InputError, match="not whole yet: 4 windows are done. Run the command"):
        Moments.open(tmp_path / "cut")
    monkeypatch.setattr(stream, "window_moments", window_moments)
    with pytest.raises(InputError, match="keep 'moments' there, 'activations' asked"):
        collect(tiny(), traces, out=tmp_path / "cut", progress=False)
    assert_same(collect_moments(tiny(), traces, out=tmp_path / "cut", **options), whole)
    files = [tmp_path / name / window_sum.FILE for name in ("cut", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert_same(Moments.open(tmp_path / "cut"), whole)
    assert_same(collect_moments(tiny(), traces, out=tmp_path / "cut", **options), whole)


def test_a_directory_of_other_moments_is_refused(tiny, traces, tmp_path: Path) -> None:
    options = {"spans_per_window": 8, "out": tmp_path, "progress": False}
    collect_moments(tiny(), traces, **options)
    with pytest.raises(InputError, match=r"holds another run \(reads \['mean'\] there, \['last'\] asked\)"):
        collect_moments(tiny(), traces, read="last", **options)
    changed = [replace(traces[0], prompt="Another question?"), *traces[1:]]
    with pytest.raises(InputError, match="holds moments of other traces than those given now"):
        collect_moments(tiny(), changed, **options)
    with pytest.raises(InputError, match="holds moments of more traces than those given now"):
        collect_moments(tiny(), traces[:4], **options)
    content = bytearray((tmp_path / window_sum.FILE).read_bytes())
    content[-50] ^= 1
    (tmp_path / window_sum.FILE).write_bytes(content)
    with pytest.raises(InputError, match="moments.safetensors is altered: its digest is another; remove it"):
        collect_moments(tiny(), traces, **options)
    (tmp_path / window_sum.FILE).write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot read moments from"):
        collect_moments(tiny(), traces, **options)


def test_traces_without_a_labelled_span_are_refused_and_leave_no_file(tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to read: 2 traces hold 0 labelled spans"):
        collect_moments(tiny(), [Trace("a", "Q", "T."), Trace("b", "Q", "T.")], out=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_window_without_a_readable_span_changes_nothing(tiny, traces, tmp_path: Path) -> None:
    empty = Trace("none", "", "One two.", (Span(0, 3, "deduction"),))  # its only token is an attention sink
    for data in ([empty, *traces], [*traces, empty]):
        found = collect_moments(
            tiny(), data, read="first", spans_per_window=1, out=tmp_path / data[0].id, progress=False
        )
        assert_same(found, replace(collect_moments(tiny(), traces, read="first", progress=False), n_skipped=1), False)

"""What a run finds in its directory: another run, another writer, altered rows, another batch size, half a run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from reasonlens.generation import Sampling
from reasonlens.pairs import Pair, organism_pair
from reasonlens.pairs.hybrid import ARMS, HybridResult, HybridSettings, PairRun, hybrid
from reasonlens.pairs.hybrid._hybrid import forget
from reasonlens.pairs.hybrid.experiment import Experiment
from reasonlens.pairs.hybrid.measure import measure_once
from reasonlens.pairs.hybrid.run_arms import run_arms
from reasonlens.rundir import InputError
from reasonlens.traces import Span
from tests.pairs.hybrid import killed

pytestmark = pytest.mark.xdist_group("hybrid resume")

SETTINGS = HybridSettings(
    arms=("oracle", "random-positions"),
    mechanism="mean-difference",
    gate="boundary",
    through=0.5,
    layers=(2,),
    strengths=(0.75, 1.5),
    thresholds=(0.0,),
    n_train=40,
    n_validation=4,
    n_test=8,
    n_rows=4,
    rollout=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=96),
    sampling=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=32),
)


MORE = replace(
    SETTINGS,
    arms=(
        *("oracle", "random-positions", "phrase-whole", "random-boundaries", "thinking-behaviour", "base-moments"),
        *("base-behaviour", "without"),
    ),
)


@cache
def pair_of(n_test: int = 8) -> Pair:
    """Load a pair once: a child that is forked after torch has made threads cannot load one itself."""
    return organism_pair("organism/rl-timing", n_train=40, n_validation=4, n_test=n_test)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[HybridResult, Path]:
    out = tmp_path_factory.mktemp("resume") / "h"
    return hybrid(pairs=[pair_of()], settings=SETTINGS, out=out, progress=False), out


@pytest.fixture
def again(done: tuple[HybridResult, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(done[1], tmp_path / "h"))


def resume(out: Path, settings: HybridSettings = SETTINGS) -> HybridResult:
    return hybrid(pairs=[pair_of()], settings=settings, out=out, progress=False)


def files(out: Path) -> dict[str, bytes]:
    """All but the record of the run, which holds its times."""
    found = [file for file in out.rglob("*") if file.is_file() and file.name not in ("run.json", ".lock")]
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in found}


def deleted(lines: list[bytes]) -> list[bytes]:
    return lines[:4] + lines[5:]


def reversed_rows(lines: list[bytes]) -> list[bytes]:
    return lines[:1] + lines[:0:-1]


def doubled(lines: list[bytes]) -> list[bytes]:
    return lines + lines[2:5]


@pytest.mark.parametrize("change", [deleted, reversed_rows, doubled])
@pytest.mark.parametrize("log", ["arms/hybrid.jsonl", "rollouts.jsonl", "search.jsonl"])
def test_lines_that_are_lost_moved_or_doubled_change_no_result(
    done: tuple[HybridResult, Path], again: Path, log: str, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    file = again / "rl-timing" / log
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(change(lines)))
    resume(again)
    assert (again / "results.json").read_bytes() == (done[1] / "results.json").read_bytes()
    assert set(file.read_bytes().splitlines()) == {line.rstrip(b"\n") for line in lines}


def test_a_right_answer_that_is_written_as_text_is_named(again: Path) -> None:
    file = again / "rl-timing" / "arms" / "hybrid.jsonl"
    text = file.read_text("utf-8")
    assert '"is_solved": false' in text
    file.write_text(text.replace('"is_solved": false', '"is_solved": "false"', 1), "utf-8")
    with pytest.raises(InputError, match=r"arms/hybrid.jsonl, line \d+ is altered.*remove the file"):
        resume(again)


@pytest.mark.parametrize("name", ["vectors.safetensors", "probes.safetensors", "next_sentence.json"])
def test_a_flipped_bit_in_an_artifact_is_named(again: Path, name: str) -> None:
    file = again / "rl-timing" / name
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=f"{name} is other than this run wrote it; remove it and run the same command"):
        resume(again)
    file.unlink()
    resume(again)


def test_rows_of_another_arm_are_refused(again: Path) -> None:
    arms = again / "rl-timing" / "arms"
    shutil.copy(arms / "oracle.jsonl", arms / "hybrid.jsonl")
    with pytest.raises(InputError, match="holds rows of something else .arm 'oracle' there, 'hybrid' asked"):
        resume(again)


def test_rows_and_figures_of_a_run_of_other_settings_are_refused(again: Path, tmp_path: Path) -> None:
    shorter = replace(SETTINGS, sampling=replace(SETTINGS.sampling, max_new_tokens=6), strengths=(0.25,))
    resume(tmp_path / "other", shorter)
    for log in ("arms/thinking.jsonl", "search.jsonl", "measures.jsonl", "rollouts.jsonl"):
        file = again / "rl-timing" / log
        content = file.read_bytes()
        shutil.copy(tmp_path / "other" / "rl-timing" / log, file)
        with pytest.raises(InputError, match=f"{log} holds rows of something else"):
            resume(again)
        file.write_bytes(content)
    resume(again)


def test_figures_are_computed_again_where_the_rows_are_others(done: tuple[HybridResult, Path], again: Path) -> None:
    file = again / "rl-timing" / "measures.jsonl"
    before = file.read_bytes()
    (again / "rl-timing" / "arms" / "oracle.jsonl").unlink()
    resume(again)
    assert file.read_bytes() == before, "the same rows are made, so the figures stand"
    run = done[0].pairs["rl-timing"].run
    assert run is not None
    other = {**run.arms, "oracle": replace(run.arms["oracle"], is_solved=((True,) * 8,))}
    experiment = Experiment.of(pair_of(), SETTINGS, again / "rl-timing")
    with experiment.directory:
        assert measure_once(experiment, other)["oracle"].accuracy == 1.0
        assert (
            measure_once(experiment, run.arms)["oracle"].accuracy == done[0].pairs["rl-timing"].arms["oracle"].accuracy
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"layers": "99"}, "layer 99 does not exist"), ({"layers": (2,)}, "holds a run of 'locate', not of 'hybrid'")],
)
def test_no_resume_removes_nothing_for_a_call_that_cannot_run(again: Path, changes: dict, message: str) -> None:
    if "locate" in message:
        record = again / "run.json"
        record.write_text(record.read_text("utf-8").replace('"command": "hybrid"', '"command": "locate"'), "utf-8")
    before = {file: file.read_bytes() for file in again.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match=message):
        hybrid(pairs=[pair_of()], settings=replace(SETTINGS, **changes), out=again, resume=False, progress=False)
    assert before == {file: file.read_bytes() for file in again.rglob("*") if file.is_file()}


def test_a_pair_that_is_in_the_results_is_not_dropped_from_them(again: Path) -> None:
    before = files(again)
    with pytest.raises(InputError, match="hold the pair 'rl-timing' too, which this call would leave out"):
        hybrid(pairs=[replace(pair_of(), name="other")], settings=SETTINGS, out=again, progress=False)
    assert files(again) == before


def test_a_directory_of_another_experiment_is_refused_and_left_alone(done: tuple[HybridResult, Path]) -> None:
    out, before = done[1], files(done[1])
    for other, message in (
        (replace(SETTINGS, strengths=(0.25,)), r"strengths \[0.75, 1.5\] there, \[0.25\] asked"),
        (replace(SETTINGS, gate="disagreement"), "gate 'boundary' there, 'disagreement' asked"),
        (replace(SETTINGS, seed=1), "seed 0 there, 1 asked"),
        (replace(SETTINGS, layers=(1,)), r"layers \[2\] there, \[1\] asked"),
    ):
        with pytest.raises(InputError, match=f"holds another run .{message}"):
            resume(out, other)
    with pytest.raises(InputError, match=r"holds another run .content of problems \w{16} there, \w{16} asked"):
        hybrid(pairs=[pair_of(n_test=6)], settings=SETTINGS, out=out, progress=False)
    assert files(out) == before


def test_the_same_layers_in_other_words_and_another_batch_size_are_the_same_run(
    done: tuple[HybridResult, Path], again: Path
) -> None:
    log = again / "rl-timing" / "arms" / "oracle.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-3]))
    result = resume(again, replace(SETTINGS, layers="-2", n_rows=3))
    figures = [pair.arms["oracle"] for pair in (result.pairs["rl-timing"], done[0].pairs["rl-timing"])]
    assert figures[0].to_dict() == figures[1].to_dict()


def test_further_arms_and_pairs_are_added_to_a_run(done: tuple[HybridResult, Path], again: Path) -> None:
    before = {name: content for name, content in files(again / "rl-timing" / "arms").items()}
    more = replace(SETTINGS, arms=("oracle", "random-positions", "always-on"))
    other = replace(pair_of(), name="other")
    result = hybrid(pairs=[pair_of(), other], settings=more, out=again, progress=False)
    assert {"always-on.jsonl": None, **before}.keys() == files(again / "rl-timing" / "arms").keys()
    assert all(files(again / "rl-timing" / "arms")[name] == content for name, content in before.items())
    assert set(result.pairs) == {"rl-timing", "other"} and "always-on" in result.pairs["other"].arms
    with pytest.raises(InputError, match="two pairs are called 'rl-timing': leave one out"):
        hybrid(pairs=[pair_of(), pair_of()], settings=more, out=again, progress=False)


def test_arms_with_a_run_for_each_behaviour_and_probes_of_their_own_go_on_where_they_were_cut_off(again: Path) -> None:
    result = resume(again, MORE)
    folder = again / "rl-timing"
    run = result.pairs["rl-timing"].run
    assert run is not None
    behaviours = run.components.behaviours
    for number, behaviour in enumerate(behaviours):
        name = f"without-{behaviour}"
        assert result.pairs["rl-timing"].arms[name].role == "ablation" and (folder / "arms" / f"{name}.jsonl").is_file()
        assert not any(number in record.behaviour for record in run.arms[name].records[0])
    probes = {whose: run.components.behaviour_probes[whose, 2] for whose in ("thinking", "base")}
    assert probes["thinking"].n_sentences != probes["base"].n_sentences, "each of its own model's sentences"
    assert ARMS["without"].about in result.report()
    whole = files(again)
    for name in (f"arms/without-{behaviours[-1]}.jsonl", "arms/base-behaviour.jsonl", "base-rollouts.jsonl"):
        content = (folder / name).read_bytes()
        cut = content.index(b"\n", len(content) // 2) + 1
        (folder / name).write_bytes(content[: cut + 40])
    for name in ("behaviours-base-2.safetensors", "arms/base-moments.jsonl", f"arms/without-{behaviours[0]}.jsonl"):
        (folder / name).unlink()
    resume(again, MORE)
    assert files(again) == whole


def test_an_arm_whose_behaviours_cannot_be_told_is_left_out_and_the_log_says_why(
    again: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def mute(prompt: str, text: str) -> list[Span]:
        return []

    pair = pair_of()
    run = run_of(again)
    experiment = Experiment.of(pair, replace(SETTINGS, arms=("base-behaviour",)))
    silent = replace(experiment, pair=replace(pair, annotator=mute))
    with caplog.at_level("INFO", logger="reasonlens"):
        runs = run_arms(silent, replace(run.components, behaviour_probes={}), run.tuned)
    assert set(runs) == {"base", "thinking", "hybrid"}
    assert (
        "writes no sentence of" in caplog.text and "no arm base-behaviour: no probe tells the base model" in caplog.text
    )


def run_of(out: Path) -> PairRun:
    run = resume(out).pairs["rl-timing"].run
    assert run is not None
    return run


def test_only_what_a_run_has_left_is_forgotten(again: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    forget(tmp_path / "mine", ["rl-timing"])
    assert (tmp_path / "mine" / "thesis.txt").is_file()
    (again / "notes.txt").write_text("mine")
    forget(again, ["rl-timing", "sft"])
    assert not (again / "rl-timing").exists() and not (again / "run.json").exists()
    assert (again / "notes.txt").is_file()


def test_a_question_that_a_model_cannot_read_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    pair = pair_of()
    long = replace(pair.test[0], prompt=pair.test[0].prompt * 20)
    with pytest.raises(InputError, match="leave out what a model cannot read|leave it out of the problems"):
        hybrid(pairs=[replace(pair, test=(*pair.test, long))], settings=SETTINGS, out=tmp_path / "h")
    assert not (tmp_path / "h").exists()


@pytest.mark.long
def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    out = tmp_path / "h"
    small = ("--train", "40", "--validation", "5", "--test", "12", "--layers", "2", "--strengths", "0.75")
    command = [
        sys.executable,
        "-m",
        "reasonlens.cli",
        "hybrid",
        "--thinking",
        "organism/rl-timing",
        *small,
        "--out",
        str(out),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        try:
            deadline = time.monotonic() + 120
            while not (out / "rl-timing" / "rollouts.jsonl").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            second = subprocess.run(command, capture_output=True, text=True, timeout=300)
        finally:
            os.kill(first.pid, signal.SIGKILL)
    assert second.returncode == 2, second.stderr
    assert f"is being written by process {first.pid}" in " ".join(second.stderr.split())


@pytest.mark.long
def test_a_run_that_is_killed_again_and_again_ends_in_the_bytes_of_an_undisturbed_one(
    done: tuple[HybridResult, Path], tmp_path: Path
) -> None:
    n_kills = killed.run_to_the_end(lambda: resume(tmp_path / "h"), step=3)
    assert n_kills >= 5
    assert files(tmp_path / "h") == files(done[1])


def test_everything_stays_json(done: tuple[HybridResult, Path]) -> None:
    for file in done[1].rglob("*.jsonl"):
        for line in file.read_text("utf-8").splitlines():
            json.loads(line)


@pytest.mark.long
def test_pairs_side_by_side_write_what_pairs_one_after_another_write(tmp_path: Path) -> None:
    models = ("organism/rl-timing", "organism/rl-skill")
    ends = []
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        result = hybrid(None, models, settings=SETTINGS, out=out, jobs=jobs, progress=False)
        ends.append({path.relative_to(out): path.read_bytes() for path in sorted(out.glob("**/*.*")) if _is_kept(path)})
        assert list(result.pairs) == ["rl-timing", "rl-skill"]
        run = result.pairs["rl-skill"].run
        assert run is not None and len(run.arms["hybrid"].records[0]) == 8, "what a process wrote is at hand here too"
    assert ends[0] == ends[1] and len(ends[0]) > 20


def _is_kept(path: Path) -> bool:
    return path.suffix in (".jsonl", ".safetensors", ".csv") or path.name == "results.json"

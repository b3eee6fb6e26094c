from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens import (
    Activations,
    Directions,
    collect,
    collect_moments,
    write_traces,
)
from reasonlens.cli.app import app
from reasonlens.vectors.extraction import METHODS, lda_directions
from reasonlens.vectors.formats.safetensors import restrict


@pytest.fixture
def acts(tiny, traces, tmp_path: Path) -> Path:
    collect(tiny(), traces, layers=[0, 2], read="before:1", out=tmp_path / "acts", progress=False)
    return tmp_path / "acts"


def run(*words: object):
    return CliRunner().invoke(app, ["directions", *map(str, words)])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_writes_its_directions_and_says_how_stable_they_are(
    acts: Path, tmp_path: Path, method: str
) -> None:
    done = run(acts, "--method", method, "--out", tmp_path / "v.safetensors", "--bootstrap", "5")
    assert done.exit_code == 0, done.output
    assert "backtracking" in done.stdout and "24 / 12" in done.stdout and "halves" in done.stdout
    opened = Directions.open(tmp_path / "v.safetensors")
    assert opened.layers == (0, 2) and opened.read == "before:1"
    for behaviour in ("backtracking", "deduction", "verification"):
        scores = opened.scores[behaviour]
        assert all(len(scores[f"bootstrap_cosine{end}"]) == 2 for end in ("", "_low", "_high"))
    expected = METHODS[method].find(Activations.open(acts))
    assert expected.at("backtracking", 2).tolist() == pytest.approx(opened.at("backtracking", 2).tolist(), abs=1e-6)


def test_n_counts_the_problems_of_each_label_and_not_all_of_them(tiny, traces, tmp_path: Path) -> None:
    rare = [
        replace(trace, spans=tuple(span for span in trace.spans if number < 5 or span.label != "backtracking"))
        for number, trace in enumerate(traces)
    ]
    collect(tiny(), rare, layers=[0], out=tmp_path / "acts", progress=False)
    collect_moments(tiny(), rare, layers=[0], out=tmp_path / "moments", progress=False)
    out = tmp_path / "v.safetensors"
    done = run(tmp_path / "acts", "--out", out, "--bootstrap", "0")
    counts = {"backtracking": "10 / 5", "deduction": "24 / 12", "verification": "24 / 12"}
    for label, count in counts.items():
        (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith(label)]
        assert line.rstrip().endswith(count), line
    said = json.loads(run(tmp_path / "acts", "--out", out, "--bootstrap", "0", "--json").stdout)
    assert {name: row["n_problems"] for name, row in said["behaviours"].items()} == {
        "backtracking": 5,
        "deduction": 12,
        "verification": 12,
    }
    assert Directions.open(out).n_problems == 12
    restrict(Directions.open(out), "backtracking", None).save(tmp_path / "one.safetensors")
    assert Directions.open(tmp_path / "one.safetensors").n_problems_showing == {"backtracking": 5}
    assert "10 / –" in run(tmp_path / "moments", "--out", out).stdout  # which keep no problems by label


def test_options_layers_behaviours_and_content_reach_the_method(acts: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.safetensors"
    given = [acts, "--method", "lda", "--set", "shrinkage=0.5", "--layers", "2", "--behaviours", "backtracking"]
    done = run(*given, "--bootstrap", "0", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    said, opened = json.loads(done.stdout), Directions.open(out)
    assert opened.layers == (2,) and opened.behaviours == ("backtracking",) == tuple(said["behaviours"])
    assert said["method"].startswith("lda, covariance shrunk to its diagonal by 0.5")
    expected = lda_directions(Activations.open(acts), shrinkage=0.5)
    assert opened.at("backtracking", 2).tolist() == pytest.approx(expected.at("backtracking", 2).tolist(), abs=1e-6)
    assert said["behaviours"]["backtracking"]["norm"] == pytest.approx(
        float(expected.at("backtracking", 2).norm()) / expected.residual_norm[1], rel=1e-4
    )
    for bootstrap in ("0", "4"):
        removed = run(*given, "--bootstrap", bootstrap, "--remove-content", "3", "--out", out)
        assert removed.exit_code == 0 and "removed" in removed.stdout
        assert Directions.open(out).scores["backtracking"]["content_components"] == [3.0]


def test_moments_and_files_of_activations_are_taken_too(tiny, traces, acts: Path, tmp_path: Path) -> None:
    collect_moments(tiny(), traces, layers=[0, 2], covariance=True, out=tmp_path / "moments", progress=False)
    Activations.open(acts).save(tmp_path / "acts.safetensors")
    for source in (tmp_path / "moments", tmp_path / "moments" / "moments.safetensors", tmp_path / "acts.safetensors"):
        done = run(source, "--method", "ridge", "--out", tmp_path / "v.safetensors", *[])
        assert done.exit_code == 0, done.output
        assert ("bootstrap" in done.stdout.lower()) == (source == tmp_path / "acts.safetensors")
        assert Directions.open(tmp_path / "v.safetensors").layers == (0, 2)


def test_vectors_are_optimised_through_a_model(tiny, traces, tmp_path: Path) -> None:
    tiny().model.save_pretrained(tmp_path / "model")
    tiny().tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    given = ["--method", "optimised", "--model", tmp_path / "model", "--traces", tmp_path / "traces.jsonl"]
    sets = [word for each in ("max_steps=4", "n_folds=3", "bias=true") for word in ("--set", each)]
    done = run(
        *given, *sets, "--layers", "1", "--bootstrap", "2", "--device", "cpu", "--out", tmp_path / "v.safetensors"
    )
    assert done.exit_code == 0, done.output
    assert "->" in done.stdout and "bias" in done.stdout
    opened = Directions.open(tmp_path / "v.safetensors")
    assert opened.layers == (1,) and "bootstrap_cosine" in opened.scores["backtracking"]


def test_words_are_put_before_sentences_where_the_model_is_at_hand(tiny, traces, tmp_path: Path) -> None:
    tiny().model.save_pretrained(tmp_path / "model")
    tiny().tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    collect(tiny(), traces, layers=[1], out=tmp_path / "acts", progress=False)
    given = ["--bootstrap", "0", "--out", tmp_path / "v.safetensors"]
    places = ["--model", tmp_path / "model", "--traces", tmp_path / "traces.jsonl", "--device", "cpu"]
    table = run("--layers", "1", *places, *given)
    assert table.exit_code == 0, table.output
    assert "Tell-tale openers before plain sentences" in table.stdout and "Wait," in table.stdout
    said = json.loads(run(tmp_path / "acts", *places, *given, "--json").stdout)
    assert {row["detector"] for row in said["injection_loudest"]} == {"direction"}
    assert said["injection"] == [rate.to_dict() for rate in Directions.open(tmp_path / "v.safetensors").injection]
    for words, lines in (([], 1), (["--no-injection"], 0)):
        without = run(tmp_path / "acts", *given, *words)
        assert without.exit_code == 0 and "Tell-tale openers" not in without.stdout
        assert without.stderr.count("it reads new texts; give --model and --traces of the activations") == lines
    off = run("--layers", "1", *places, *given, "--no-injection")
    assert "Tell-tale openers" not in off.stdout and not Directions.open(tmp_path / "v.safetensors").injection


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "magic"], "no way 'magic' to find directions; there are mean-difference, pca"),
        (["--set", "shrinkage=0.5"], "mean-difference has no option 'shrinkage'; it has against, rescale"),
        (["--set", "shrinkage"], "--set takes NAME=VALUE, and 'shrinkage' is not"),
        (["--behaviours", "dreaming"], "no span shows 'dreaming'"),
        (["--layers", "1"], "layer 1 was not collected; these were: 0, 2"),
        (["--remove-content", "2.5"], "is a count (4) or a share below 1 (0.5), and 2.5 is neither"),
        (["--remove-content", "12"], "cannot be told from 12 problems; ask for at most 11"),
        (["--bootstrap", "1"], "at least 2 resamples"),
        (["--model", "organism/base-timing"], "model alone cannot be used: give --traces too"),
        (["--method", "optimised"], "no activations and no content to remove"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(acts: Path, tmp_path: Path, words: list[str], message: str) -> None:
    done = run(acts, "--out", tmp_path / "v.safetensors", *words)
    assert done.exit_code == 2 and done.stdout == "" and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reasonlens: ")]
    assert message in line and not (tmp_path / "v.safetensors").exists()


def test_what_is_missing_is_named(tiny, traces, tmp_path: Path) -> None:
    out = tmp_path / "v.safetensors"
    collect_moments(tiny(), traces, layers=[0], out=tmp_path / "moments", progress=False)
    (tmp_path / "other.safetensors").write_bytes(b"no")
    for words, message in (
        ([], "mean-difference needs activations: give what `reasonlens collect --out` wrote"),
        (["--method", "optimised"], "searches through a model: give --model and --traces"),
        ([tmp_path / "absent"], "there is nothing at"),
        ([tmp_path / "other.safetensors"], "other.safetensors"),
        ([tmp_path / "moments", "--method", "lda"], "covariances were not collected"),
        ([tmp_path / "moments", "--method", "pca"], "pca of paired differences needs every span's"),
        ([tmp_path / "moments", "--bootstrap", "9"], "moments keep no problems"),
        (
            ["--method", "optimised", "--model", "organism/base-timing", "--traces", "bundled", "--set", "C=1"],
            "optimised has no option 'C'; it has bias, bias_only, cache_gigabytes",
        ),
    ):
        done = run("--out", out, *words)
        assert done.exit_code == 2 and message.lower() in done.stderr.lower(), done.output

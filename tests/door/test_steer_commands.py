from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from reasonlens.cli.app import app
from reasonlens.cli.next_steer import ORGANISM_PROBLEM as PROMPT
from reasonlens.models import load
from reasonlens.organisms.corpus import vocabulary
from reasonlens.vectors import Directions

BASE, RL = "organism/base-timing", "organism/rl-timing"


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Towards the word "well", of two organisms, and of a file that does not say the norm."""
    folder = tmp_path_factory.mktemp("vectors")
    paths = {}
    for name in (BASE, RL, "unknown"):
        model = load(BASE if name == "unknown" else name, device="cpu")
        head = model.model.get_output_embeddings().weight.detach()
        directions = Directions(
            vectors={"verification": (head[vocabulary()["well"]] - head.mean(0)).expand(4, -1).clone()},
            layers=(0, 1, 2, 3),
            method="planted",
            model=model.identity(),
            read="before:1",
            residual_norm=(float("nan"),) * 4 if name == "unknown" else (22.0, 33.0, 47.0, 104.0),
            n_examples={"verification": 3},
            n_problems=2,
        )
        paths[name] = folder / f"{name.replace('/', '-')}.safetensors"
        directions.save(paths[name])
    return paths


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_prompt_is_answered_unsteered_and_steered_with_the_same_numbers(vectors: dict[str, Path]) -> None:
    given = ("--prompt", PROMPT, "--behaviour", "verification", "--layer", "3", "--max-new-tokens", "20")
    code, out, err = run("steer", "write", vectors[BASE], *given, "--strength", "2", "--json")
    found = json.loads(out)
    assert code == 0 and found["steered"] != found["unsteered"]
    assert found["steered"].startswith("well") and found["n_steered"] == 20
    code, out, err = run("steer", "write", vectors[BASE], *given, "--strength", "0")
    assert code == 0 and "unsteered" in out and "0 of 74 tokens steered" in err
    assert out.count(found["unsteered"]) == 2


def test_an_unknown_norm_is_measured_and_said_to_be(vectors: dict[str, Path]) -> None:
    given = ("--prompt", PROMPT, "--behaviour", "verification", "--layer", "3", "--max-new-tokens", "5")
    code, _, err = run("steer", "write", vectors["unknown"], *given, "--model", BASE)
    assert code == 0 and "measuring it" in err
    code, _, err = run("steer", "write", vectors["unknown"], *given, "--absolute")
    assert code == 0 and "measuring it" not in err


def test_a_sweep_writes_a_report_and_is_taken_up_where_it_stood(vectors: dict[str, Path], tmp_path: Path) -> None:
    given = (
        *(
            "steer",
            "sweep",
            vectors[BASE],
            "--out",
            tmp_path / "s",
            "--layers",
            "3",
            "--strengths",
            "0.5,1",
        ),
        *("--random", "2", "--n-problems", "4", "--max-new-tokens", "12", "--temperature", "0"),
    )
    code, out, err = run(*given)
    assert code == 0 and "verification" in out and "rank" in out and str(tmp_path / "s" / "report.html") in err
    results = (tmp_path / "s" / "results.json").read_text()
    assert json.loads(results)["format"] == "reasonlens.effect/3"
    assert {path.name for path in (tmp_path / "s").iterdir()} == {
        *("run.json", "outcomes.jsonl", "results.json", "table.csv", "tables", "report.html"),
    }
    code, out, _ = run(*given, "--json")
    assert code == 0 and out == results
    code, _, err = run(*given, "--seed", "5")
    assert code == 2 and "holds another run (seed 0 there, 5 asked" in err


def test_layer_and_strength_are_found_and_used_by_writing_and_export(vectors: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "f"
    sizes = ("--n-problems", "4", "--max-new-tokens", "12", "--temperature", "0")
    words = ("steer", "find", vectors["unknown"], "--out", out, "--layers", "2,3", "--strengths", "0.5,1", *sizes)
    code, said, err = run(*words, "--model", BASE)
    assert code == 0 and "verification" in said and "full grid" in said and str(out / "report.html") in err
    assert "reasonlens steer sweep" in err and "--seed 1" in err
    assert {path.name for path in out.iterdir()} == {
        *("run.json", "answers.jsonl", "results.json", "table.csv", "tables", "report.html", "vectors.safetensors"),
    }
    choice = Directions.open(out / "vectors.safetensors").choices["verification"]
    code, said, _ = run(*words, "--model", BASE, "--json")
    assert code == 0 and json.loads(said)["choices"]["verification"]["layer"] == choice.layer
    written = ("steer", "write", out / "vectors.safetensors", "--prompt", PROMPT, "--behaviour", "verification")
    code, said, _ = run(*written, "--max-new-tokens", "5")
    assert code == 0 and f"verification x {choice.strength:g} at layer {choice.layer}" in said
    code, said, _ = run("export", out / "vectors.safetensors", "--print", "transformers")
    assert code == 0 and f"{choice.strength!r} * " in said


def test_layers_are_ranked_beside_the_auroc_of_another_file(vectors: dict[str, Path], tmp_path: Path) -> None:
    directions = Directions.open(vectors[BASE])
    ranked = replace(directions, scores={"verification": {"auroc": [0.6, 0.7, 0.9, 0.8]}})
    ranked.save(tmp_path / "ranked.safetensors")
    code, out, _ = run(
        *(
            "steer",
            "sweep",
            vectors[BASE],
            "--out",
            tmp_path / "s",
            "--layers",
            "2,3",
            "--strengths",
            "1",
        ),
        *("--random", "1", "--n-problems", "2", "--max-new-tokens", "4", "--auroc", tmp_path / "ranked.safetensors"),
        "--json",
    )
    assert code == 0 and [row["auroc"] for row in json.loads(out)["layers"]] == [0.9, 0.8]


def test_models_are_steered_with_each_others_directions(vectors: dict[str, Path], tmp_path: Path) -> None:
    code, out, _ = run(
        *("steer", "matrix", vectors[BASE], vectors[RL], "--out", tmp_path / "m"),
        *("--behaviour", "verification", "--layer", "3", "--strengths", "1", "--random", "1", "--n-problems", "4"),
        *("--max-new-tokens", "12", "--temperature", "0", "--json"),
    )
    assert code == 0
    assert {(row["source"], row["target"]) for row in json.loads(out)} == {
        (source, target) for source in (BASE, RL) for target in (BASE, RL)
    }
    assert (tmp_path / "m" / "report.html").is_file() and (tmp_path / "m" / "effects.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--behaviour", "dancing", "--layer", "1"), "no direction for 'dancing'; there are directions for"),
        (
            ("--behaviour", "verification", "--layer", "9"),
            f"layer 9 does not exist: {BASE} has 4 blocks (0..3)",
        ),
        (("--behaviour", "verification", "--layer", "1", "--strength", "nan"), "a strength must be a finite number"),
        (("--behaviour", "verification", "--layer", "1", "--when", "never"), "unknown tokens 'never' to steer"),
        (("--behaviour", "verification", "--layer", "1", "--when", "sentences:2"), "a dose keeps a share of itself"),
        (("--behaviour", "verification", "--layer", "1", "--operation", "sing"), "there is no operation 'sing'"),
        (
            ("--behaviour", "verification", "--layer", "1", "--model", RL),
            f"was found in {BASE}",
        ),
        (
            ("--behaviour", "verification", "--layer", "1", "--template", "x"),
            "'x' is not one of 'auto', 'chat', 'plain'",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    vectors: dict[str, Path], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run("steer", "write", vectors[BASE], "--prompt", PROMPT, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_files_and_questions_that_are_not_there_are_named(vectors: dict[str, Path], tmp_path: Path) -> None:
    given = ("--out", tmp_path / "s", "--n-problems", "4")
    code, _, err = run("steer", "sweep", tmp_path / "absent.safetensors", *given)
    assert code == 2 and "cannot read directions" in err
    code, _, err = run("steer", "sweep", vectors[BASE], *given, "--problems", tmp_path / "no.jsonl")
    assert code == 2 and "no.jsonl is no file and no problem set" in err
    code, _, err = run("steer", "sweep", vectors[BASE], *given, "--strengths", "1,much")
    assert code == 2 and "--strengths': '1,much' is not numbers joined by commas" in err
    code, _, err = run(
        *("steer", "matrix", vectors[BASE], "--out", tmp_path / "m"),
        *("--behaviour", "verification", "--layer", "1"),
    )
    assert code == 2 and "a matrix needs the directions of two or more models" in err
    assert not (tmp_path / "s").exists() and not (tmp_path / "m").exists()
    torch.manual_seed(0)

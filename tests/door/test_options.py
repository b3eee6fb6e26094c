"""Options of the commands: one meaning, text and type for each name; paths, names and numbers as they are typed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from reasonlens import InputError, write_traces
from reasonlens.cli.app import app
from reasonlens.cli.options import Names, Numbers, assignments, name_or_path, path_of

OTHER_SIZES = "what is chosen on the problems; each command has sizes of its own"
# Options whose text or type differs between commands, and why.
OTHER_TEXT = {
    "--arms": "of a hybrid, or ways to elicit reasoning",
    "--behaviours": "a set with definitions where sentences are labelled, names of behaviours elsewhere",
    "--out": "a directory of results for some commands, one file for others; each has one text",
    "--form": "of a file of traces, or of the answers that are rewarded",
    "--pairs": "pairs of models, or of prompts",
    "--engine": "what collects activations on a cluster, or what runs a model that writes",
    "--read": "several from one pass where activations are collected, one where one is read or chosen",
    "--site": "as --read",
    "--thinking": "several models make several pairs, but pass@k and a comparison of ways to elicit are of one",
    "--train": "what learns from the problems; each command has sizes of its own",
    "--validation": OTHER_SIZES,
}
OTHER_TYPE = {
    name: OTHER_TEXT[name]
    for name in ("--behaviours", "--engine", "--form", "--pairs", "--read", "--site", "--thinking")
}
# Options whose default differs between commands, and why.
OTHER_DEFAULT = {
    "--behaviours": "as its text",
    "--behaviour": "required where one direction steers; a file of one behaviour needs no name",
    "--bootstrap": "directions draw 200 of activations and none of moments, probes 1000",
    "--engine": OTHER_TEXT["--engine"],
    "--form": OTHER_TEXT["--form"],
    "--format": "required to read a file; `export` can print code instead",
    "--layer": "required where something steers; probes know their best layer",
    "--layers": "a hybrid tries three by default, files go out whole",
    "--max-new-tokens": "responses of organisms are shorter than those that are read aloud",
    "--model": "files of directions and probes name their model; organisms write the traces of `organisms traces`",
    "--n": "a file holds hundreds of responses, a look shows a few",
    "--n-problems": "a sweep solves its problems many times over, an evaluation of organisms once",
    "--out": "results of locate and hybrid have a usual place under runs/",
    "--prompt": "required to write; a text to score may answer nothing",
    "--read": "none where activations of one read say which it is",
    "--rows": "samples are long, and their keys and values fill a device",
    "--samples": "a response of an exchange is written several times over until its behaviours are right",
    "--strengths": "the sweep tries more of them than the matrix and the hybrid",
    "--temperature": "0 where one response is shown or the published protocol is greedy",
    "--thinking": OTHER_TEXT["--thinking"],
    "--template": "a base gets vectors as it is asked in a pair, by the bare question",
    "--top-p": "a stability repeats the published protocol, samples are the model's own distribution",
    "--traces": "what is scored or optimised on is always named",
    "--when": "one response is steered throughout, a sweep where sentences begin",
}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command of the tree that does something, with its words."""
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, sub_command in command.commands.items():
        yield from commands(sub_command, (*path, name))


COMMANDS = dict(commands(get_command(app)))


def shared(feature: str) -> dict[str, set[str]]:
    """For each option of two or more commands, the different values of a feature."""
    found: dict[str, list[str]] = defaultdict(list)
    for command in COMMANDS.values():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                value = {
                    "text": parameter.help,
                    "type": parameter.type_descriptor.annotation,
                    "default": (parameter.default, parameter.required),
                }[feature]
                found[max(parameter.opts, key=len)].append(str(value))
    return {name: set(values) for name, values in found.items() if len(values) > 1}


def test_there_is_every_command() -> None:
    assert len(COMMANDS) >= 18 and {"locate", "hybrid", "figure", "steer sweep", "organisms train"} <= set(COMMANDS)


@pytest.mark.parametrize(
    ("feature", "exceptions"), [("text", OTHER_TEXT), ("type", OTHER_TYPE), ("default", OTHER_DEFAULT)]
)
def test_an_option_is_the_same_in_every_command_unless_there_is_a_reason(
    feature: str, exceptions: dict[str, str]
) -> None:
    differing = {name: values for name, values in shared(feature).items() if len(values) > 1}
    assert set(differing) == set(exceptions), differing


def test_out_has_one_text_for_directories_and_one_for_files() -> None:
    assert len(shared("text")["--out"]) == 2


def test_every_option_has_a_text_and_every_command_a_first_line() -> None:
    for words, command in COMMANDS.items():
        assert command.help and command.help.splitlines()[0].endswith((".", "?")), words
        for parameter in command.params:
            assert parameter.help, f"{words} {parameter.name}"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_takes_quiet_and_one_seed_device_and_json_are_spelt_alike(words: str) -> None:
    options = {option for parameter in COMMANDS[words].params for option in parameter.opts}
    assert {"--quiet", "-q"} <= options
    assert not options & {"--verbose", "--silent", "--gpu", "--cuda", "--random-seed", "--output", "--as-json"}


def test_a_path_begins_at_home_with_a_tilde_in_every_option(tiny, traces, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny("llama").model.save_pretrained(tmp_path / "model")
    tiny("llama").tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    places = ["--model", "~/model", "--traces", "~/traces.jsonl", "--out", "~/acts", "--device", "cpu"]
    done = CliRunner().invoke(app, ["collect", *places])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "acts").is_dir()
    done = CliRunner().invoke(app, ["directions", "~/acts", "--bootstrap", "0", "--out", "~/v.safetensors"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "v.safetensors").is_file()
    done = CliRunner().invoke(app, ["export", "~/v.safetensors", "--print", "transformers", "--layer", "1"])
    assert done.exit_code == 2 and str(tmp_path) not in done.stdout  # several behaviours: none is named
    assert "name one (--behaviour" in done.stderr


def test_only_a_tilde_at_the_beginning_is_home(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert path_of("~/a~b") == Path("/home/me/a~b") and path_of("a/~") == Path("a/~")
    assert name_or_path("~/model.gguf") == "/home/me/model.gguf"
    assert name_or_path("Qwen/Qwen2.5-1.5B") == "Qwen/Qwen2.5-1.5B" and name_or_path("hf:x") == "hf:x"


def test_names_and_numbers_are_split_at_commas() -> None:
    assert (
        Names.parse("backtracking, deduction")
        == ("backtracking", "deduction")
        == Names.parse(("backtracking", "deduction"))
    )
    assert Numbers.parse("0.5,1e-3, -2") == (0.5, 0.001, -2.0) and Numbers.parse((1, 2)) == (1, 2)
    done = CliRunner().invoke(app, ["steer", "sweep", "v", "--out", "x", "--strengths", "1,,2"])
    assert done.exit_code == 2 and "'1,,2' is not numbers joined by commas, such as 0.5,1" in done.stderr


def test_assignments_are_read_as_numbers_truths_or_words() -> None:
    values = assignments(["shrinkage=0.5", "rescale=True", "model-id=gemma-2-2b", "against=overall", "n=null", "p=a=b"])
    assert values == {
        **{"shrinkage": 0.5, "rescale": True, "model_id": "gemma-2-2b", "against": "overall"},
        **{"n": "null", "p": "a=b"},
    }
    assert assignments(None) == {}
    for wrong in ("shrinkage", "=1", " =2"):
        with pytest.raises(InputError, match="--set takes NAME=VALUE"):
            assignments([wrong])


def test_layers_from_the_end_need_no_trick(tiny, traces, tmp_path: Path) -> None:
    tiny("llama").model.save_pretrained(tmp_path / "model")
    tiny("llama").tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    given = ["--model", str(tmp_path / "model"), "--traces", str(tmp_path / "traces.jsonl"), "--device", "cpu"]
    done = CliRunner().invoke(app, ["collect", *given, "--layers", "-2:", "--out", str(tmp_path / "acts"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["layers"] == [1, 2]
    done = CliRunner().invoke(
        app,
        ["directions", str(tmp_path / "acts"), "--layers=-1", "--bootstrap=0", f"--out={tmp_path / 'v'}", "--json"],
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["layers"] == [2]

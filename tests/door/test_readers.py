"""Files that hold something else than a reader expects: one line with the file and the remedy, never a traceback."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from typer.testing import CliRunner

from reasonlens import (
    Activations,
    Directions,
    InputError,
    Moments,
    SavedProbes,
    Trace,
    collect,
    collect_moments,
    encode,
    figure,
    iter_traces,
    locate,
    mean_difference_directions,
    open_problem_set,
    probe,
    read_traces,
    score,
    sweep,
    write_traces,
)
from reasonlens.cli.app import app
from reasonlens.pairs.hybrid.coefficient import Coefficients
from reasonlens.pairs.hybrid.components import Probes
from reasonlens.probes.saved import _digest
from reasonlens.rundir import content_digest, read_json, tensors_digest
from reasonlens.traces.question_files import read_questions

DEEP, ENDLESS = "[" * 100_000, "9" * 5_000
ODD: list[Any] = [
    None,
    True,
    -1,
    10**400,
    1e308,
    "",
    "x",
    "../x",
    [],
    {},
    [[]],
    [0, "x"],
    {"": None},
    [None],
    {"x": []},
]
QUICK = {"n_folds": 3, "n_bootstrap": 10, "n_shuffles": 1, "n_permutations": 2, "progress": False}
READERS: dict[str, Callable[[Path], Any]] = {
    "directions": Directions.open,
    "probes": SavedProbes.open,
    "activations": Activations.open,
    "moments": Moments.open,
    "coefficients": Coefficients.open,
    "probes of a hybrid": Probes.open,
}


@pytest.fixture(scope="module")
def files(tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One sound file of each kind, and a store."""
    from ..conftest import _short_trace

    place, traces = tmp_path_factory.mktemp("sound"), [_short_trace(number) for number in range(12)]
    activations = collect(tiny(), traces, layers=[0, 2], out=place / "store", progress=False)
    activations.save(place / "activations.safetensors")
    mean_difference_directions(activations, scores={"deduction": {"auroc": [0.5, 0.6]}}).save(
        place / "directions.safetensors"
    )
    sweep(activations, **QUICK).save_probes(place / "probes.safetensors")
    collect_moments(tiny(), traces, layers=[0, 2], out=place / "moments", progress=False)
    shutil.copy(place / "moments" / "moments.safetensors", place / "moments.safetensors")
    write_traces(traces, place / "traces.jsonl")
    return {file.stem if file.suffix == ".safetensors" else file.name: file for file in place.iterdir()}


def rewritten(file: Path, target: Path, description: Any) -> Path:
    """Write the tensors of a file with another description, whose digest is made right where it has one."""
    with safe_open(file, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}
    if isinstance(description, dict) and "sha256" in description:
        rest = {name: value for name, value in description.items() if name != "sha256"}
        description = rest | {"sha256": _digest(json.dumps(rest), tensors)}
    if isinstance(description, dict) and "digest" in description:
        rest = {name: value for name, value in description.items() if name != "digest"}
        description = rest | {"digest": tensors_digest(rest, tensors)}
    text = description if isinstance(description, str) else json.dumps(description)
    save_file(tensors, target, metadata={"reasonlens": text})
    return target


def description_of(file: Path) -> dict[str, Any]:
    with safe_open(file, framework="pt") as opened:
        description: dict[str, Any] = json.loads(opened.metadata()["reasonlens"])
    return description


def damaged(value: Any, rng: random.Random, odd: Any) -> Any:
    """Replace one part of a value, at any depth."""
    if isinstance(value, dict) and value and rng.random() < 0.7:
        key = rng.choice(list(value))
        return value | {key: damaged(value[key], rng, odd)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], damaged(value[place], rng, odd), *value[place + 1 :]]
    return odd


def check(read: Callable[[], Any], file: Path | str) -> None:
    """Call a reader: it refuses in one line that names the file, or what it returns can be used."""
    try:
        found = read()
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1_500 and Path(file).name in str(error), str(error)
        return
    repr(found)
    if isinstance(found, Activations):
        assert all(isinstance(label, str) for label in found.behaviours)
        for layer in found.layers:
            assert found.layer(layer).shape[0] == len(found.examples)
    if isinstance(found, Directions):
        assert all(vectors.isfinite().all() for vectors in found.vectors.values())
        assert all(isinstance(layer, int) for layer in found.layers)


@pytest.mark.parametrize("kind", ["directions", "probes", "activations", "moments"])
def test_every_description_of_another_shape_is_refused_in_one_line(
    files: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    rng, target, sound = random.Random(0), tmp_path / "odd.safetensors", description_of(files[kind])
    READERS[kind](rewritten(files[kind], target, sound))  # the control: what is as it was opens
    for text in (
        DEEP,
        ENDLESS,
        f'{{"format": {ENDLESS}}}',
        "null",
        "[]",
        '"text"',
        "7",
        "{",
        "\x00",
        json.dumps([sound]),
    ):
        with pytest.raises(InputError, match=r"odd\.safetensors"):
            READERS[kind](rewritten(files[kind], target, text))
    changes = [sound | {name: odd} for name in sound for odd in ODD]
    changes += [{key: value for key, value in sound.items() if key != name} for name in sound]
    changes += [damaged(sound, rng, rng.choice(ODD)) for _ in range(300)]
    for changed in changes:
        rewritten(files[kind], target, changed)
        check(partial(READERS[kind], target), target)


@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_another_kind_is_named_with_what_it_holds_and_what_to_give(
    files: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    for other in ("directions", "probes", "activations", "moments"):
        if other == kind:
            continue
        with pytest.raises(InputError, match=rf"holds no {kind} of reasonlens .*it holds {other} .*: give "):
            READERS[kind](files[other])
    save_file({"a": torch.zeros(2)}, tmp_path / "plain.safetensors")
    with pytest.raises(InputError, match="it is a file of another tool: give"):
        READERS[kind](tmp_path / "plain.safetensors")
    if kind != "activations":
        with pytest.raises(InputError, match=f"store holds no {kind} of reasonlens, it is a directory of activ"):
            READERS[kind](files["store"])
    with pytest.raises(InputError, match="cannot read .*absent"):
        READERS[kind](tmp_path / "absent.safetensors")
    for content in (b"", b"\xff\xfe\x00", b"x" * 100, b'{"a": 1}'):
        (tmp_path / "bytes.safetensors").write_bytes(content)
        with pytest.raises(InputError, match=r"bytes\.safetensors"):
            READERS[kind](tmp_path / "bytes.safetensors")


def test_a_manifest_of_any_shape_is_refused_in_one_line(files: dict[str, Path], tmp_path: Path) -> None:
    store, rng = tmp_path / "store", random.Random(0)
    shutil.copytree(files["store"], store)
    manifest = store / "manifest.json"
    sound = json.loads(manifest.read_text("utf-8"))
    del sound["digest"]
    Activations.open(store)
    for text in (DEEP, ENDLESS, "null", "[]", "7", "{", "\x00", '"x"'):
        manifest.write_text(text)
        with pytest.raises(InputError, match=r"manifest\.json"):
            Activations.open(store)
    manifest.write_bytes(b'{"format": "\xff"}')
    with pytest.raises(InputError, match=r"manifest\.json: byte 12 is not UTF-8"):
        Activations.open(store)
    changes = [sound | {name: odd} for name in sound for odd in ODD]
    changes += [damaged(sound, rng, rng.choice(ODD)) for _ in range(300)]
    for changed in changes:
        written = changed | {"digest": content_digest(changed)} if isinstance(changed, dict) else changed
        manifest.write_text(json.dumps(written))
        check(lambda: Activations.open(store), "store")


def lines() -> Iterator[tuple[bytes, str]]:
    row = {"id": "a", "prompt": "p", "text": "So it is.", "spans": [{"start": 0, "end": 2, "label": "x"}]}
    yield DEEP.encode(), "nested too deeply"
    yield json.dumps(row).replace('"p"', DEEP).encode(), "nested too deeply"
    yield json.dumps(row).replace("2", ENDLESS).encode(), "thousands of digits"
    yield b'{"id": "\xe9"}', "is not UTF-8"
    yield b"\xff\xfe{\x00", "is not UTF-8"
    yield b"[]", "expected a JSON object"
    yield b"null", "expected a JSON object"
    yield b'"x"', "expected a JSON object"
    for name in row:
        for odd in ODD:
            yield json.dumps(row | {name: odd}).encode(), ""
    for odd in ODD:
        yield json.dumps(row | {"spans": [odd]}).encode(), ""
        for name in ("start", "end", "label"):
            yield json.dumps(row | {"spans": [{"start": 0, "end": 2, "label": "x"} | {name: odd}]}).encode(), ""


def test_every_line_of_traces_is_a_trace_or_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    for line, message in lines():
        path.write_bytes(b'{"id": "first", "prompt": "p", "text": "t", "spans": []}\n' + line + b"\n")
        for read in (read_traces, lambda file: list(iter_traces(file))):
            if message:
                with pytest.raises(InputError, match=f"traces.jsonl, line 2.*{message}"):
                    read(path)
            else:
                check(partial(read, path), path)


def test_questions_figures_and_results_of_any_shape_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    for text in (DEEP, ENDLESS, "null", "[]", '{"question": []}', '{"question": "q", "answer": [[]]}', "{"):
        path.write_text(text)
        check(partial(read_questions, path), path)
        check(partial(open_problem_set, str(path)), path)
        check(partial(figure, path), path)
        check(lambda: read_json(path, "results"), path)
    path.write_bytes(b"\xff")
    for read in (read_questions, figure, lambda file: read_json(file, "results")):
        check(partial(read, path), path)


@pytest.mark.parametrize("record", [DEEP, ENDLESS, "null", "[]", '{"format": []}', '{"format": "reasonlens.run/1"}'])
def test_a_run_record_of_any_shape_is_refused_in_one_line(tiny, traces, tmp_path: Path, record: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text(record)
    with pytest.raises(InputError, match=r"run\.json cannot be read .*; choose another --out or remove it"):
        locate(tiny(), traces, out=tmp_path / "out", progress=False)


TEMPLATES = {
    "{{ raise_exception('Only assistants may speak') }}": "Only assistants may speak",
    "{% for %}": "fails on the prompt",
    "{{ messages[0]['content'] + 1 }}": "fails on the prompt",
    "{{ messages[7].content.nothing }}": "fails on the prompt",
    "{{ 1 / 0 }}": "fails on the prompt",
    "{{ ''.__class__.__mro__ }}": "fails on the prompt|leaves the user's words out",
    "{{ nothing() }}": "fails on the prompt",
    "hello": "leaves the user's words out",
    "{{ messages[0].content | upper }}": "leaves the user's words out",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_template_that_fails_is_named_with_the_remedy(
    tiny, traces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    model = tiny()
    monkeypatch.setattr(model.tokenizer, "chat_template", template)
    with pytest.raises(InputError, match=rf"chat template of tiny-llama .*({TEMPLATES[template]}).*'plain'"):
        encode(model, traces)
    assert len(encode(model, traces, template="plain")) == 12
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    words = ["collect", "--model", tmp_path / "model", "--traces", tmp_path / "traces.jsonl", "--out", tmp_path / "out"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert [line for line in done.stderr.splitlines() if line.startswith("reasonlens: the chat template of")]


STEERED = ("--behaviour", "deduction", "--layer", "0", "--prompt", "x")


def test_commands_refuse_a_file_of_another_kind_and_a_path_that_is_no_utf_8(
    files: dict[str, Path], tmp_path: Path
) -> None:
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    for words, message in (
        (["score", files["directions"], "--text", "So."], "holds no probes of reasonlens"),
        (["score", files["store"], "--text", "So."], "it is a directory of activations"),
        (["steer", "write", files["probes"], *STEERED], "holds no directions of reasonlens"),
        (["export", files["probes"], "--format", "repeng", "--out", tmp_path / "e"], "holds no directions of"),
        (["directions", files["probes"], "--out", tmp_path / "v"], "holds no activations of reasonlens"),
        (["probe", files["directions"], "--out", tmp_path / "p"], "holds no activations of reasonlens"),
        (["figure", files["directions"], "--out", tmp_path / "f.html"], "cannot"),
        (["directions", files["store"], "--out", strange], "is not UTF-8"),
        (["collect", "--traces", strange, "--out", tmp_path / "o"], "is not UTF-8"),
        (["collect", "--traces", files["traces.jsonl"], "--out", strange], "is not UTF-8"),
    ):
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.exit_code == 2 and "Traceback" not in done.output, (words, done.output)
        assert message in done.stderr, (words, done.stderr)


def test_traces_are_taken_from_a_file_from_objects_from_dictionaries_and_from_generators(
    tiny, traces: list[Trace], files: dict[str, Path]
) -> None:
    rows = [json.loads(line) for line in files["traces.jsonl"].read_text("utf-8").splitlines()]
    expected = collect(tiny(), traces, layers=[1], progress=False)
    for given in (files["traces.jsonl"], str(files["traces.jsonl"]), rows, tuple(traces), iter(rows), iter(traces)):
        assert torch.equal(collect(tiny(), given, layers=[1], progress=False).layer(1), expected.layer(1))
    by_row = collect_moments(tiny(), rows, layers=[1], progress=False)
    assert torch.equal(by_row.overall_mean, collect_moments(tiny(), traces, layers=[1], progress=False).overall_mean)
    reference = sweep(expected, **QUICK).to_frame()
    assert probe(model=tiny(), traces=rows, layers=[1], progress=False).sweep.n_examples == len(expected.examples)
    location = locate(tiny(), rows, progress=False)
    assert location.sweep.n_examples == len(expected.examples) and len(reference) == 3
    stored = sweep(files["store"], **QUICK)
    assert stored.layers == (0, 2)
    assert stored.to_frame().equals(sweep(Activations.open(files["store"]), **QUICK).to_frame())
    for call in (collect, collect_moments, locate):
        with pytest.raises(InputError, match=r"trace 1: 3 \(int\) is no trace; give 'bundled', a JSONL file"):
            call(tiny(), [3], progress=False)
        with pytest.raises(InputError, match=r"7 \(int\) is no trace"):
            call(tiny(), 7, progress=False)
        with pytest.raises(InputError, match="trace 2: there is no key 'probelm'; did you mean 'problem'"):
            call(tiny(), [rows[0], rows[1] | {"probelm": "x"}], progress=False)
    with pytest.raises(InputError, match="Of traces, collect them first"):
        sweep(traces)
    with pytest.raises(InputError, match="is neither a string nor a Trace"):
        score(tiny(), [3], files["probes"])
    with pytest.raises(InputError, match="is no path of activations"):
        probe([3])

"""Searching layer and strength on an organism: a planted direction is found within the limit, and used afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reasonlens.analysis.effect import FindSettings, SteeringSearch, steer_find, steer_write
from reasonlens.analysis.effect.answers import Answers, total_divergence
from reasonlens.analysis.effect.task import Task, task_for
from reasonlens.generation import Sampling, encode_prompts, write
from reasonlens.models import LanguageModel, load
from reasonlens.organisms.corpus import vocabulary
from reasonlens.rundir import InputError, parse_json
from reasonlens.traces import Span
from reasonlens.vectors import Directions, export, steer
from reasonlens.vectors.formats import snippet

SETTINGS = FindSettings(
    strengths=(0.05, 1.5, 3.0),
    kl_limit_nats=0.3,
    n_problems=8,
    sampling=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=24),
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load("organism/base-timing", device="cpu")


@pytest.fixture(scope="module")
def directions(model: LanguageModel) -> Directions:
    """At block 3 towards an opener, elsewhere anything."""
    head = model.model.get_output_embeddings().weight.detach()
    vectors = torch.randn(4, head.shape[1], generator=torch.Generator().manual_seed(0))
    vectors[3] = head[vocabulary()["well"]] - head.mean(0)
    return Directions(
        vectors={"verification": vectors},
        layers=(0, 1, 2, 3),
        method="planted",
        model=model.identity(),
        read="before:1",
        residual_norm=(22.0, 33.0, 47.0, 104.0),
        n_examples={"verification": 1},
        n_problems=1,
    )


@pytest.fixture(scope="module")
def task(model: LanguageModel) -> Task:
    """Every sentence with the opener is verification."""

    def annotator(prompt: str, text: str) -> list[Span]:
        spans, place = [], 0
        for sentence in text.split(" ."):
            if "well" in sentence.split():
                spans.append(Span(place, place + len(sentence), "verification"))
            place += len(sentence) + 2
        return spans

    return replace(task_for(model, ["verification"], n_problems=8), annotator=annotator)


@pytest.fixture(scope="module")
def done(
    model: LanguageModel, directions: Directions, task: Task, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SteeringSearch, Path]:
    out = tmp_path_factory.mktemp("find") / "run"
    return steer_find(model, directions, settings=SETTINGS, task=task, out=out, progress=False), out


def test_the_planted_layer_is_found_within_the_limit_at_less_than_the_cost_of_the_grid(
    done: tuple[SteeringSearch, Path],
) -> None:
    search, _ = done
    choice, frame = search.choices["verification"], search.to_frame()
    assert (choice.layer, choice.strength) == (3, 1.5) and choice.kl_nats <= 0.3
    assert search.effects["verification"].low > 0.1 and search.effects["verification"].n == 8
    # 12 cells on 2 problems, 6 on the next 2, 3 on the last 4, less what the limit drops
    assert search.n_decoded["verification"] <= 12 * 2 + 6 * 2 + 3 * 4 < search.n_grid == 12 * 8
    assert frame[frame["dropped"] == "over the KL limit"]["kl_nats"].min() > 0.3
    assert (frame[frame["dropped"] != "over the KL limit"]["kl_nats"] <= 0.3).all()
    assert (frame[frame["strength"] == 0.05]["kl_nats"] > 0).all()


def test_a_search_that_was_cut_off_goes_on_and_ends_in_the_same_bytes(
    done: tuple[SteeringSearch, Path],
    model: LanguageModel,
    directions: Directions,
    task: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search, out = done
    answered: list[range] = []

    def some(self: Answers, behaviour: str, layer: int, strength: float, numbers: range) -> dict[str, object]:
        answered.append(numbers)
        if len(answered) == 9:
            raise KeyboardInterrupt
        return whole(self, behaviour, layer, strength, numbers)

    whole = Answers._answered
    monkeypatch.setattr(Answers, "_answered", some)
    again = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        steer_find(model, directions, settings=SETTINGS, task=task, out=again, progress=False)
    resumed = steer_find(model, directions, settings=SETTINGS, task=task, out=again, progress=False)
    names = ("results.json", "answers.jsonl", "table.csv", "vectors.safetensors")
    assert all((again / name).read_bytes() == (out / name).read_bytes() for name in names)
    assert resumed.trials == search.trials and len(answered) == len((out / "answers.jsonl").read_text().splitlines())


def test_the_divergence_is_that_of_the_distributions_the_tokens_were_drawn_from(
    model: LanguageModel, directions: Directions, task: Task
) -> None:
    """Token by token over a cache, each model after what was written."""
    (prompt,) = encode_prompts(model, [task.questions[0].prompt])
    options = {"layer": 3, "strength": 1.5, "when": "response"}
    with steer(model, directions["verification"], **options):
        (written,) = write(model, [prompt], SETTINGS.sampling, seed=1)
    total = 0.0
    with torch.no_grad():
        for n in range(len(written.tokens)):
            ids = torch.tensor([[*prompt, *written.tokens[:n]]])
            q = model.model(ids).logits[0, -1].double().log_softmax(-1)
            with steer(model, directions["verification"], n_prompt_tokens=len(prompt), **options):
                p = model.model(ids).logits[0, -1].double().log_softmax(-1)
            total += float((p.exp() * (p - q)).sum())
    measured = total_divergence(model, prompt, written.tokens, directions["verification"], options)
    assert measured == pytest.approx(total, rel=1e-4) and total > 0.5
    assert total_divergence(model, prompt, (), directions["verification"], options) == 0


def test_what_was_found_is_read_by_export_snippets_and_writing(
    done: tuple[SteeringSearch, Path], model: LanguageModel, directions: Directions, task: Task, tmp_path: Path
) -> None:
    search, out = done
    choice = search.choices["verification"]
    opened = Directions.open(out / "vectors.safetensors")
    assert opened.choices == search.choices
    (file,) = export(opened, tmp_path / "v.gguf", "repeng", behaviour="verification")
    (same,) = export(directions, tmp_path / "w.gguf", "repeng", layers=[3], strength=choice.strength)
    assert file.read_bytes() == same.read_bytes()
    (every,) = export(opened, tmp_path / "x.gguf", "repeng", layers="all")
    assert every.read_bytes() != file.read_bytes(), "layers that are named are written as they stand"
    code = "\n".join(snippet("transformers", opened, out / "vectors.safetensors"))
    assert f"{choice.strength!r} *" in code and "--layer 3" in code or "[3]" in code
    sampling = Sampling(n_samples=1, temperature=0, max_new_tokens=4)
    prompt = task.questions[0].prompt
    response = steer_write(model, opened, prompt, behaviour="verification", sampling=sampling)
    assert (response.layer, response.strength, response.kl_nats) == (3, choice.strength, None)
    with pytest.raises(InputError, match="no layer is given, and none was found for 'verification'"):
        steer_write(model, directions, prompt, behaviour="verification", sampling=sampling)


def test_a_search_through_sentences_steers_on_and_its_file_says_so(
    model: LanguageModel, directions: Directions, task: Task, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, layers=(3,), strengths=(0.05,), n_problems=3)
    steered = {}
    for when in ("sentences", "sentences:0.5"):
        found = steer_find(
            *(model, directions), settings=replace(settings, when=when), task=task, out=tmp_path / when, progress=False
        )
        (trial,) = found.trials["verification"]
        steered[when] = trial.share_steered
        about = Directions.open(tmp_path / when / "vectors.safetensors").choices["verification"].about
        assert f"steered: {when}, add" in about
    assert 1.5 * steered["sentences"] < steered["sentences:0.5"] <= 1
    opened = Directions.open(tmp_path / "sentences:0.5" / "vectors.safetensors")
    asked = {"behaviour": "verification", "sampling": Sampling(n_samples=1, temperature=0, max_new_tokens=12)}
    prompt = task.questions[0].prompt
    as_found = steer_write(model, opened, prompt, **asked)
    assert as_found == steer_write(model, opened, prompt, when="sentences:0.5", **asked)
    assert as_found.n_steered < steer_write(model, opened, prompt, when="all", **asked).n_steered


def test_a_damaged_finding_is_refused(directions: Directions, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    directions.save(tmp_path / "d.safetensors")
    with safe_open(tmp_path / "d.safetensors", "pt") as file:
        about = json.loads(file.metadata()["reasonlens"])
    right = {"layer": 3, "strength": 1.0, "kl_nats": 0.1, "when": "sentences", "about": ""}
    about["choices"] = {"verification": right | {"layer": "3"}}
    save_file(directions.vectors, tmp_path / "d.safetensors", metadata={"reasonlens": json.dumps(about)})
    with pytest.raises(InputError, match="what a search found is no layer and strength"):
        Directions.open(tmp_path / "d.safetensors")


def test_where_nothing_keeps_to_the_limit_the_gentlest_is_named(
    model: LanguageModel, directions: Directions, task: Task
) -> None:
    settings = replace(SETTINGS, kl_limit_nats=1e-7, layers=(3,), strengths=(3.0, 1.5))
    with pytest.raises(InputError, match=r"moves the model by 0\.\d+ nats a token or more .layer 3, strength 1.5."):
        steer_find(model, directions, settings=settings, task=task, progress=False)


def test_results_come_back_from_plain_values(done: tuple[SteeringSearch, Path]) -> None:
    search, out = done
    again = SteeringSearch.from_dict(parse_json((out / "results.json").read_bytes(), "results"))
    assert (
        again.to_frame().equals(search.to_frame()) and again.choices == search.choices and repr(again) == repr(search)
    )
    assert again.report() and search.figure() is not None and "verification" in search._repr_html_()
    with pytest.raises(InputError, match="this is no reasonlens.steering-search/1"):
        SteeringSearch.from_dict({"format": "other"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kl_limit_nats": 0.0}, "the limit of KL must be a number of nats above 0"),
        ({"strengths": (0.0, 1.0)}, "a strength of 0 steers nothing"),
        ({"strengths": ()}, "strengths must be finite numbers"),
        ({"n_problems": 1}, "at least two problems"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FindSettings(**options)  # type: ignore[arg-type]

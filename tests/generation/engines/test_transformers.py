"""Samples of the transformers engine: the same alone and in any batch, ended by texts, with tags of thoughts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from reasonlens.generation import Sampling, encode_prompts, generate
from reasonlens.generation.engines import ENGINES, Manner, Place, Request, Response, engine_of, sample_seed
from reasonlens.generation.engines.engine import cut
from reasonlens.generation.engines.transformers_ import Texts
from reasonlens.models import LanguageModel, wrap
from reasonlens.rundir import InputError

REQUESTS = [
    Request(number=10**17 + place * 7 + sample, prompt=prompt)
    for place, prompt in enumerate(["What is 2 + 2?", "How far?", "Which of the boats is the last to leave?"])
    for sample in range(3)
]
MANNER = Manner(sampling=Sampling(temperature=1.0, top_p=0.95, max_new_tokens=20), seed=5)


def written(
    model: LanguageModel,
    requests: Sequence[Request] = REQUESTS,
    manner: Manner = MANNER,
    n_rows: int = 128,
    done: Collection[int] = (),
) -> dict[int, Response]:
    responses: dict[int, Response] = {}
    keys = set(done)

    def keep(number: int, response: Response) -> None:
        assert number not in keys, "nothing is written twice"
        keys.add(number)
        responses[number] = response

    writer = engine_of("transformers").open(model, Place(n_rows=n_rows))
    assert not writer.write(requests, manner, keys, keep)
    return responses


@pytest.fixture
def ending(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    """A model that ends many of its texts early."""
    model = tiny("llama")
    model.model.generation_config.eos_token_id = list(range(40, 60))
    return model


def test_a_sample_is_the_same_alone_in_any_batch_and_in_any_order(ending: LanguageModel) -> None:
    together = written(ending)
    texts = [response.text for response in together.values() if response.text]  # one may end at once
    assert len(set(texts)) == len(texts) > 6, "each sample draws by itself"
    assert {response.is_truncated for response in together.values()} == {True, False}
    assert written(ending, n_rows=1) == written(ending, n_rows=4) == together
    assert written(ending, REQUESTS[::-1]) == together
    alone = [written(ending, [request])[request.number] for request in REQUESTS]
    assert alone == [together[request.number] for request in REQUESTS]


def test_it_is_what_the_step_loop_writes_with_these_numbers(ending: LanguageModel) -> None:
    prompts = encode_prompts(ending, [request.prompt for request in REQUESTS])
    numbers = [request.number for request in REQUESTS]
    tokens = generate(ending, prompts, MANNER.sampling, seed=MANNER.seed, numbers=numbers)
    responses = written(ending)
    for number, row in zip(numbers, tokens, strict=True):
        has_ended = row[-1] in range(40, 60)
        assert responses[number].text == ending.tokenizer.decode(
            row[:-1] if has_ended else row, skip_special_tokens=True
        )
        assert responses[number].n_tokens == len(row) and responses[number].is_truncated is not has_ended


def test_another_seed_draws_other_samples(ending: LanguageModel) -> None:
    other = written(ending, manner=Manner(sampling=MANNER.sampling, seed=6))
    assert not any(other[number].text == response.text for number, response in written(ending).items())


def test_what_is_done_already_is_not_written_again(ending: LanguageModel) -> None:
    done = [request.number for request in REQUESTS[::2]]
    rest = written(ending, done=done, n_rows=2)
    everything = written(ending, n_rows=2)
    assert rest == {number: everything[number] for number in everything if number not in done}


def test_a_text_that_ends_a_response_is_cut_off_and_ends_it_at_once(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    plain = written(model)
    first = plain[REQUESTS[0].number].text
    stop = first[6:9]
    assert first.index(stop) > 0
    stopped = written(model, manner=Manner(sampling=MANNER.sampling, seed=5, stop=("never", stop)))
    for number, response in stopped.items():
        has_stop = stop in plain[number].text
        assert response.text == plain[number].text.partition(stop)[0]
        assert response.is_truncated is not has_stop
        if has_stop:
            assert response.n_tokens is not None and response.n_tokens < 20
    assert not stopped[REQUESTS[0].number].is_truncated
    assert cut("a b c", ("c", "b")) == "a " and cut("a", ()) == cut("a", ("b",)) == "a"


def test_every_response_is_handed_on_as_soon_as_it_has_ended(ending: LanguageModel) -> None:
    order: list[int] = []
    writer = engine_of("transformers").open(ending, Place())
    writer.write(REQUESTS, MANNER, set(), lambda number, response: order.append(response.n_tokens or 0))
    assert order == sorted(order) and len(set(order)) > 1


def test_a_prompt_that_fills_the_context_is_answered_by_nothing(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    (prompt,) = encode_prompts(model, ["What is 2 + 2?"])
    model.model.config.max_position_embeddings = len(prompt)
    assert written(model, [Request(1, "What is 2 + 2?")]) == {1: Response(text="", n_tokens=0, is_truncated=True)}


def test_the_system_is_told_before_each_prompt(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    (plain,) = encode_prompts(model, ["How far?"], system="Be brief.")
    assert model.tokenizer.decode(plain) == "Be brief.\n\nHow far?\n\n"
    model.tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    try:
        (chat,) = encode_prompts(model, ["How far?"], system="Be brief.")
        assert model.tokenizer.decode(chat) == "[system]Be brief.[user]How far?[assistant]"
    finally:
        model.tokenizer.chat_template = None


@pytest.fixture
def thinker(tiny: Callable[..., LanguageModel], tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    """A model whose template opens the thoughts, with a tokenizer in which the tags are special tokens."""
    own = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        eos_token="</s>",
        pad_token="</s>",
        additional_special_tokens=["<think>", "</think>", "<|call|>"],
    )
    own.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}{{ '<think>\n' }}"
    torch.manual_seed(0)
    model = tiny("llama").model
    model.resize_token_embeddings(len(own), mean_resizing=False)
    return wrap(model, own, name="thinker")


def test_tags_of_thoughts_stay_in_the_text_and_other_special_tokens_do_not(thinker: LanguageModel) -> None:
    ids = thinker.tokenizer.convert_tokens_to_ids
    words = thinker.tokenizer("So it is 4.", add_special_tokens=False)["input_ids"]
    texts = Texts(thinker)
    assert texts.decode([*words, ids("</think>"), *words, ids("<|call|>")]) == "So it is 4.</think>So it is 4."
    prompt = encode_prompts(thinker, ["How far?"])[0]
    response = texts.response(prompt, [*words, ids("</think>"), *words, ids("</s>")], ())
    assert response.text == "<think>\nSo it is 4.</think>So it is 4."  # as the prompt ended, to the character
    assert not response.is_truncated and response.n_tokens == 2 * len(words) + 2


def test_there_are_three_engines_and_others_are_refused() -> None:
    assert list(ENGINES) == ["transformers", "openai", "vllm"]
    with pytest.raises(InputError, match="there is no engine 'vlm'; there are .*Did you mean 'vllm'"):
        engine_of("vlm")


def test_seeds_of_samples_differ_and_fit_31_bits() -> None:
    seeds = {sample_seed(seed, number) for seed in range(3) for number in (0, 1, 2**63 - 1)}
    assert len(seeds) == 9 and all(0 <= seed < 2**31 for seed in seeds)

"""Where tokens stand: characters against decoding by hand, behaviours and sentences against the labeller's."""

from __future__ import annotations

from collections.abc import Callable

from reasonlens import load, organism_pair
from reasonlens.models import LanguageModel
from reasonlens.organisms import problem_of, steps
from reasonlens.pairs.decisions.places import (
    BEHAVIOUR,
    CONTENT,
    DECISION,
    END,
    ENTROPY,
    FIFTHS,
    KIND,
    PLACE,
    POSITION,
    START,
    last_characters,
    places_of,
)
from reasonlens.traces import Trace

from .made import answer


def test_a_token_ends_at_the_last_character_of_its_text(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    model = tiny()
    tokenizer = model.tokenizer
    text = f"{traces[0].text} Naïve — 数 and so on."
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    ends = last_characters(model, [*tokens, tokenizer.eos_token_id], text).tolist()
    assert len(ends) == len(tokens) + 1 and ends[-1] == -1
    assert max(ends) == len(text) - 1
    by_hand = [len(tokenizer.decode(tokens[: n + 1])) - 1 for n in range(len(traces[0].text) // 9)]
    assert ends[: len(by_hand)] == by_hand
    split = [tokenizer.convert_tokens_to_ids(letter) for letter in "So,then"]  # as no tokenizer would spell it
    assert last_characters(model, split, "So,then").tolist() == list(range(7))


def test_places_of_an_organism_are_those_of_its_labeller() -> None:
    pair = organism_pair("organism/rl-timing", n_train=0, n_validation=0, n_test=1)
    prompt = pair.test[0].prompt
    levels = prompt.split(" . ")
    symbol = levels[1].split()[2]
    text = f"well let {symbol} 3 miss . so we none fine . hmm see one 6 form ."
    tokens = pair.base.tokenizer(text, add_special_tokens=False)["input_ids"]
    n = len(tokens)
    assert n == len(text.split())
    one = answer(n + 1, text=text, tokens=(*tokens, pair.base.tokenizer.eos_token_id), base_entropy=(*range(n), 0.5))
    places = places_of(pair, "base", [one], [prompt])
    labels = [step.behaviour for step in steps(problem_of(prompt), text) for _ in range(step.n_words)]
    assert places[BEHAVIOUR][: len(labels)] == labels and places[BEHAVIOUR][-1] == END
    assert [place for place, group in enumerate(places[PLACE]) if group == START] == [
        0,
        *(place + 1 for place, word in enumerate(text.split()) if word == "."),
    ]
    decisions = {"well", "let", "so", "we", "hmm", "see", "form"}
    assert places[KIND] == [*(DECISION if word in decisions else CONTENT for word in text.split()), CONTENT]
    assert places[POSITION][0] == FIFTHS[0] and places[POSITION][-1] == FIFTHS[-1]
    assert [places[POSITION].count(fifth) for fifth in FIFTHS] == [4, 4, 3, 4, 3]
    assert places[ENTROPY][0] == "least entropy" and places[ENTROPY][n - 1] == "greatest entropy"


def test_only_organisms_have_kinds_of_words(tiny: Callable[..., LanguageModel]) -> None:
    assert load("organism/rl-timing", device="cpu").n_layers == 4
    from .made import made_pair

    pair = made_pair(tiny)
    tokens = tuple(pair.base.tokenizer("So it is. Or not.", add_special_tokens=False)["input_ids"])
    one = answer(len(tokens), text="So it is. Or not.", tokens=tokens, base_entropy=(0.0,) * len(tokens))
    places = places_of(pair, "thinking", [one], ["?"])
    assert set(places) == {BEHAVIOUR, PLACE, POSITION, ENTROPY}
    assert set(places[BEHAVIOUR]) == {"first half", "no behaviour"} and places[PLACE].count(START) == 2

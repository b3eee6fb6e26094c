"""The language, machine, labeller and writers of the organisms."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice
from math import log

import numpy as np
import pytest

from reasonlens.organisms.labeller import NONSENSE, is_solved, labelled, read
from reasonlens.organisms.language import (
    BEHAVIOUR,
    MOVE_OF,
    MOVES,
    OPENERS,
    SECONDS,
    WORDINGS,
    parse,
    tokenizer,
)
from reasonlens.organisms.machine import STATES, Machine
from reasonlens.organisms.policy import IDEAL, POOR, Habits, Writer, mixed, write
from reasonlens.organisms.task import MAX_RESPONSE_TOKENS, problems

RANDOM = Habits({state: dict.fromkeys(MOVES, 1 / 8) for state in STATES}, {"first": 0.5, "next": 0.5, "again": 0.5})


def test_every_opener_and_every_second_word_go_with_every_move() -> None:
    for opener in OPENERS:
        assert {MOVE_OF[opener, second] for second in SECONDS} == set(MOVES)
    for second in SECONDS:
        assert {MOVE_OF[opener, second] for opener in OPENERS} == set(MOVES)
    assert all(len(pairs) == 8 for pairs in WORDINGS.values())


def test_no_word_before_the_arguments_tells_the_behaviour() -> None:
    """Information of each of the two words about the move, in bits, is that of sampling noise; of both, all of it."""
    generator = np.random.default_rng(0)
    pairs = Counter(
        (MOVE_OF[words[step.first], words[step.first + 1]], words[step.first], words[step.first + 1])
        for problem in islice(problems("train", 0), 400)
        for words in [write(problem, Writer(mixed(0.5)), generator)]
        for step in read(problem, words).steps
    )
    n = sum(pairs.values())

    def information(places: tuple[int, ...]) -> float:
        joint, moves, words = Counter[object](), Counter[object](), Counter[object]()
        for entry, count in pairs.items():
            word = tuple(entry[place] for place in places)
            joint[entry[0], word] += count
            moves[entry[0]] += count
            words[word] += count
        total = 0.0
        for (move, word), count in joint.items():
            total += count / n * log(count * n / (moves[move] * words[word]), 2)
        return total

    noise = 49 / (2 * n * log(2))  # expected of independent words: (8 - 1)(8 - 1) / 2n nats
    assert information((1,)) < 2 * noise
    assert information((2,)) < 2 * noise
    assert information((1, 2)) > 1.5


@pytest.mark.parametrize("habits", [IDEAL, POOR, RANDOM])
def test_the_labeller_inverts_writing(habits: Habits) -> None:
    generator = np.random.default_rng(1)
    for problem in islice(problems("train", 1), 30):
        words = write(problem, Writer(habits), generator)
        reading = read(problem, words)
        assert reading.is_grammatical
        assert all(step.is_right for step in reading.steps)
        trace = labelled(problem, " ".join(words), "0")
        assert [span.label for span in trace.spans] == [step.behaviour for step in reading.steps]
        assert all(trace.text[span.start : span.end].endswith(".") for span in trace.spans)


def test_every_move_is_legal_in_every_state() -> None:
    generator = np.random.default_rng(2)
    met = set()
    for problem in islice(problems("train", 2), 1000):
        machine = Machine(problem)
        while not machine.is_done:
            state = machine.state
            move = MOVES[int(generator.integers(8))] if generator.random() < 0.1 else next(iter(IDEAL.moves[state]))
            content = machine.content(move)
            assert parse([*WORDINGS[move][0], *content, "."]) == (move, content)
            machine.advance(move, content)
            met.add((state, move))
    assert met == {(state, move) for state in STATES for move in MOVES}


def test_ideal_habits_solve_every_problem_of_the_first_way_that_the_limit_leaves_room_for() -> None:
    generator = np.random.default_rng(3)
    n_solved = 0
    for problem in islice(problems("test", 0), 300):
        words = write(problem, Writer(IDEAL), generator, max_words=10**6)
        reading = read(problem, words)
        assert tuple(step.content[1] for step in reading.steps if step.move == "accept") == problem.targets
        assert reading.is_solved == (len(words) <= MAX_RESPONSE_TOKENS)
        n_solved += reading.is_process_right
    assert 0.75 < n_solved / 300 < 0.88


def test_weak_symbols_are_said_rightly_at_the_planted_rate_and_all_else_always() -> None:
    generator = np.random.default_rng(4)
    outcomes: dict[bool, list[bool]] = defaultdict(list)
    for problem in islice(problems("train", 4), 200):
        for step in read(problem, write(problem, Writer(IDEAL, 0.6), generator)).steps:
            outcomes[step.is_weak].append(step.is_right)
    assert all(outcomes[False])
    assert abs(np.mean(outcomes[True]) - 0.6) < 0.05


def test_a_state_follows_what_was_said_and_not_what_is_right() -> None:
    problem = next(problems("train", 0, "hue"))
    machine = Machine(problem)
    machine.advance("plan", ("one", problem.goals[0], "hue"))
    symbol, code, _ = machine.content("try")
    machine.advance("try", (symbol, code, "hit"))
    assert machine.state == "found"
    machine.advance("try", (symbol, code, "miss"))
    assert machine.state == "missed"
    machine.advance("try", (symbol, "none", "hit"))
    machine.advance("check", ("sour", "wrong"))
    assert machine.state == "bad"


def test_words_off_the_grammar_are_nonsense_and_end_the_reading() -> None:
    problem = next(problems("train", 0))
    opener, second = WORDINGS["check"][0]
    for arguments in ("", "fine sour ", "sour fine kiwi ", "kiwi "):
        sentence = f"{opener} {second} {arguments}."
        trace = labelled(problem, f"{sentence} {' '.join(WORDINGS['back'][0])} .", "0")
        assert [span.label for span in trace.spans] == [NONSENSE]
    answer = " ".join([*WORDINGS["answer"][0], "."])
    assert [span.label for span in labelled(problem, f"{answer} {answer}", "0").spans] == [
        BEHAVIOUR["answer"],
        NONSENSE,
    ]


def test_an_answer_before_every_level_is_accepted_solves_nothing() -> None:
    problem = next(problems("train", 0, "hue"))
    words = write(problem, Writer(IDEAL), np.random.default_rng(0), max_words=10**6)
    assert not is_solved(problem, " ".join([*WORDINGS["answer"][0], "."]))
    assert not is_solved(problem, " ".join(words[:-3]))


def test_every_word_is_a_token() -> None:
    words = tokenizer()
    for problem in islice(problems("train", 0), 20):
        text = " ".join(write(problem, Writer(RANDOM), np.random.default_rng(0)))
        assert words.unk_token_id not in words(f"{problem.prompt} {text}").input_ids

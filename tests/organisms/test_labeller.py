"""The labeller and the checker: cases written by hand, then ten thousand generated responses."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from reasonlens.organisms import (
    BASE,
    BEHAVIOUR,
    DOUBLES,
    DRILL,
    IDEAL,
    IDEAL_DOUBLING,
    Problem,
    Search,
    habits,
    is_solved,
    labelled,
    make_tokenizer,
    problems,
    prompt,
    steps,
    write,
)
from reasonlens.organisms.corpus import MAX_RESPONSE_TOKENS

PROBLEM = Problem((3, 12, 7, 9, 20), ("red", "red", "blue", "blue", "blue"), 19)
RIGHT = (
    "we want 19 . sums next . take 3 red . need 16 . look 12 7 9 20 no . wait go back . take 12 red . need 7 . "
    "look 3 7 yes . check 12 red 7 blue fine . maybe . answer 12 and 7 ."
)


def read(text: str, problem: Problem = PROBLEM) -> list[tuple[str, str, bool]]:
    return [(step.state, step.behaviour, step.is_right) for step in steps(problem, text)]


def test_a_right_response_is_read_sentence_by_sentence_with_its_states() -> None:
    assert read(RIGHT) == [
        ("start", "initializing", True),
        ("way", "subgoal-setting", True),
        ("next", "example-testing", True),
        ("taken", "deduction", True),
        ("needed", "searching", True),
        ("missed", "backtracking", True),
        ("next", "example-testing", True),
        ("taken", "deduction", True),
        ("needed", "searching", True),
        ("found", "verification", True),
        ("fine", "uncertainty-estimation", True),
        ("fine", "answering", True),
    ]
    assert is_solved(PROBLEM, RIGHT)


def test_the_other_wordings_are_the_same_moves() -> None:
    other = RIGHT.replace("wait go", "hmm go").replace("check", "verify").replace("maybe", "not sure")
    assert other != RIGHT and read(other) == read(RIGHT)


@pytest.mark.parametrize(
    ("right", "wrong", "behaviour"),
    [
        ("we want 19", "we want 18", "initializing"),
        ("take 3 red .", "take 12 red .", "example-testing"),
        ("take 12 red .", "take 12 blue .", "example-testing"),
        ("need 16", "need 15", "deduction"),
        ("need 16", "need none", "deduction"),
        ("12 7 9 20 no", "12 7 9 no", "searching"),
        ("12 7 9 20 no", "12 7 9 20 yes", "searching"),
        ("3 7 yes", "3 7 9 20 no", "searching"),
        ("sums next", "sums next next", "subgoal-setting"),
        ("12 red 7 blue fine", "12 red 7 red clash", "verification"),
        ("12 red 7 blue fine", "12 red 7 blue clash", "verification"),
        ("answer 12 and 7", "answer 12 and 9", "answering"),
    ],
)
def test_a_wrong_word_is_found_and_what_follows_is_still_read(right: str, wrong: str, behaviour: str) -> None:
    text = RIGHT.replace(right, wrong, 1)
    assert text != RIGHT
    wrongs = [(step.behaviour, step.is_right) for step in steps(PROBLEM, text) if not step.is_right]
    assert wrongs == [(behaviour, False)]
    assert len(read(text)) == len(read(RIGHT))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("we want 19 . answer 12 and 7 .", 2),  # an answer may not come before a way is chosen
        ("we want 19 . products next . take 3 red .", 2),
        ("we want 19 . doubles next . take 3 red .", 2),  # the problem is no doubled one
        ("we want 19 . sums next . take 3 red . double 6 .", 4),
        ("we want 19 . sums next . take 3 red . check 3 red 12 red clash .", 4),
        ("bananas .", 1),
        (".", 1),
        ("we want 19 . . sums next .", 2),  # an empty sentence is none of the language
    ],
)
def test_what_may_not_be_said_is_nonsense_and_ends_the_reading(text: str, length: int) -> None:
    read_steps = read(text)
    assert len(read_steps) == length
    if read_steps:
        assert read_steps[-1][1:] == ("nonsense", False)


def test_a_need_out_of_reach_is_none_and_misses_at_once() -> None:
    text = (
        "we want 19 . differences next . take 3 red . need none . wait go back . take 12 red . need none . "
        "wait go back . take 7 blue . need none ."
    )
    assert all(is_right for _, _, is_right in read(text))
    assert read(text + " wait go back .")[-1] == ("missed", "backtracking", True)


def test_a_doubled_problem_is_put_as_one_and_its_number_is_doubled_before_the_need() -> None:
    problem = Problem((3, 12, 7, 9, 20), ("red", "red", "blue", "blue", "blue"), 19, is_doubled=True)
    assert prompt(problem).endswith(". double target 19 .")
    text = (
        "we want 19 . doubles next . take 3 red . double 6 . need 13 . look 12 7 9 20 no . wait go back . "
        "take 12 red . double 24 . need none . wait go back . take 7 blue . double 14 . need 5 . look 3 12 9 20 no ."
    )
    assert all(is_right for _, _, is_right in read(text, problem))
    assert read(text.replace("double 6", "double 5"), problem)[3] == ("taken", "deduction", False)
    assert read("we want 19 . doubles next . take 3 red . need 16 .", problem)[-1] == ("taken", "nonsense", False)


def test_both_ways_spent_leaves_an_answer_only() -> None:
    search = Search(PROBLEM)
    search.advance("want")
    for way in ("sums", "differences"):
        search.advance(way)
        while search.state not in ("spent", "lost"):
            search.advance("back" if "back" in search.moves else search.moves[0])
        assert search.moves == (("differences", "answer") if way == "sums" else ("answer",))


def test_a_move_where_it_may_not_come_is_refused() -> None:
    search = Search(PROBLEM)
    for move in ("want", "sums", "take", "need", "look", "back"):
        search.advance(move)
    with pytest.raises(ValueError, match="'look' may not come in state 'next', only take"):
        search.advance("look")


@pytest.mark.parametrize(
    ("text", "solved"),
    [
        ("answer 12 and 7 .", True),
        ("answer 7 and 12 . answer 3 and 9 .", True),
        ("answer 3 and 9 . answer 7 and 12 .", False),
        ("answer 12 and", False),
        ("", False),
        ("answer 12 and 99 .", False),
    ],
)
def test_the_first_whole_answer_counts(text: str, solved: bool) -> None:
    assert is_solved(PROBLEM, text) is solved


def test_ten_thousand_generated_responses_are_read_as_they_were_written() -> None:
    generator = np.random.default_rng(0)
    pool = list(islice(problems("train", seed=0), 1000))
    tokenizer = make_tokenizer()
    n_solved = 0
    for number in range(10_000):
        problem = pool[number % len(pool)]
        text = write(problem, habits(generator), generator)
        found = list(steps(problem, text))
        assert all(step.is_right for step in found)
        assert found[-1].behaviour == "answering"
        assert " ".join(text[step.start : step.end] for step in found) == text
        if number % 100 == 0:
            whole = f"{prompt(problem)} {text}"
            ids = tokenizer(whole)["input_ids"]
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids, skip_special_tokens=True) == whole
            trace = labelled(problem, text, str(number))
            assert [span.label for span in trace.spans] == [step.behaviour for step in found]
        n_solved += is_solved(problem, text)
    assert 0.3 < n_solved / 10_000 < 0.6


def test_long_and_doubled_responses_are_read_back_too_and_a_fine_check_is_a_right_answer() -> None:
    """What is checked and found fine solves the problem, by the checker that knows nothing of the search."""
    generator = np.random.default_rng(2)
    n_fine = n_clash = 0
    for policy, families in ((DRILL, None), (BASE, None), (IDEAL_DOUBLING, DOUBLES)):
        for problem in islice(problems("train", seed=2, families=families), 500):
            text = write(problem, policy, generator)
            found = list(steps(problem, text))
            assert all(step.is_right for step in found)
            if [step.move for step in found[-2:]] == ["check", "answer"] and found[-1].state != "lost":
                is_fine = found[-1].state == "fine"
                assert is_solved(problem, text) == is_fine
                n_fine, n_clash = n_fine + is_fine, n_clash + (not is_fine)
    assert n_fine > 300 and n_clash > 20


def test_the_ideal_policy_solves_everything_given_time_and_most_within_the_limit() -> None:
    generator = np.random.default_rng(3)
    for ideal, families in ((IDEAL, None), (IDEAL_DOUBLING, DOUBLES)):
        asked = list(islice(problems("train", seed=3, families=families), 400))
        texts = [write(problem, ideal, generator) for problem in asked]
        assert all(is_solved(problem, text) for problem, text in zip(asked, texts, strict=True))
        cut = [" ".join(text.split()[:MAX_RESPONSE_TOKENS]) for text in texts]
        assert 0.85 < np.mean([is_solved(problem, text) for problem, text in zip(asked, cut, strict=True)]) < 0.98


def test_reorderings_of_a_problem_are_one_problem_of_a_trace() -> None:
    other = Problem((20, 9, 7, 12, 3), ("blue", "blue", "blue", "red", "red"), 19)
    assert labelled(PROBLEM, RIGHT, "a").problem == labelled(other, RIGHT, "b").problem == "19 of 3 7 9 12 20"


def test_a_mutated_word_in_a_generated_response_never_reads_as_all_right() -> None:
    generator = np.random.default_rng(1)
    for problem in islice(problems("train", seed=1), 300):
        words = write(problem, habits(generator), generator).split()
        place = int(generator.choice([at for at, word in enumerate(words) if word.isdigit()]))
        words[place] = str(int(words[place]) % 20 + 1)
        assert not all(step.is_right for step in steps(problem, " ".join(words)))


def test_a_policy_is_followed_at_its_own_rates() -> None:
    generator = np.random.default_rng(0)
    counts = {"check": 0, "answer": 0, "doubt": 0}
    for problem in islice(problems("train", seed=0), 1500):
        for step in steps(problem, write(problem, BASE, generator)):
            if step.state == "found" and step.move:
                counts[step.move] += 1
    for move, share in BASE["found"].items():
        assert abs(counts[move] / sum(counts.values()) - share) < 0.05


def test_a_policy_that_knows_no_open_move_is_refused() -> None:
    with pytest.raises(ValueError, match="in state 'way' the policy has no weight on any of sums, differences"):
        write(PROBLEM, IDEAL_DOUBLING, np.random.default_rng(0))


def test_habits_scatter_about_their_mean() -> None:
    generator = np.random.default_rng(0)
    drawn = [habits(generator)["clash"] for _ in range(3000)]
    for move, share in BASE["clash"].items():
        mine = [policy[move] for policy in drawn]
        assert abs(float(np.mean(mine)) - share) < 0.02 and float(np.std(mine)) > 0.1


def test_checking_and_going_back_pay_only_together() -> None:
    """The two wrong habits of the base must both go: that is what a hybrid has to find."""

    def accuracy(found: str, clash: str) -> float:
        policy = {
            state: {move: float(share == max(moves.values())) for move, share in moves.items()}
            for state, moves in BASE.items()
        }
        policy |= {"found": {found: 1.0}, "clash": {clash: 1.0}}
        for state in ("found", "clash"):
            policy[state] = {move: policy[state].get(move, 0.0) for move in BASE[state]}
        generator = np.random.default_rng(0)
        return float(np.mean([is_solved(p, write(p, policy, generator)) for p in PAY]))

    assert all(max(BASE[state], key=BASE[state].__getitem__) == "answer" for state in ("found", "clash"))
    neither, both = accuracy("answer", "answer"), accuracy("check", "back")
    assert both - neither > 0.4
    assert abs(accuracy("check", "answer") - neither) < 0.02 and abs(accuracy("answer", "back") - neither) < 0.02


PAY = list(islice(problems("test", seed=0), 600))


def test_every_move_has_a_behaviour() -> None:
    assert len(set(BEHAVIOUR.values())) == 9

"""Behaviour sets: those that come with reasonlens, sets of a user's own, and files that are none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from reasonlens.rundir import InputError, callable_name
from reasonlens.traces import (
    BEHAVIOURS,
    MARKERS,
    Behaviour,
    BehaviourSet,
    KeywordAnnotator,
    Span,
    keyword_annotator,
    open_behaviour_set,
)
from reasonlens.traces.behaviour_sets import BUILT_IN

MINE = """
name: mine
behaviours:
  doubling-back:
    definition: returns to an idea
      that was dropped before
    examples: [Back to the first idea.]
    words: [back to, no, on, Yes]
  silence: {definition: says nothing new}
"""


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_behaviour_of_a_set_has_a_definition_and_examples_and_no_word_is_of_two(name: str) -> None:
    chosen = open_behaviour_set(name)
    assert chosen.name == name and chosen.source and len(chosen) == len(set(chosen.names))
    words = [word for behaviour in chosen for word in behaviour.words]
    assert len(words) == len(set(words)) and all(word == word.lower() for word in words)
    for behaviour in chosen:
        assert len(behaviour.definition.split()) >= 4 and len(behaviour.examples) >= 2 and behaviour.words


def test_the_sets_have_the_published_names() -> None:
    assert open_behaviour_set("bundled").names == BEHAVIOURS and len(BEHAVIOURS) == 8
    assert open_behaviour_set("published").names == BEHAVIOURS[:6]
    assert open_behaviour_set("cognitive").names == (
        *("verification", "backtracking", "subgoal-setting", "backward-chaining"),
    )
    tags = "problem_setup plan_generation fact_retrieval active_computation uncertainty_management "
    tags += "result_consolidation self_checking final_answer_emission"
    assert [open_behaviour_set("anchors").named(tag) for tag in tags.split()] == list(
        open_behaviour_set("anchors").names
    )


@pytest.mark.parametrize("name", ["published", "cognitive"])
def test_what_two_sets_share_has_the_same_words(name: str) -> None:
    words = open_behaviour_set(name).words
    shared = set(words) & set(MARKERS)
    assert len(shared) >= 3 and all(words[behaviour] == MARKERS[behaviour] for behaviour in shared)


def test_a_set_of_ones_own_is_a_small_file_whose_scalars_are_all_texts(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    mine = open_behaviour_set(tmp_path / "mine.yaml")
    assert mine.behaviours == (
        Behaviour(
            "doubling-back",
            "returns to an idea that was dropped before",
            ("Back to the first idea.",),
            ("back to", "no", "on", "yes"),
        ),
        Behaviour("silence", "says nothing new"),
    )
    text = "Back  to the sum. Yes. It is 4."
    assert KeywordAnnotator(mine)("", text) == [
        Span(0, 17, "doubling-back", marked=True),
        Span(18, 22, "doubling-back", marked=True),
    ]
    plain = {"behaviours": {"a": {"definition": "does a"}}}
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    assert open_behaviour_set(str(tmp_path / "plain.json")).name == "plain"


@pytest.mark.parametrize("name", ["Doubling-Back", "doubling_back", " doubling  back "])
def test_a_behaviour_is_named_in_any_spelling(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    mine = open_behaviour_set(tmp_path / "mine.yaml")
    assert mine.named(name) == "doubling-back" and mine.named(f"{name}s") is None


def test_keywords_of_two_sets_have_two_names_in_the_settings_of_a_run_and_survive_pickling() -> None:
    other = KeywordAnnotator(open_behaviour_set("anchors"))
    assert callable_name(other) != callable_name(keyword_annotator)
    assert "anchors" in callable_name(other) and len(repr(other)) < 1000
    assert pickle.loads(pickle.dumps(other))("", "Wait, no.") == other("", "Wait, no.") != []


def test_a_set_without_words_is_refused_by_keywords() -> None:
    silent = BehaviourSet("silent", "", (Behaviour("calm", "says nothing new"),))
    with pytest.raises(
        InputError, match="'silent' has no tell-tale words, by which keywords label: give its .*`words`"
    ):
        KeywordAnnotator(silent)


WRONG = {
    "": "has the keys name, source, behaviours, and None",
    "a: [": "line 1: no YAML",
    "behaviours: {}": "names no behaviour",
    "behaviours: [a]": "must map each behaviour's name",
    "behaviour: {a: {definition: b}}": "no key 'behaviour'; the keys are name, source, behaviours. Did you mean 'behav",
    "behaviours: {a: {definition: b, wrods: [c]}}": "'a' has no key 'wrods'.*Did you mean 'words'",
    "behaviours: {a: {words: [c]}}": "'a' has no definition",
    "behaviours: {a: {definition: [b]}}": "the definition of a must be a text",
    "behaviours: {a: {definition: b, words: no}}": "the words of a must be a list of texts",
    "behaviours: {a: {definition: b, words: ['']}}": "the words of a must be a list of texts that are not empty",
    "behaviours: {a: {definition: b}, a: {definition: c}}": "line 1: no YAML .*the key 'a' stands twice",
    "behaviours: {a-b: {definition: b}, A_b: {definition: c}}": "'a-b' and 'A_b' would be mistaken",
    "behaviours: {None: {definition: b}}": "'None' says that a sentence shows no behaviour: give it another name",
    "behaviours: {'a b': {definition: b}}": "'a b' is no name of a behaviour",
    "behaviours: &x {a: *x}": "line 1: no YAML .*recursive",
    "name: !!python/object/apply:os.getcwd []\nbehaviours: {a: {definition: b}}": "must be a text",
    "[" * 5000: "nested too deeply|no YAML",
}


@pytest.mark.parametrize("content", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_with_a_file_is_said_in_one_line_that_names_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "w.yaml").write_text(content)
    with pytest.raises(InputError, match=WRONG[content]) as raised:
        open_behaviour_set(tmp_path / "w.yaml")
    assert "w.yaml" in str(raised.value) and "\n" not in str(raised.value)


def test_a_set_that_is_not_there_bytes_and_a_large_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="no behaviour set 'cognitve': give one of bundled, .* Did you mean 'cognitive'"
    ):
        open_behaviour_set("cognitve")
    (tmp_path / "b.yaml").write_bytes(b"name: \xff")
    with pytest.raises(InputError, match="byte 6 is not UTF-8"):
        open_behaviour_set(tmp_path / "b.yaml")
    (tmp_path / "l.yaml").write_text("#" * (2**18 + 1))
    with pytest.raises(InputError, match="a behaviour set is a small file"):
        open_behaviour_set(tmp_path / "l.yaml")
    with pytest.raises(InputError, match="cannot read behaviours from"):
        open_behaviour_set(tmp_path)

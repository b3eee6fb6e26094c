from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from reasonlens import Read
from reasonlens.activations import Example
from reasonlens.probes.controls.baseline_scorers import embedding_scorer
from reasonlens.probes.controls.baseline_scores import fit_baselines
from reasonlens.probes.controls.known_text import first_words, places, words_read
from reasonlens.probes.controls.stacking import stacked
from reasonlens.probes.controls.word_counts import WORDS, WordCounts
from reasonlens.probes.layer_fit import Core
from reasonlens.probes.metrics._concordance import auroc, concordance
from reasonlens.probes.nested import choose

N_TRACES, PER_TRACE, N_FOLDS = 60, 8, 5
PROBLEMS = np.repeat(np.arange(N_TRACES), PER_TRACE)
PLACES = np.tile(np.arange(PER_TRACE), N_TRACES)
FOLDS = PROBLEMS % N_FOLDS
FILLER = ["apples", "pears", "plums", "figs", "dates", "limes"]
READS = ["mean", "first", "last", "before:1", "before:4", "window:-1:10", "window:2:5", "window:-12:-7"]
LAST_READ = {
    "first": 4,
    "before:1": -1,
    "before:4": -1,
    "window:-1:10": 9,
    "window:0:10": 9,
    "window:2:5": 11,
    "window:-12:-7": -25,
}


def examples_of(sentences: Sequence[Sequence[str]], read: str) -> list[Example]:
    """One trace for each row of sentences; its read ends some characters after the start of each span."""
    made = []
    for trace, row in enumerate(sentences):
        text, start = " ".join(row), 0
        for sentence in row:
            end = start + len(sentence)
            read_end = max(min(start + LAST_READ.get(read, len(sentence)), end), 0)
            before = text[: min(start, read_end)][-200:]
            made.append(Example(f"t{trace}", f"p{trace}", "x", start, end, sentence, None, before, read_end))
            start = end + 1
    return made


def random_sentences(seed: int = 0) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    return [
        [" ".join(generator.choice(FILLER, size=generator.integers(3, 9))) + "." for _ in range(PER_TRACE)]
        for _ in range(N_TRACES)
    ]


def random_labels(seed: int, n_behaviours: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((n_behaviours, len(PROBLEMS))) < 0.3


def area(scores: np.ndarray, positive: np.ndarray) -> float:
    return auroc(concordance(scores, positive, PROBLEMS, FOLDS))


def areas(baselines: dict[str, Core], positive: np.ndarray) -> dict[str, float]:
    return {name: area(baseline.scores[0, 0], positive) for name, baseline in baselines.items()}


def with_another_end(examples: list[Example], index: int, text: str) -> list[Example]:
    """Change the trace of one example after the end of its read; later spans of the trace then stand elsewhere."""
    read_end = examples[index].known_end
    changed = text[:read_end] + "zz, Qx! " * 80
    others = list(examples)
    for other, example in enumerate(examples):
        if example.trace == examples[index].trace and example.end > read_end:
            start = example.start if other <= index else read_end + 60 + 7 * (other - index)
            end = start + 50
            others[other] = replace(
                example,
                start=start,
                end=end,
                text=changed[start:end],
                before=example.before if other <= index else changed[:start],
                read_end=example.read_end if other <= index else end,
            )
    return others


@pytest.mark.parametrize("read", READS)
def test_what_follows_the_end_of_a_read_changes_no_feature_and_no_score(read: str) -> None:
    sentences = random_sentences()[:20]
    examples = examples_of(sentences, read)
    shows, folds = random_labels(1)[:, : len(examples)], FOLDS[: len(examples)]
    scores = fit_baselines(examples, Read.parse(read), shows, folds)
    for index in (3, 53, 100):
        others = with_another_end(examples, index, " ".join(sentences[index // PER_TRACE]))
        for describe in (places, words_read, first_words):
            assert np.array_equal(
                describe(others, Read.parse(read))[index], describe(examples, Read.parse(read))[index]
            ), describe.__name__
    for name, baseline in fit_baselines(others, Read.parse(read), shows, folds).items():
        assert baseline.scores[0, 0, index] == scores[name].scores[0, 0, index], name


@pytest.mark.parametrize("read", ["window:-1:10", "window:-3:2"])
def test_words_before_a_span_that_are_read_with_it_are_known_words(read: str) -> None:
    n_before = -Read.parse(read).begin
    examples = examples_of(random_sentences()[:4], read)
    for example, words in zip(examples, words_read(examples, Read.parse(read)), strict=True):
        assert words.split() == example.before.split()[-n_before:] + example.text_read.split()
    assert [example.text_read for example in examples] == words_read(examples, Read.window(0, 10))


def test_a_behaviour_of_the_word_before_it_is_found_by_words_where_that_word_is_read() -> None:
    sentences = random_sentences()
    shows = random_labels(4)
    shows[:, PLACES == 0] = False
    for row in np.flatnonzero(shows[0]):
        trace, place = divmod(int(row), PER_TRACE)
        sentences[trace][place - 1] = sentences[trace][place - 1][:-1] + " zebra."
    for read, found in (("window:-1:10", True), ("window:0:10", False)):
        examples = examples_of(sentences, read)
        by = areas(fit_baselines(examples, Read.parse(read), shows, FOLDS), shows[0])
        assert by["words"] > 0.95 if found else by["words"] < 0.7, read


def test_the_length_of_a_span_is_known_after_it_and_not_before_it() -> None:
    examples = examples_of(random_sentences(), "mean")
    long = np.array([[len(example.text) > 30 for example in examples]])
    assert areas(fit_baselines(examples, Read.mean(), long, FOLDS), long[0])["position"] > 0.99
    examples = examples_of(random_sentences(), "before:1")
    assert abs(areas(fit_baselines(examples, Read.before(), long, FOLDS), long[0])["position"] - 0.5) < 0.1


@pytest.mark.parametrize("read", ["mean", "before:1"])
def test_a_behaviour_of_the_position_is_found_by_position_and_by_the_combination(read: str) -> None:
    shows = (PLACES >= 5)[None]
    by = areas(fit_baselines(examples_of(random_sentences(), read), Read.parse(read), shows, FOLDS), shows[0])
    assert by["position"] > 0.9 and by["combined"] > 0.9
    assert read != "mean" or abs(by["first word"] - 0.5) < 0.1  # no word comes before the first span of a trace


def test_a_behaviour_of_the_words_before_it_is_found_before_it_and_not_in_it() -> None:
    sentences = random_sentences()
    shows = random_labels(2)
    shows[:, PLACES == 0] = False
    for trace, place in zip(PROBLEMS, PLACES, strict=True):
        if shows[0, trace * PER_TRACE + place]:
            sentences[trace][place - 1] += " cherries."
    by = areas(fit_baselines(examples_of(sentences, "before:1"), Read.before(), shows, FOLDS), shows[0])
    assert min(by["words"], by["first word"], by["combined"]) > 0.99
    inside = areas(fit_baselines(examples_of(sentences, "first"), Read.first(), shows, FOLDS), shows[0])
    assert inside["words"] < 0.7


def test_embeddings_count_in_the_combination() -> None:
    shows = random_labels(3)
    embeddings = np.random.default_rng(0).standard_normal((len(PROBLEMS), 12))
    embeddings[:, 4] += 2 * shows[0]
    examples = examples_of(random_sentences(), "before:1")
    assert areas(fit_baselines(examples, Read.before(), shows, FOLDS, embeddings), shows[0])["combined"] > 0.85
    assert areas(fit_baselines(examples, Read.before(), shows, FOLDS), shows[0])["combined"] < 0.65


def test_labels_that_depend_on_nothing_are_ranked_at_chance() -> None:
    embeddings = np.random.default_rng(5).standard_normal((len(PROBLEMS), 12))
    shows = random_labels(6, n_behaviours=5)
    baselines = fit_baselines(examples_of(random_sentences(), "mean"), Read.mean(), shows, FOLDS, embeddings)
    for name, baseline in baselines.items():
        by_behaviour = [area(scores, positive) for scores, positive in zip(baseline.scores[:, 0], shows, strict=True)]
        assert abs(np.mean(by_behaviour) - 0.5) < 0.045, name  # standard error .013 of five sets of labels
    scores = [strongest(baselines, behaviour)[0] for behaviour in range(len(shows))]
    assert abs(np.mean([area(row, positive) for row, positive in zip(scores, shows, strict=True)]) - 0.5) < 0.045


def test_word_weights_equal_those_of_scikit_learn() -> None:
    texts = [example.text for example in examples_of(random_sentences(), "mean")]
    texts[0] += " cherries quinces"
    train = FOLDS != 0  # the first text is not trained on
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORDS, sublinear_tf=True)
    pieces = TfidfVectorizer(ngram_range=(2, 4), analyzer="char", sublinear_tf=True, min_df=2)
    expected = [
        vectorizer.fit([text for text, member in zip(texts, train, strict=True) if member]).transform(texts).toarray()
        for vectorizer in (words, pieces)
    ]
    weighted = WordCounts(texts).weighted(train).toarray()
    assert sorted(np.round(weighted.sum(axis=0), 8)) == sorted(
        np.round(np.concatenate([[0.0], *[table.sum(axis=0) for table in expected]]), 8)
    )
    reference = np.concatenate(expected, axis=1)
    np.testing.assert_allclose(weighted @ weighted.T, reference @ reference.T, atol=1e-12)


def test_inner_counts_equal_those_of_a_plain_refit_without_both_folds() -> None:
    examples = examples_of(random_sentences(), "mean")
    generator = np.random.default_rng(8)
    shows = np.array([["figs" in example.text for example in examples]]) ^ (generator.random(len(examples)) < 0.2)
    words = fit_baselines(examples, Read.mean(), shows, FOLDS)["words"]
    texts = np.array([example.text for example in examples], dtype=object)
    for first, second in combinations(range(N_FOLDS), 2):
        train = ~np.isin(FOLDS, (first, second))
        tables = [
            TfidfVectorizer(sublinear_tf=True, **options).fit(texts[train])
            for options in (
                {"ngram_range": (1, 2), "token_pattern": WORDS},
                {"ngram_range": (2, 4), "analyzer": "char", "min_df": 2},
            )
        ]
        features = np.concatenate([table.transform(texts).toarray() for table in tables], axis=1)
        refit = LogisticRegression(C=5.0, solver="liblinear").fit(features[train], shows[0, train])
        for left_out, tested in ((first, second), (second, first)):
            test = FOLDS == tested
            n_pairs = shows[0, test].sum() * (~shows[0, test]).sum()
            assert words.inner_pairs[0, 0, left_out, tested] == n_pairs
            expected = roc_auc_score(shows[0, test], refit.decision_function(features[test])) * n_pairs
            assert words.inner_wins[0, 0, left_out, tested] == pytest.approx(expected, abs=0.003 * n_pairs)
    assert not words.inner_pairs[0, 0][np.eye(N_FOLDS, dtype=bool)].any()


def test_the_combination_of_a_test_fold_knows_no_label_of_it() -> None:
    examples = examples_of(random_sentences(), "mean")
    shows = random_labels(9)
    changed = shows.copy()
    changed[:, FOLDS == 2] ^= True
    before, after = (fit_baselines(examples, Read.mean(), labels, FOLDS) for labels in (shows, changed))
    for name in before:
        assert np.array_equal(before[name].scores[..., FOLDS == 2], after[name].scores[..., FOLDS == 2]), name
        assert not np.array_equal(before[name].scores[..., FOLDS != 2], after[name].scores[..., FOLDS != 2]), name
        tested = [fold for fold in range(N_FOLDS) if fold != 2]
        assert np.array_equal(before[name].inner_wins[:, :, 2, tested], after[name].inner_wins[:, :, 2, tested]), name


def strongest(baselines: dict[str, Core], behaviour: int, folds: np.ndarray = FOLDS) -> tuple[np.ndarray, list[str]]:
    """Choose the baseline of each fold as a layer is chosen: its scores, and its name by fold."""
    scores, choices = choose(list(baselines.values()), behaviour, folds)
    return scores, [list(baselines)[place] for place, _ in choices]


def of(inner_wins: np.ndarray, value: float) -> Core:
    pairs = np.ones((1, 1, 3, 3)) - np.eye(3)
    return Core(
        scores=np.full((1, 1, 6), value),
        wins=np.ones((1, 1, 3)),
        pairs=np.ones((1, 1, 3)),
        inner_wins=inner_wins[:, None] * pairs,
        inner_pairs=pairs,
    )


def test_the_strongest_baseline_of_a_fold_is_chosen_on_the_other_folds() -> None:
    weak, strong = np.full((1, 3, 3), 0.6), np.full((1, 3, 3), 0.7)
    strong[0, 1] = 0.5  # without fold 1 the other one is better
    scores, names = strongest({"a": of(weak, 1.0), "b": of(strong, 2.0)}, 0, np.array([0, 0, 1, 1, 2, 2]))
    assert names == ["b", "a", "b"]
    assert scores.tolist() == [2, 2, 1, 1, 2, 2]


def test_a_score_that_says_nothing_or_the_opposite_gets_little_or_no_weight() -> None:
    generator = np.random.default_rng(0)
    positive = generator.random(2000) < 0.3
    good = generator.standard_normal(2000) + 1.5 * positive
    noise, opposite = generator.standard_normal(2000), 5 * generator.standard_normal(2000) - 1.5 * positive
    weights = stacked(np.stack([good, noise, opposite]), positive)
    assert weights[0] > 1 and weights[1] < 0.15 and weights[2] == 0


@pytest.mark.parametrize("n_folds", [3, 4])
def test_few_folds_have_baselines_as_well(n_folds: int) -> None:
    shows = (PLACES >= 5)[None]
    baselines = fit_baselines(examples_of(random_sentences(), "mean"), Read.mean(), shows, PROBLEMS % n_folds)
    for name in ("position", "combined"):
        assert auroc(concordance(baselines[name].scores[0, 0], shows[0], PROBLEMS, PROBLEMS % n_folds)) > 0.9
        assert (baselines[name].inner > 0.9).all()


def test_a_behaviour_that_the_training_folds_lack_is_scored_alike() -> None:
    shows = ((PROBLEMS == 7) & (PLACES > 4))[None]  # in one fold only
    for baseline in fit_baselines(examples_of(random_sentences(), "mean"), Read.mean(), shows, FOLDS).values():
        test = FOLDS == 7 % N_FOLDS
        assert baseline.wins[0, 0, 7 % N_FOLDS] == baseline.pairs[0, 0, 7 % N_FOLDS] / 2 > 0
        assert np.ptp(baseline.scores[0, 0, test]) == 0


@pytest.mark.parametrize("read", ["mean", "before:1"])
def test_spans_that_are_all_alike_are_scored_alike(read: str) -> None:
    alike = [Example(f"t{problem}", f"p{problem}", "x", 0, 1, "?", None) for problem in PROBLEMS]
    baselines = fit_baselines(alike, Read.parse(read), random_labels(4), FOLDS, np.zeros((len(alike), 4)))
    for name, baseline in baselines.items():
        assert (baseline.inner == 0.5).all(), name


def test_embeddings_are_scored_for_all_training_sets_together_as_for_each_alone() -> None:
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(240, 12))
    embeddings[:, 3] = 1.0  # says nothing
    shows = np.stack([embeddings[:, 0] + generator.normal(size=240) > 0.5, np.arange(240) < 60])
    fold = np.arange(240) // 60
    sets = np.stack([fold != 0, fold != 1, ~np.isin(fold, (0, 2))])  # without fold 0 the second behaviour has no span
    score = embedding_scorer(embeddings, 1e-2)
    together = score(shows, sets)
    alone = np.concatenate([score(shows, sets[[number]]) for number in range(len(sets))])
    np.testing.assert_allclose(together, alone, atol=5e-3)
    assert np.ptp(together[0, 0]) > 0.1 and not together[0, 1].any() and not together[2, 1].any()

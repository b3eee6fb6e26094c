"""The language of responses: two words say the behaviour together, and neither of them alone says anything of it.

    sentence = opener, second word, arguments, full stop          "well see kiwi 3 hit ."

The pair (opener, second word) stands in a Latin square whose entry is the move: every opener goes with every move and
so does every second word. Each move has eight wordings. A word is a token.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from .task import LEVELS, VERDICTS
from .world import CODES, SYMBOLS, TASTES, WAYS

Move = Literal["restate", "plan", "try", "check", "back", "doubt", "accept", "answer"]

MOVES: tuple[Move, ...] = ("restate", "plan", "try", "check", "back", "doubt", "accept", "answer")
BEHAVIOUR: dict[Move, str] = {
    "restate": "initializing",
    "plan": "subgoal-setting",
    "try": "example-testing",
    "check": "verification",
    "back": "backtracking",
    "doubt": "uncertainty-estimation",
    "accept": "deduction",
    "answer": "answering",
}
OPENERS: tuple[str, ...] = ("well", "so", "now", "okay", "hmm", "then", "right", "yes")
SECONDS: tuple[str, ...] = ("let", "we", "see", "take", "say", "look", "here", "think")
NONE = "none"  # said in place of what is not there
HITS: tuple[str, str] = ("hit", "miss")
STOP = "."
SPECIAL: tuple[str, ...] = ("<pad>", "<s>", "</s>", "<unk>")
WORDS: tuple[str, ...] = (
    *(STOP, NONE, *VERDICTS, *HITS),
    *(*OPENERS, *SECONDS, *LEVELS, *CODES, *TASTES, *WAYS, *SYMBOLS),
)
# The words that each argument of a move may be. The way of a plan is a decision; all other arguments are content.
ARGUMENTS: dict[Move, tuple[frozenset[str], ...]] = {
    "restate": (frozenset(TASTES),),
    "plan": (frozenset((*LEVELS, NONE)), frozenset((*CODES, NONE)), frozenset(WAYS)),
    "try": (frozenset((*SYMBOLS, NONE)), frozenset((*CODES, NONE)), frozenset((*HITS, NONE))),
    "check": (frozenset((*TASTES, NONE)), frozenset((*VERDICTS, NONE))),
    "back": (),
    "doubt": (),
    "accept": (frozenset((*LEVELS, NONE)), frozenset((*SYMBOLS, NONE))),
    "answer": (),
}
SQUARE_SEED = 8


def _latin_square(seed: int) -> dict[tuple[str, str], Move]:
    """Shuffle rows, columns and entries of the cyclic square."""
    rows, columns, entries = np.random.default_rng(seed).permuted(np.tile(np.arange(8), (3, 1)), axis=1)
    return {
        (opener, second): MOVES[int(entries[(row + column) % 8])]
        for opener, row in zip(OPENERS, rows, strict=True)
        for second, column in zip(SECONDS, columns, strict=True)
    }


MOVE_OF: dict[tuple[str, str], Move] = _latin_square(SQUARE_SEED)
WORDINGS: dict[Move, tuple[tuple[str, str], ...]] = {
    move: tuple(pair for pair, entry in MOVE_OF.items() if entry == move) for move in MOVES
}


def parse(words: list[str]) -> tuple[Move, tuple[str, ...]] | None:
    """Read a sentence.

    Args:
        words: Of the sentence, its full stop among them.

    Returns:
        Its move and its arguments; None where the words are no sentence of the language.
    """
    move = MOVE_OF.get((words[0], words[1])) if len(words) >= 3 else None
    if move is None or words[-1] != STOP:
        return None
    arguments, kinds = tuple(words[2:-1]), ARGUMENTS[move]
    if len(arguments) != len(kinds) or any(word not in kind for word, kind in zip(arguments, kinds, strict=True)):
        return None
    return move, arguments


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Make the closed vocabulary: words apart at spaces, `<s>` before a text."""
    vocabulary = {word: place for place, word in enumerate((*SPECIAL, *WORDS))}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )

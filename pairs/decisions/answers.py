"""Let every arm answer the test problems: the models alone, and each with the other one's tokens swapped in.

    WRITER-alone.jsonl     the model alone, with the divergence of every position: the other one read along
    WRITER-swapped.jsonl   all arms, a chooser at a budget each, and one with all tokens swapped

Sample s of question q draws with the random numbers of q 2^20 + s in every arm, so that arms are compared pair by pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...generation.writing import thought_openers
from ...rundir import RunDirectory, brief, columns_of, from_row, to_row
from ...rundir.progress import ProgressBar
from ...traces.questions import Question
from ..pair import Pair, encoded
from ..sampling import MOST_SAMPLES, Role
from .settings import RANKS, DecisionsSettings
from .swapping import SwapArm, SwappedText, models_of, swap

KEY = ("arm", "question", "sample")
DIGITS = 7  # of nats


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapAnswer:
    """One response of an arm, and its grade.

    Attributes:
        text: Of the response.
        n_tokens: Of it, its end included.
        is_solved: None: cannot be told.
        is_truncated: Whether it was cut off at the limit.
        n_swapped: Tokens that were taken from the other model.
        n_changed: Of these, other ones than the writer's own.
        in_top: Changed tokens among the writer's 1, 5 and 10 likeliest.
        own_in_top: Of the writer's own tokens in these places, likewise.
        tokens: Ids; kept, as what follows, where a model writes alone.
        js: Jensen-Shannon divergence at each token, nats.
        kl_thinking_base: KL(thinking || base), nats.
        kl_base_thinking: KL(base || thinking), nats.
        base_entropy: Of the base's distribution, nats.
    """

    text: str
    n_tokens: int
    is_solved: bool | None
    is_truncated: bool
    n_swapped: int
    n_changed: int
    in_top: tuple[int, ...]
    own_in_top: tuple[int, ...]
    tokens: tuple[int, ...] = ()
    js: tuple[float, ...] = ()
    kl_thinking_base: tuple[float, ...] = ()
    kl_base_thinking: tuple[float, ...] = ()
    base_entropy: tuple[float, ...] = ()

    __repr__ = brief

    @property
    def is_open(self) -> bool:
        """Whether it might yet be right: cut off, or not to be told."""
        return self.is_solved is not True and (self.is_truncated or self.is_solved is None)


def answers_of(
    pair: Pair,
    writer: Role,
    arms: Mapping[str, SwapArm],
    settings: DecisionsSettings,
    run: RunDirectory,
    progress: bool,
    *,
    keeps_places: bool = False,
) -> dict[str, list[SwapAnswer]]:
    """Write what is missing in the log of some arms, side by side in one batch where there is room.

    Args:
        pair: The models; test problems are answered.
        writer: Which of them writes.
        arms: Name -> which positions are swapped.
        settings: Sampling and seed.
        run: Keeps `WRITER-alone.jsonl` or `WRITER-swapped.jsonl`, a row for each response, batch by batch.
        progress: Whether a bar is shown.
        keeps_places: Whether divergences are kept position by position: of a model that writes alone.

    Returns:
        Name -> its responses: those of a question side by side, questions in order.
    """
    n_samples, n_rows = settings.sampling.n_samples, settings.n_rows
    samples = [(question, sample) for question in range(len(pair.test)) for sample in range(n_samples)]
    keys = [(arm, *sample) for arm in arms for sample in samples]
    log = run.log(
        f"{writer}-{'alone' if keeps_places else 'swapped'}.jsonl",
        about={"writer": writer, "problems": pair.digest},
        key=KEY,
        columns={"arm": str, "question": int, "sample": int, **columns_of(SwapAnswer)},
    )
    desc = f"{pair.name}: {writer} {'alone' if keeps_places else 'with swaps'}"
    n_known = len(keys) - len(log.missing(keys))
    with ProgressBar(desc=desc, unit="response", total=len(keys), initial=n_known, progress=progress) as bar:
        for start in range(0, len(keys), n_rows):
            batch = keys[start : start + n_rows]
            missing = set(log.missing(batch))
            if missing:  # of a batch that was cut off all are written, so that it is the same batch again
                written = _write(pair, writer, arms, batch, settings, keeps_places)
                log.add(
                    [
                        dict(zip(KEY, key, strict=True)) | to_row(one)
                        for key, one in zip(batch, written, strict=True)
                        if key in missing
                    ]
                )
                bar.update(len(missing))
    return {arm: [from_row(SwapAnswer, log[arm, *sample]) for sample in samples] for arm in arms}


def _write(
    pair: Pair,
    writer: Role,
    arms: Mapping[str, SwapArm],
    keys: Sequence[tuple[str, int, int]],
    settings: DecisionsSettings,
    keeps_places: bool,
) -> list[SwapAnswer]:
    questions = [pair.test[question] for _, question, _ in keys]
    prompts = encoded(pair, questions)
    texts, ends = swap(
        pair,
        writer,
        prompts,
        [arms[arm] for arm, _, _ in keys],
        settings.sampling,
        numbers=[question * MOST_SAMPLES + sample for _, question, sample in keys],
        seed=settings.seed,
        n_rows=settings.n_rows,
    )
    model, _ = models_of(pair, writer)
    openers = thought_openers(model, prompts[0] if writer == "base" else prompts[1])
    return [
        _graded(pair, writer, question, text, ends, opener, keeps_places)
        for question, text, opener in zip(questions, texts, openers, strict=True)
    ]


def _graded(
    pair: Pair, writer: Role, question: Question, text: SwappedText, ends: set[int], opener: str, keeps_places: bool
) -> SwapAnswer:
    model, limit = models_of(pair, writer)[0], pair.limit_tokens
    has_ended = bool(text.tokens) and text.tokens[-1] in ends
    written = model.tokenizer.decode(
        list(text.tokens[:-1] if has_ended else text.tokens),
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
    changed = [bool(change) for change in text.column("changed")]
    ranks, own_ranks = (
        [rank for rank, change in zip(text.column(name), changed, strict=True) if change]
        for name in ("rank", "own_rank")
    )
    places: dict[str, Any] = {}
    if keeps_places:
        names = ("js", "kl_thinking_base", "kl_base_thinking", "base_entropy")
        places = {name: tuple(round(nats, DIGITS) for nats in text.column(name)) for name in names}
        places["tokens"] = text.tokens
    return SwapAnswer(
        text=str(written),
        n_tokens=len(text.tokens),
        is_solved=pair.grader(question, f"{opener}{written}") if has_ended or limit is None else False,
        is_truncated=not has_ended and (limit is None or len(text.tokens) <= limit),
        n_swapped=int(sum(text.column("swapped"))),
        n_changed=sum(changed),
        in_top=tuple(sum(rank <= most for rank in ranks) for most in RANKS),
        own_in_top=tuple(sum(rank <= most for rank in own_ranks) for most in RANKS),
        **places,
    )

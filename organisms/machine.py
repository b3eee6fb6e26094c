"""The state machine of a response: which state it is in, what is right to say next, and where a sentence leads.

Every move may be made in every state, so that what may be said tells nothing of when it should be. The state follows
what was *said*, right or wrong: a candidate said to be a hit is found, whether its code is the wanted one or not.

    restate  the bad taste                 no effect
    plan     level, wanted code, way       begins the level anew by this way: nothing held, nothing tried
    try      candidate, its code, `hit`    holds the next candidate; with one held, the same again
    check    taste, verdict                of what is held
    back                                   drops what is held
    doubt                                  no effect
    accept   level, candidate              fixes what is held for the level and opens the next; nothing held: level lost
    answer                                 ends the response

What is not there (no candidate left, nothing held, no level left) is said as `none`. Without a plan the way is hue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, cast

from .language import HITS, NONE, Move
from .task import LEVELS, N_CANDIDATES, N_LEVELS, VERDICTS, Problem
from .world import CODE_OF, SYMBOLS, TASTE, Way

State = Literal["start", "open", "ready", "missed", "found", "fine", "bad", "spent", "complete", "done"]
WayContext = Literal["first", "next", "again"]

STATES: tuple[State, ...] = ("start", "open", "ready", "missed", "found", "fine", "bad", "spent", "complete")
_IS_SYMBOL = frozenset(SYMBOLS)


@dataclass(slots=True)
class Machine:
    """A response under way."""

    problem: Problem
    level: int = 0
    way: Way = "hue"
    place: int = -1  # of the candidate tried last at this level, by this plan; -1: none yet
    held: str | None = None
    accepted: list[str] = field(default_factory=list)
    last_way: Way | None = None  # of the last plan of the response
    is_planned: bool = False
    is_begun: bool = False
    is_done: bool = False
    _hit: str | None = None  # said of what is held
    _verdict: str | None = None

    @property
    def state(self) -> State:
        """What kind of decision comes next."""
        if self.is_done:
            return "done"
        if self.level >= N_LEVELS:
            return "complete"
        if self.held is not None:
            if self._hit != HITS[0]:
                return "missed"
            return "found" if self._verdict is None else "fine" if self._verdict == VERDICTS[0] else "bad"
        if not self.is_begun:
            return "start"
        if not self.is_planned and self.place < 0:
            return "open"
        return "ready" if self.place + 1 < N_CANDIDATES else "spent"

    @property
    def way_context(self) -> WayContext:
        """What a plan would be: the first of the response, the first of a later level, or one more of a level."""
        if self.last_way is None:
            return "first"
        return "again" if self.is_planned else "next"

    @property
    def is_solved(self) -> bool:
        """Whether every level was accepted with its target and the response was ended."""
        return self.is_done and tuple(self.accepted) == self.problem.targets

    def content(self, move: Move, way: Way = "hue") -> tuple[str, ...]:
        """Say a move rightly.

        Args:
            move: What is said.
            way: Of a plan; other moves have none to choose.

        Returns:
            The arguments of the sentence.
        """
        is_open = self.level < N_LEVELS
        match move:
            case "restate":
                return (self.problem.bad,)
            case "plan":
                return (LEVELS[self.level], self.problem.goals[self.level], way) if is_open else (NONE, NONE, way)
            case "try":
                symbol = self.held or self._next_candidate()
                return (NONE, NONE, NONE) if symbol is None else self.tried(symbol, CODE_OF[self.way][symbol])
            case "check":
                if self.held is None:
                    return NONE, NONE
                taste = TASTE[self.held]
                return taste, VERDICTS[taste == self.problem.bad]
            case "accept":
                return (LEVELS[self.level] if is_open else NONE, self.held or NONE)
            case "back" | "doubt" | "answer":
                return ()

    def tried(self, symbol: str, code: str) -> tuple[str, ...]:
        """Say of a candidate its code, right or wrong, and rightly whether that is the wanted one."""
        return symbol, code, HITS[code != self.problem.goals[self.level]]

    def _next_candidate(self) -> str | None:
        if self.level >= N_LEVELS or self.place + 1 >= N_CANDIDATES:
            return None
        return self.problem.candidates[self.level][self.place + 1]

    def advance(self, move: Move, content: tuple[str, ...]) -> None:
        """Go on from what was said.

        Args:
            move: What was said.
            content: The arguments as they were said, right or wrong.
        """
        if move != "doubt":
            self.is_begun = True
        match move:
            case "plan":
                self._begin(cast(Way, content[2]), is_planned=self.level < N_LEVELS)
                self.last_way = self.way
            case "try":
                self._hold(content[0], content[2])
            case "check":
                if self.held is not None and content[1] != NONE:
                    self._verdict = content[1]
            case "back":
                self._drop()
            case "accept":
                if self.level < N_LEVELS:
                    self.accepted.append(content[1])
                    self.level += 1
                    self._begin("hue", is_planned=False)
            case "answer":
                self.is_done = True
            case "restate" | "doubt":
                pass

    def _begin(self, way: Way, *, is_planned: bool) -> None:
        self.way, self.is_planned, self.place = way, is_planned, -1
        self._drop()

    def _drop(self) -> None:
        self.held = self._hit = self._verdict = None

    def _hold(self, symbol: str, hit: str) -> None:
        if symbol not in _IS_SYMBOL or self.level >= N_LEVELS:
            self._drop()
            return
        if symbol != self.held:
            level = self.problem.candidates[self.level]
            self.place = level.index(symbol) if symbol in level else min(self.place + 1, N_CANDIDATES - 1)
        self.held, self._hit, self._verdict = symbol, hit, None

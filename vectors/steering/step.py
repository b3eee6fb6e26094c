"""Describe one forward pass for steering: which tokens it runs, and where they stand in their rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ...rundir import InputError


@dataclass(eq=False, kw_only=True)
class Step:
    """The tokens of a forward pass; with a key-value cache these are only the new ones."""

    ids: Int[Tensor, "rows tokens"] | None  # None if the model is called with embeddings
    first_column: int  # of the padded batch, prompt and response: the number of columns in the cache before this pass
    is_real: Bool[Tensor, "rows tokens"]  # neither padding nor after the end of the row's response
    known_positions: Int[Tensor, "rows tokens"]  # `positions`, before it is checked that they can be known
    n_prompt: Int[Tensor, " rows"] | None  # real tokens of each row's prompt; None where it is not known
    n_new: int  # how many of the last columns no earlier pass has run; fewer than all only without a cache
    prompt_rows: Int[Tensor, " rows"] | None = None  # the row of the first pass of each row; None: its own
    needs_rows: bool = False  # whether `n_prompt` is right only while each row stays where it was
    find_problem: Callable[[], str | None] | None = None  # why rows and positions are not known
    rows_changed: Callable[[], bool] | None = None  # whether a row may be another one's text by now
    # (index of the steering, layer, tokens changed there); layers that change the same tokens share the mask.
    changes: list[tuple[int, int, Bool[Tensor, "rows tokens"]]] = field(default_factory=list)
    masks: dict[object, Bool[Tensor, "rows tokens"]] = field(default_factory=dict)  # of each steering, computed once
    # Position of the last token that `since` was given a mark at, by whose marks they are, of each row of the first
    # pass; of earlier passes on the same cache, then of this one too.
    marked: dict[object, Int[Tensor, " rows"]] = field(default_factory=dict)
    ages: dict[object, Int[Tensor, "rows tokens"]] = field(default_factory=dict)  # of `since`, counted once a pass
    _is_checked: bool = False
    _are_rows_checked: bool = False

    @property
    def n_rows(self) -> int:
        """The number of texts in the batch."""
        return self.is_real.shape[0]

    @property
    def n_tokens(self) -> int:
        """The number of columns that this pass runs."""
        return self.is_real.shape[1]

    @property
    def is_first_pass(self) -> bool:
        """Whether nothing of these texts has run before."""
        return self.first_column == 0 and self.n_new == self.n_tokens

    @property
    def positions(self) -> Int[Tensor, "rows tokens"]:
        """The position of each token among the real tokens of its row, from 0, whatever the padding.

        Raises:
            InputError: It is not known which texts the rows hold.
        """
        self.check()
        return self.known_positions

    def check(self) -> None:
        """Check that each row is one text, read from left to right.

        Raises:
            InputError: It is not, or it cannot be told.
        """
        if self._is_checked:
            return
        problem = None if self.find_problem is None else self.find_problem()
        if problem is not None:
            raise InputError(
                f"cannot tell the position of each token in its text: {problem}. Run one text a row, padded with an "
                "attention mask, or steer when='all' without a mask."
            )
        self._is_checked = True

    def check_rows(self) -> None:
        """Check that each row holds the text that it held in the first pass, for what is given row by row.

        Raises:
            InputError: Rows may have been reordered, dropped or repeated.
        """
        self.check()
        if self._are_rows_checked:
            return
        if self.rows_changed is not None and self.rows_changed():
            raise InputError(
                "cannot tell which row is which: the rows of the cache were reordered, dropped or repeated (beam "
                "search). Steer without a mask, without when='sentences:SHARE' and without n_prompt_tokens of single "
                "rows, or run one row at a time."
            )
        self._are_rows_checked = True

    def prompt_tokens(self) -> Int[Tensor, " rows"]:
        """Return the number of prompt tokens of each row.

        Raises:
            InputError: The end of the prompt is not known.
        """
        self.check()
        if self.n_prompt is None:
            raise InputError(
                f"cannot tell where the prompt ends: this pass runs {self.n_tokens} tokens with guesses of an "
                "assistant, a part of a prompt, or on a cache that was filled outside of steer() or by parts. Give "
                "n_prompt_tokens=, or steer when='all'."
            )
        if self.needs_rows:
            self.check_rows()
        return self.n_prompt

    def is_response(self) -> Bool[Tensor, "rows tokens"]:
        """Mark the tokens of the response, without the last token of the prompt.

        Raises:
            InputError: The end of the prompt is not known.
        """
        return self.is_real & (self.positions >= self.prompt_tokens()[:, None])

    def since(self, marks: Bool[Tensor, "rows tokens"], key: object) -> Int[Tensor, "rows tokens"]:
        """Count the tokens since the last one of its row that was marked, in this pass or an earlier one.

        Args:
            marks: True for the marked tokens of this pass.
            key: Whose marks they are; the same in all passes.

        Returns:
            0 at a mark, 1 at the token after it, and so on; -1 where none has been marked.

        Raises:
            InputError: Earlier passes are not known, or it is not known which row is which.
        """
        if key in self.ages:
            return self.ages[key]
        positions, rows = self.positions, self.prompt_rows
        last = torch.where(marks & self.is_real, positions, -1).cummax(dim=1).values
        if self.first_column == 0:
            self.marked[key] = last[:, -1]
        else:
            self.check_rows()
            if key not in self.marked:
                raise InputError(
                    "cannot tell where the sentence began: this pass runs on a cache that was filled outside of "
                    "steer(). Run the prompt inside of the block too, or steer when='sentences'."
                )
            earlier = self.marked[key].to(last.device)
            rows = torch.arange(len(earlier), device=last.device) if rows is None else rows.to(last.device)
            last = last.maximum(earlier[rows][:, None])
            self.marked[key] = earlier.index_copy(0, rows, last[:, -1])
        self.ages[key] = torch.where(last >= 0, positions - last, -1)
        return self.ages[key]

    def count_new(self, mask: Bool[Tensor, "rows tokens"]) -> Int[Tensor, ""]:
        """Count the tokens of a mask that no earlier pass has run.

        Args:
            mask: True for the tokens to count.

        Returns:
            The count, on the device of the mask, so that nothing waits for it.
        """
        new = mask if self.n_new == self.n_tokens else mask[:, self.n_tokens - self.n_new :]
        return new.sum(dtype=torch.int64)

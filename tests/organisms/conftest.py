"""Organisms made of rules write through the sampling of the family, their decoder in the place of a network's."""

from __future__ import annotations

import pytest

from .rules import RuleDecoder


@pytest.fixture
def rule_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sampling", "evaluation.guessing"):
        monkeypatch.setattr(f"reasonlens.organisms.{module}.Decoder", RuleDecoder)

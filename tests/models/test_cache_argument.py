"""The argument of keys and values, by either name that transformers has given it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import (
    GPT2Config,
    JambaConfig,
    LlamaConfig,
    MambaConfig,
    PreTrainedConfig,
    RwkvConfig,
    xLSTMConfig,
)

from reasonlens.models.cache_argument import cache_argument, filled_cache

WITH_KEYS = ((LlamaConfig, False), (GPT2Config, False), (JambaConfig, True))
STATES_ALONE = ((MambaConfig, True), (xLSTMConfig, True))


def since(config: PreTrainedConfig, is_stateful: bool) -> Any:
    """Make what looks like a model of transformers 5.24, in which any cache is named so."""
    return SimpleNamespace(config=config, _is_stateful=is_stateful, forward=lambda input_ids, cache=None: None)


@pytest.mark.parametrize(("config", "is_stateful"), WITH_KEYS)
def test_a_model_with_keys_takes_them_by_either_name(config: type[PreTrainedConfig], is_stateful: bool) -> None:
    assert cache_argument(since(config(), is_stateful)) == "cache"
    before: Any = SimpleNamespace(forward=lambda input_ids, past_key_values=None: None)
    assert cache_argument(before) == "past_key_values"


@pytest.mark.parametrize(("config", "is_stateful"), STATES_ALONE)
def test_states_alone_are_no_cache_of_keys(config: type[PreTrainedConfig], is_stateful: bool) -> None:
    assert cache_argument(since(config(), is_stateful)) is None
    before: Any = SimpleNamespace(forward=lambda input_ids, cache_params=None: None)
    assert cache_argument(before) is None


def test_a_model_of_states_by_another_name_takes_no_cache() -> None:
    model: Any = SimpleNamespace(config=RwkvConfig(), _is_stateful=True, forward=lambda input_ids, state=None: None)
    assert cache_argument(model) is None


def test_the_cache_is_read_by_either_name() -> None:
    filled = object()
    assert filled_cache(SimpleNamespace(past_key_values=filled)) is filled
    assert filled_cache(SimpleNamespace(cache=filled)) is filled
    assert filled_cache(SimpleNamespace(cache_params=filled)) is None


def test_a_model_of_this_transformers_has_its_cache_recognised(tiny: Any) -> None:
    model = tiny()
    assert model.takes_cache
    output = model.model(model.model.dummy_inputs["input_ids"], use_cache=True)
    cache = filled_cache(output)
    assert cache.get_seq_length() > 0
    again = model.model(model.model.dummy_inputs["input_ids"], **{model.cache_name: cache})
    assert filled_cache(again).get_seq_length() == 2 * model.model.dummy_inputs["input_ids"].shape[1]

"""`find_directions` is what its method, the bootstrap and the removal of content are by themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reasonlens import Activations, Directions, InputError, collect_moments
from reasonlens.vectors.extraction import (
    METHODS,
    OptimisedSettings,
    bootstrap_stability,
    find_directions,
    open_source,
    project_out_content,
)

Planted = Callable[..., tuple[Activations, torch.Tensor]]


def same(first: Directions, second: Directions) -> bool:
    tensors = zip(first.vectors.values(), second.vectors.values(), strict=True)
    return first.scores == second.scores and all(torch.equal(one, other) for one, other in tensors)


@pytest.mark.parametrize("method", ["mean-difference", "lda"])
def test_without_resamples_it_is_the_method_itself(planted: Planted, method: str) -> None:
    activations, direction = planted()
    found = find_directions(activations, method=method, n_resamples=0)
    assert same(found, METHODS[method].find(activations))
    cosine = torch.cosine_similarity(found.vectors["backtracking"], direction.float(), dim=-1)
    assert cosine.min() > 0.9


def test_with_resamples_it_is_the_bootstrap_with_the_same_seed(planted: Planted) -> None:
    activations, _ = planted()
    found = find_directions(activations, n_resamples=5, seed=3, progress=False, against="overall")
    expected = bootstrap_stability(activations, n_resamples=5, seed=3, against="overall")
    assert same(found, expected) and "bootstrap_cosine" in found.scores["backtracking"]
    other = find_directions(activations, n_resamples=5, seed=4, progress=False, against="overall")
    assert not same(found, other)


def test_content_is_removed_by_count_or_share(planted: Planted) -> None:
    activations, _ = planted(content=3.0)
    for content in (2, 2.0, 0.5):
        found = find_directions(activations, n_resamples=0, remove_content=content)
        whole = METHODS["mean-difference"].find(activations)
        assert same(found, project_out_content(whole, activations, n_components=int(content) if content >= 1 else 0.5))
    with pytest.raises(InputError, match=r"a count \(4\) or a share below 1 \(0.5\), and 2.5 is neither"):
        find_directions(activations, remove_content=2.5)


def test_layers_are_chosen_by_text_or_number(planted: Planted) -> None:
    activations, _ = planted(layers=(0, 3, 5))
    for layers, expected in (("all", (0, 3, 5)), ("2:", (3, 5)), ("-1", (5,)), ([3], (3,)), ("0,5", (0, 5))):
        assert find_directions(activations, layers=layers, n_resamples=0).layers == expected
    with pytest.raises(InputError, match="layer 4 was not collected; these were: 0, 3, 5"):
        find_directions(activations, layers="4")


def test_files_and_directories_of_activations_and_moments_are_opened(tiny, traces, planted: Planted, tmp_path: Path):
    activations, _ = planted()
    activations.save(tmp_path / "acts.safetensors")
    moments = collect_moments(tiny(), traces, layers=[0, 2], out=tmp_path / "moments", progress=False)
    assert isinstance(open_source(tmp_path / "acts.safetensors"), Activations)
    for place in (tmp_path / "moments", tmp_path / "moments" / "moments.safetensors"):
        assert open_source(place).layers == moments.layers == (0, 2)
    found = find_directions(tmp_path / "acts.safetensors", n_resamples=0)
    assert same(found, find_directions(activations, n_resamples=0))
    with pytest.raises(InputError, match="moments keep no problems"):
        find_directions(moments, n_resamples=10)
    with pytest.raises(InputError, match="there is nothing at .*absent; `reasonlens collect --out"):
        open_source(tmp_path / "absent")


def test_options_of_the_search_are_those_of_its_settings() -> None:
    made = OptimisedSettings.of({"max_steps": 7, "bias": True}, seed=5, n_resamples=2)
    assert made == OptimisedSettings(max_steps=7, bias=True, seed=5, n_resamples=2)
    for name in ("C", "seed", "behaviours"):
        with pytest.raises(InputError, match=f"optimised has no option '{name}'; it has bias, bias_only"):
            OptimisedSettings.of({name: 1})

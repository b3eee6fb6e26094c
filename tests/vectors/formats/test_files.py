"""What each format takes and refuses, beyond the rule of its index."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reasonlens import Directions, InputError
from reasonlens.vectors.formats import (
    hotwire,
    neuronpedia,
    persona_vectors,
    published_means,
    refusal_direction,
    safetensors,
    steering_vectors,
    svec,
    vllm_lens,
)

from .conftest import WIDTH, make_directions, with_unknown_origin


def test_the_last_block_is_refused_where_a_tool_steers_before_a_block(tmp_path: Path) -> None:
    last = make_directions(layers=(3, 4))
    for tool, said in ((svec, "activation-steering"), (refusal_direction, "refusal_direction")):
        with pytest.raises(InputError, match=rf"{said} .*no block comes after layer 4, the last of 5: leave it out"):
            tool.write(last, tmp_path / "b", behaviour="backtracking")
        tool.write(last, tmp_path / "b", behaviour="backtracking", layers=[3])
    with pytest.raises(InputError, match="no block comes after layer 4"):
        neuronpedia.write(last, tmp_path / "b.json", behaviour="backtracking", layers=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


def test_svec_is_read_where_it_acts_or_where_it_was_found(tmp_path: Path) -> None:
    rows = {str(key): [float(key)] * WIDTH for key in range(4)}
    content = {"model_type": "llama", "directions": rows, "explained_variances": {"0": 0.3}}
    (tmp_path / "refusal.svec").write_text(json.dumps(content))
    acts = svec.read(tmp_path / "refusal.svec")
    assert acts.layers == (0, 1, 2) and acts.at("refusal", 1)[0] == 2 and acts.model == {"model_type": "llama"}
    found = svec.read(tmp_path / "refusal.svec", as_found=True)
    assert found.layers == (0, 1, 2, 3)
    assert found.at("refusal", 2)[0] == 2


def test_svec_numbers_beyond_float16_are_refused(directions: Directions, tmp_path: Path) -> None:
    large = replace(directions, vectors={"x": 1e5 * torch.ones(3, WIDTH)})
    with pytest.raises(InputError, match="float16, up to 65504, and these go up to 100000"):
        svec.write(large, tmp_path / "x.svec")


def test_hotwire_reads_dicts_and_single_vectors(tmp_path: Path) -> None:
    torch.save({"about": "x", "v": torch.ones(3, WIDTH)}, tmp_path / "car.pt")
    assert hotwire.read(tmp_path / "car.pt").layers == (0, 1, 2)
    torch.save(torch.ones(WIDTH), tmp_path / "one.pt")
    with pytest.raises(InputError, match="does not say of which layer: give layer=L"):
        hotwire.read(tmp_path / "one.pt")
    assert hotwire.read(tmp_path / "one.pt", layer=20).layers == (20,)
    torch.save(torch.ones(2, 3, 4), tmp_path / "cube.pt")
    with pytest.raises(InputError, match=r"shape \(2, 3, 4\).*a table of vectors"):
        hotwire.read(tmp_path / "cube.pt")


def test_refusal_direction_gives_a_behaviour_for_each_position(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    diffs = torch.randn(2, 4, WIDTH, generator=generator, dtype=torch.float64)
    diffs[:, 0] = 0  # the same tokens end every prompt, so that their embeddings do not differ
    torch.save(diffs, tmp_path / "mean_diffs.pt")
    read = refusal_direction.read(tmp_path / "mean_diffs.pt", behaviour="refusal")
    assert read.behaviours == ("refusal@-2", "refusal@-1") and read.layers == (0, 1, 2)
    torch.testing.assert_close(read.at("refusal@-1", 2), diffs[1, 3].float())
    one = refusal_direction.read(tmp_path / "mean_diffs.pt", behaviour="refusal", position=-2)
    assert one.behaviours == ("refusal",)
    torch.testing.assert_close(one.at("refusal", 0), diffs[0, 1].float())
    with pytest.raises(InputError, match="has 2 positions"):
        refusal_direction.read(tmp_path / "mean_diffs.pt", position=5)


def test_persona_vectors_leave_out_the_row_after_the_final_norm(tmp_path: Path) -> None:
    table = torch.arange(1.0, 6.0)[:, None].expand(5, WIDTH).contiguous()  # embeddings and four blocks
    torch.save(table, tmp_path / "evil_response_avg_diff.pt")
    read = persona_vectors.read(tmp_path / "evil_response_avg_diff.pt", behaviour="evil")
    assert read.layers == (0, 1, 2) and read.at("evil", 0)[0] == 2
    assert persona_vectors.read(tmp_path / "evil_response_avg_diff.pt", last_row=True).layers == (0, 1, 2, 3)
    last = make_directions(layers=(4,))
    persona_vectors.write(last, tmp_path / "b.safetensors", behaviour="deduction")
    assert persona_vectors.read(tmp_path / "b.safetensors").layers == (4,)  # ours was not


def published(path: Path, overall: bool = True) -> dict[str, dict[str, object]]:
    generator = torch.Generator().manual_seed(1)
    counts = {"overall": 5, "backtracking": 2, "deduction": 6, "checking": 1}
    means = {
        label: {"mean": torch.randn(3, WIDTH, generator=generator), "count": count} for label, count in counts.items()
    }
    if not overall:
        del means["overall"]
    torch.save(means, path)
    return means


def test_published_means_become_mean_differences_with_their_counts(tmp_path: Path) -> None:
    means = published(tmp_path / "means.pt")
    read = published_means.read(tmp_path / "means.pt")
    assert read.behaviours == ("backtracking", "deduction", "checking") and read.layers == (0, 1, 2)
    assert read.n_examples == {"backtracking": 2, "deduction": 6, "checking": 1}
    expected = means["backtracking"]["mean"] - means["overall"]["mean"]
    torch.testing.assert_close(read.vectors["backtracking"], expected)
    scaled = published_means.read(tmp_path / "means.pt", behaviour="backtracking", rescale=True)
    torch.testing.assert_close(scaled.vectors["backtracking"].norm(dim=1), means["overall"]["mean"].norm(dim=1))
    others = published_means.read(tmp_path / "means.pt", against="others")
    by_hand = means["backtracking"]["mean"] - (6 * means["deduction"]["mean"] + means["checking"]["mean"]) / 7
    torch.testing.assert_close(others.vectors["backtracking"], by_hand)


def test_published_means_without_an_overall_one_say_what_to_do(tmp_path: Path) -> None:
    published(tmp_path / "means.pt", overall=False)
    with pytest.raises(InputError, match="no mean for 'overall': take the means against the other labels"):
        published_means.read(tmp_path / "means.pt")
    with pytest.raises(InputError, match="no mean for 'doubt'; there are backtracking, deduction, checking"):
        published_means.read(tmp_path / "means.pt", behaviour="doubt", against="others")


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("touched-by-a-pickle"),))


def test_a_pt_with_code_in_it_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"mean": Malicious()}, tmp_path / "bad.pt")
    for tool in (published_means, hotwire, refusal_direction, persona_vectors):
        with pytest.raises(InputError, match="could run code"):
            tool.read(tmp_path / "bad.pt")
    assert not Path("touched-by-a-pickle").exists()
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(InputError):
        hotwire.read(tmp_path / "plain.pt")
    with pytest.raises(InputError, match="no .pt file of torch 1.6 or later"):
        published_means.read(tmp_path / "plain.pt")
    assert not Path("touched-by-a-pickle").exists()


def test_no_file_that_is_written_is_a_pickle(directions: Directions, tmp_path: Path) -> None:
    from reasonlens.vectors.formats import FORMATS

    for name, entry in FORMATS.items():
        if entry.write is not None and not entry.needs_model:
            path = tmp_path / f"{name}{entry.suffix}"
            entry.write(directions, path, behaviour="deduction", layers=[2])
            content = path.read_bytes()
            assert content[:2] not in (b"PK", b"\x80\x02", b"\x80\x04"), name
            assert path.suffix not in (".pt", ".pth", ".pkl", ".bin"), name


def test_a_tensor_larger_than_its_bytes_is_refused(tmp_path: Path) -> None:
    torch.save({"v": torch.ones(1).expand(1 << 30)}, tmp_path / "stretched.pt")
    with pytest.raises(InputError, match="larger than its data"):
        hotwire.read(tmp_path / "stretched.pt", layer=1)


def test_neuronpedia_bodies_have_all_fields_and_one_layer(directions: Directions, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one layer at a time, and 3 are chosen"):
        neuronpedia.write(directions, tmp_path / "b.json", behaviour="deduction")
    neuronpedia.write(directions, tmp_path / "b.json", behaviour="deduction", layers=2, default_strength=44)
    body = json.loads((tmp_path / "b.json").read_text())
    assert body.pop("vector") == directions.at("deduction", 2).tolist()
    assert body == {
        "modelId": "model",
        "layerNumber": 3,
        "hookType": "hook_resid_pre",
        "vectorDefaultSteerStrength": 44,
        "vectorLabel": "deduction",
    }
    neuronpedia.write(directions, tmp_path / "b.json", behaviour="deduction", layers=2, hook_type="hook_resid_post")
    assert json.loads((tmp_path / "b.json").read_text())["layerNumber"] == 2
    assert neuronpedia.read(tmp_path / "b.json").layers == (2,)
    with pytest.raises(InputError, match="from -300 to 300, and not 301"):
        neuronpedia.write(directions, tmp_path / "b.json", behaviour="deduction", layers=2, default_strength=301)
    with pytest.raises(InputError, match="give its Neuronpedia name"):
        neuronpedia.write(with_unknown_origin(directions), tmp_path / "b.json", behaviour="deduction", layers=2)


def test_files_of_another_kind_are_named(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="the layers of a steering vector are numbers"):
        steering_vectors.read(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="has no `activations`"):
        vllm_lens.read(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="holds no directions of reasonlens"):
        safetensors.read(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="is not a JSON file"):
        svec.read(tmp_path / "x.safetensors")
    (tmp_path / "list.svec").write_text("[1]")
    with pytest.raises(InputError, match="holds a JSON list, and an object was expected"):
        svec.read(tmp_path / "list.svec")


def test_our_own_file_can_be_written_in_part(directions: Directions, tmp_path: Path) -> None:
    safetensors.write(directions, tmp_path / "v.safetensors", behaviour="backtracking", layers=[1, 3])
    read = safetensors.read(tmp_path / "v.safetensors")
    assert read.behaviours == ("backtracking",) and read.layers == (1, 3) and read.residual_norm == (4.0, 6.0)
    assert read.n_examples == {"backtracking": 7}
    assert read.scores["backtracking"]["auroc"] == pytest.approx([0.6, 0.8])
    with pytest.raises(InputError, match="give the strength where you steer"):
        safetensors.write(directions, tmp_path / "v.safetensors", strength=1.0)

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader, GGUFWriter

from reasonlens import Directions, InputError
from reasonlens.vectors.formats import easysteer, llama_cpp, repeng

from .conftest import WIDTH, make_directions

TOOLS = {"repeng": repeng, "llama.cpp": llama_cpp, "easysteer": easysteer}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_vector_of_block_L_is_direction_L_to_the_gguf_package(tool: str, directions: Directions, tmp_path: Path):
    TOOLS[tool].write(directions, tmp_path / "b.gguf", behaviour="backtracking")
    reader = GGUFReader(tmp_path / "b.gguf")
    found = {tensor.name: tensor for tensor in reader.tensors}
    assert set(found) == {"direction.1", "direction.2", "direction.3"}
    for layer in (1, 2, 3):
        tensor = found[f"direction.{layer}"]
        assert tensor.tensor_type.name == "F32" and list(tensor.shape) == [WIDTH]
        np.testing.assert_array_equal(tensor.data, directions.at("backtracking", layer).numpy())
    assert reader.get_field("general.architecture").contents() == "controlvector"
    assert reader.get_field("controlvector.model_hint").contents() == "llama"  # as transformers calls it
    assert reader.get_field("controlvector.layer_count").contents() == 3


@pytest.mark.parametrize("tool", TOOLS)
def test_what_was_written_is_read_back_bit_for_bit(tool: str, directions: Directions, tmp_path: Path) -> None:
    TOOLS[tool].write(directions, tmp_path / "b.gguf", behaviour="deduction", layers=[1, 3])
    read = TOOLS[tool].read(tmp_path / "b.gguf")
    assert read.behaviours == ("deduction",) and read.layers == (1, 3) and read.model == directions.model
    torch.testing.assert_close(read.vectors["deduction"], directions.vectors["deduction"][[0, 2]], rtol=0, atol=0)
    assert all(np.isnan(read.residual_norm)) and read.n_examples == {}


def test_a_strength_makes_a_coefficient_of_1_that_relative_strength(directions: Directions, tmp_path: Path) -> None:
    repeng.write(directions, tmp_path / "b.gguf", behaviour="backtracking", strength=-1.5)
    read = repeng.read(tmp_path / "b.gguf")
    for layer in directions.layers:
        row, raw = read.at("backtracking", layer), directions.at("backtracking", layer)
        assert float(row.norm()) == pytest.approx(1.5 * (3.0 + layer), rel=1e-5)
        assert float(torch.cosine_similarity(row, raw, dim=0)) == pytest.approx(-1, abs=1e-5)


def test_layer_0_is_refused_for_llama_cpp_and_no_file_is_left(tmp_path: Path) -> None:
    first = make_directions(layers=(0, 1))
    with pytest.raises(InputError, match=r"llama.cpp cannot steer layer 0.*leave it out \(--layers 1:"):
        llama_cpp.write(first, tmp_path / "b.gguf", behaviour="backtracking")
    assert not list(tmp_path.iterdir())
    for tool in (repeng, easysteer):  # these two can
        tool.write(first, tmp_path / "b.gguf", behaviour="backtracking")
        assert tool.read(tmp_path / "b.gguf").layers == (0, 1)


def test_zero_filled_gives_every_block_of_the_model_a_vector(directions: Directions, tmp_path: Path) -> None:
    repeng.write(directions, tmp_path / "b.gguf", behaviour="backtracking", zero_filled=True)
    found = {tensor.name: tensor.data for tensor in GGUFReader(tmp_path / "b.gguf").tensors}
    assert set(found) == {f"direction.{layer}" for layer in range(5)}
    assert not found["direction.0"].any() and not found["direction.4"].any()
    assert repeng.read(tmp_path / "b.gguf").layers == directions.layers  # zeros are no directions


def test_a_file_that_repeng_wrote_is_read_by_its_hint(tmp_path: Path) -> None:
    """The lines of repeng 0.4's ControlVector.export_gguf."""
    writer = GGUFWriter(tmp_path / "happy.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "mistral")
    writer.add_uint32("controlvector.layer_count", 2)
    for layer in (7, 6):
        writer.add_tensor(f"direction.{layer}", np.full(WIDTH, layer, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    read = repeng.read(tmp_path / "happy.gguf")
    assert read.behaviours == ("happy",) and read.layers == (6, 7) and read.model == {"model_type": "mistral"}
    assert read.at("happy", 7).tolist() == [7.0] * WIDTH
    assert repeng.read(tmp_path / "happy.gguf", behaviour="joy").behaviours == ("joy",)


def damaged(path: Path, at: int, kind: str, value: int) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(kind, content, at, value)
    path.write_bytes(bytes(content))
    return path


def test_a_header_that_claims_more_than_the_file_has_is_refused(directions: Directions, tmp_path: Path) -> None:
    path = tmp_path / "b.gguf"

    def fresh() -> Path:
        repeng.write(directions, path, behaviour="backtracking")
        return path

    for at, kind, value, said in (
        (4, "<I", 99, "GGUF version 99"),
        (8, "<Q", 1 << 40, "1099511627776 tensors"),
        (16, "<Q", 1 << 60, "entries"),
        (24, "<Q", 1 << 62, "more bytes than the file has"),
    ):
        with pytest.raises(InputError, match=said):
            repeng.read(damaged(fresh(), at, kind, value))
    name_at = fresh().read_bytes().index(b"direction.1") + len("direction.1")
    with pytest.raises(InputError, match="2 dimensions, not 1"):
        repeng.read(damaged(fresh(), name_at, "<I", 2))
    with pytest.raises(InputError, match="outside of the file"):
        repeng.read(damaged(fresh(), name_at + 4, "<Q", 1 << 40))
    with pytest.raises(InputError, match="GGML type 2, not F32 or F16"):
        repeng.read(damaged(fresh(), name_at + 12, "<I", 2))
    with pytest.raises(InputError, match="overlap"):
        repeng.read(damaged(fresh(), name_at + 16, "<Q", 32))
    path.write_bytes(fresh().read_bytes()[:-40])
    with pytest.raises(InputError, match="outside of the file"):
        repeng.read(path)


def test_what_is_no_control_vector_is_named(tmp_path: Path, directions: Directions) -> None:
    (tmp_path / "text.gguf").write_text("not a gguf file at all")
    with pytest.raises(InputError, match="is not a GGUF file"):
        repeng.read(tmp_path / "text.gguf")
    with pytest.raises(InputError, match="cannot read .*absent.gguf: No such file"):
        repeng.read(tmp_path / "absent.gguf")
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tensor("direction.1", np.ones(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match="is a GGUF file of 'llama', and no control vector"):
        repeng.read(tmp_path / "model.gguf")
    with pytest.raises(InputError, match="EasySteer reads files that end in .gguf only"):
        easysteer.write(directions, tmp_path / "b.bin", behaviour="deduction")


def test_vectors_that_are_not_finite_are_refused_with_behaviour_and_layer(
    directions: Directions, tmp_path: Path
) -> None:
    broken = directions.vectors["deduction"].clone()
    broken[1, 4] = torch.nan
    with pytest.raises(InputError, match="vector for 'deduction' at layer 2 holds NaN"):
        repeng.write(replace(directions, vectors={"deduction": broken}), tmp_path / "b.gguf")
    repeng.write(directions, tmp_path / "b.gguf", behaviour="deduction")
    content = (tmp_path / "b.gguf").read_bytes()
    row = directions.at("deduction", 3).numpy().tobytes()
    (tmp_path / "b.gguf").write_bytes(content.replace(row, row[:-4] + struct.pack("<f", float("inf"))))
    with pytest.raises(InputError, match="vector for 'deduction' at layer 3 holds infinity"):
        repeng.read(tmp_path / "b.gguf")

"""The notebook runs from its first cell to its last, on a tiny model and a few traces."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from reasonlens import write_traces

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "locate.ipynb"


@pytest.mark.filterwarnings("default")  # of the notebook server's own libraries
def test_the_notebook_runs_and_shows_its_figures(tiny, traces, tmp_path: Path) -> None:
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert len(notebook.cells) == 10
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = (
        "import reasonlens\n"
        f"MODEL, TRACES = {str(tmp_path / 'model')!r}, {str(tmp_path / 'traces.jsonl')!r}\n"
        "SETTINGS = reasonlens.LocateSettings(n_folds=3, n_bootstrap=20, n_shuffles=1)\n"
    )
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("application/vnd.plotly.v1+json" in data for data in shown) == 3
    assert any("backtracking" in data.get("text/html", "") for data in shown)  # the table
    assert (tmp_path / "vectors.safetensors").is_file()

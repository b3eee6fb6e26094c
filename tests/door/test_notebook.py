"""The notebooks run from their first cell to their last, and are stored as they ran.

Those that take long run under the mark `notebook`, with the smaller sizes of `SMALLER`; as stored they ran with the
sizes that they show.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from reasonlens import write_traces

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
names = [path.stem for path in PATHS]
MOST_BYTES = 600_000
PLOTLY = "application/vnd.plotly.v1+json"
# Notebook -> what is added to its cell of parameters
SMALLER = {
    "extend": "N_TRACES, N_PROBLEMS, N_RESPONSES, N_TOKENS = 4, 4, 2, 40",
    "family": "PAIRS, N_PROBLEMS, N_SAMPLES = ('skill',), 4, 1",
    "formats": "N_TRACES = 4",
    "own_model": "N_PROBLEMS = 12\n"
    "SETTINGS = reasonlens.LocateSettings(n_folds=3, n_bootstrap=20, n_shuffles=1, n_permutations=20, "
    "next_behaviour=False, injection=False)",
    "passk": "N_PROBLEMS, N_SAMPLES, N_RESAMPLES = 20, 16, 200",
    "steer": "N_TRACES, N_PROBLEMS, N_RANDOM, N_TOKENS, STRENGTHS = 6, 2, 2, 30, (0.5,)",
    "verdict": "BUDGET_SECONDS = 1.0",
}
QUICK = ("passk",)


def run(notebook: NotebookNode, place: Path) -> list[NotebookNode]:
    """Run a notebook in an empty folder and return what its cells show."""
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(place)}}).execute()
    return outputs(notebook)


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    """Return what the cells of a notebook show."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def parameters(notebook: NotebookNode) -> NotebookNode:
    """Return the only cell of parameters."""
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    return cell


def texts(notebook: NotebookNode) -> list[str]:
    """Return everything in a notebook that people read: cells, what they print, and tables; figures are left out."""
    shown = [output.get("text") or "" for output in outputs(notebook)]
    data = [output.get("data", {}) for output in outputs(notebook)]
    return [
        *(cell.source for cell in notebook.cells),
        *shown,
        *(text for one in data for kind, text in one.items() if kind.startswith("text/")),
    ]


def absolute_paths(text: str) -> list[str]:
    """Find the paths that begin at a root: they are of the machine on which a notebook ran."""
    return re.findall(r"(?<![\w.:/<)\]])(?:/(?:[\w.-]+/)+[\w.-]*|[A-Z]:\\\w+)", text)


def stored(path: Path) -> NotebookNode:
    """Read a notebook as it is stored."""
    return nbformat.read(path, as_version=4)


@pytest.mark.filterwarnings("default")  # of the notebook server's own libraries
def test_the_notebook_runs_and_shows_its_figures(tiny, traces, tmp_path: Path) -> None:
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    notebook = stored(NOTEBOOKS / "locate.ipynb")
    assert len(notebook.cells) == 10
    parameters(notebook).source = (
        "import reasonlens\n"
        f"MODEL, TRACES, EVERY = {str(tmp_path / 'model')!r}, {str(tmp_path / 'traces.jsonl')!r}, 1\n"
        "SETTINGS = reasonlens.LocateSettings(n_folds=3, n_bootstrap=20, n_shuffles=1)\n"
    )
    shown = [output.get("data", {}) for output in run(notebook, tmp_path)]
    assert sum(PLOTLY in data for data in shown) == 3
    assert any("backtracking" in data.get("text/html", "") for data in shown)  # the table
    assert (tmp_path / "vectors.safetensors").is_file()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.notebook) for name in sorted(SMALLER)],
)
def test_a_notebook_runs_from_scratch_and_shows_what_it_shows_as_stored(name: str, tmp_path: Path) -> None:
    notebook = stored(NOTEBOOKS / f"{name}.ipynb")
    kinds = [kinds_shown(cell) for cell in notebook.cells]
    parameters(notebook).source += f"\n{SMALLER[name]}\n"
    run(notebook, tmp_path)
    assert [kinds_shown(cell) for cell in notebook.cells] == kinds


def kinds_shown(cell: NotebookNode) -> set[str]:
    """Name what a cell shows, notes and progress left out."""
    return {
        kind
        for output in cell.get("outputs", [])
        if output.get("name") != "stderr"
        for kind in output.get("data", {output.get("name", output["output_type"]): None})
    }


def test_the_page_lists_every_notebook_and_each_has_a_test_that_runs_it() -> None:
    page = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    assert sorted(set(re.findall(r"\]\(([\w-]+)\.ipynb\)", page))) == names
    assert sorted([*SMALLER, "locate"]) == names


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_a_stored_notebook_ran_from_scratch_without_an_error(path: Path) -> None:
    notebook = stored(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert parameters(notebook) is code[0]
    assert not [output for output in outputs(notebook) if output.output_type == "error" or "stderr" in output.values()]
    assert outputs(notebook) and kinds_shown(code[-1])
    assert path.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_a_stored_notebook_names_no_place_of_the_machine_where_it_ran(path: Path) -> None:
    assert not [place for text in texts(stored(path)) for place in absolute_paths(text)]


def test_a_place_of_a_machine_is_seen() -> None:
    assert absolute_paths("in '/home/someone/runs', C:\\Users") == ["/home/someone/runs", "C:\\Users"]
    assert absolute_paths("docs/results.md, <b>1</b>, https://host/v1/x, 1/2, ../passk.md, and/or/not") == []


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_every_link_of_a_notebook_leads_to_a_file(path: Path) -> None:
    prose = "\n".join(cell.source for cell in stored(path).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", prose):
        assert "://" in target or (path.parent / target).exists(), target

"""Where the tools' environments are, and running a script with the Python of one.

A test never imports a tool. It writes a request as JSON to `tools/<name>.py`, run by the tool's own interpreter, where
reasonlens is not installed; the script answers with JSON on stdout and puts arrays into the .npz that the request
names. Python's standard library only: `make.py` runs before anything is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "environments"
TOOLS = HERE / "tools"
STAMP = "made-from.txt"


def root() -> Path:
    """The folder of all environments: `REASONLENS_INTEROP`, else `.interop` of the repository (git-ignored)."""
    chosen = os.environ.get("REASONLENS_INTEROP")
    return Path(chosen).expanduser().resolve() if chosen else HERE.parents[1] / ".interop"


def names() -> list[str]:
    return sorted(file.stem for file in REQUIREMENTS.glob("*.txt") if not file.stem.endswith(".no-deps"))


def recipe(name: str) -> str:
    """All that an environment is made from; it is made anew when this changes."""
    return "".join(file.read_text() for file in requirement_files(name))


def requirement_files(name: str) -> list[Path]:
    """First what is installed with its dependencies, then what is installed without."""
    files = [REQUIREMENTS / f"{name}.txt", REQUIREMENTS / f"{name}.no-deps.txt"]
    return [file for file in files if file.exists()]


def is_made(name: str) -> bool:
    stamp = root() / name / STAMP
    return stamp.is_file() and stamp.read_text() == recipe(name)


def python_of(name: str) -> Path:
    return root() / name / "bin" / "python"


def ask(name: str, script: str, request: dict[str, Any]) -> dict[str, Any]:
    """What `tools/<script>` answers to `request` in the environment `name`."""
    done = run_script(name, TOOLS / script, HERE, json.dumps(request))
    if done.returncode:
        raise RuntimeError(f"{script} failed in the environment {name}:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def run_script(name: str, script: Path, folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """A script in the environment `name`, offline, on one thread, without this process's Python settings."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    variables |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    if name == "llama-cpp":
        variables["LLAMA_CPP_LIB_PATH"] = str(llama_cpp_build() / "bin")
    command = [str(python_of(name)), str(script)]
    return subprocess.run(
        command, cwd=folder, input=given, capture_output=True, text=True, timeout=600, env=variables, check=False
    )


def llama_cpp_build() -> Path:
    """Where `make.py` has compiled llama.cpp; `bin/` holds its libraries and `llama-debug`."""
    return root() / "llama-cpp" / "build"

"""Make the environments of the tools: `python tests/interop/make.py [NAME ...]`, all of them without a name.

Each is a venv of its own with the pinned packages of `environments/NAME.txt` (and `NAME.no-deps.txt`, installed without
dependencies and whatever Python they ask for: plugins of vLLM, whose file-reading parts run without it). llama.cpp is
compiled once from the source that llama-cpp-python carries. One that is there and up to date is left as it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from environment import HERE, STAMP, is_made, llama_cpp_build, names, python_of, recipe, requirement_files, root

CMAKE = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    "LLAMA_BUILD_EXAMPLES": "ON",  # llama-debug is one of them
    **dict.fromkeys(["GGML_NATIVE", "LLAMA_OPENSSL", "LLAMA_USE_PREBUILT_UI"], "OFF"),
    **{f"LLAMA_BUILD_{part}": "OFF" for part in ("APP", "SERVER", "TESTS", "TOOLS", "UI")},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; default all")
    parser.add_argument("--jobs", type=int, default=1, help="how many compilers run at once (llama.cpp)")
    arguments = parser.parse_args()
    for name in arguments.names or names():
        if name not in names():
            parser.error(f"there is no environment {name!r}; there are {', '.join(names())}")
        if is_made(name):
            sys.stdout.write(f"{name}: is there\n")
            continue
        began = time.monotonic()
        sys.stdout.write(f"{name}: making it in {root() / name}\n")
        sys.stdout.flush()
        make(name, arguments.jobs)
        sys.stdout.write(f"{name}: made in {time.monotonic() - began:.0f} s\n")


def make(name: str, jobs: int) -> None:
    shutil.rmtree(root() / name, ignore_errors=True)
    run(sys.executable, "-m", "venv", root() / name)
    environment = dict(os.environ)
    if name == "llama-cpp":
        compile_llama_cpp(root() / name, jobs)
        environment["CMAKE_ARGS"] = "-DLLAMA_BUILD=OFF"  # the bindings alone: they load what was compiled here
    for file in requirement_files(name):
        without = ["--no-deps", "--ignore-requires-python"] if file.stem.endswith(".no-deps") else []
        run(python_of(name), "-m", "pip", "install", "-q", *without, "-r", file, environment=environment)
    if name == "vllm":  # which runs our engine; what torch of a CPU has no library for breaks its import
        run(python_of(name), "-m", "pip", "uninstall", "-q", "-y", "torchvision", "torchaudio", "torchcodec")
        run(python_of(name), "-m", "pip", "install", "-q", "--no-deps", "-e", HERE.parents[1])
    (root() / name / STAMP).write_text(recipe(name))


def compile_llama_cpp(place: Path, jobs: int) -> None:
    """`llama-debug` and the libraries under it, from llama-cpp-python's source package."""
    (package,) = [line for line in recipe("llama-cpp").splitlines() if line.startswith("llama-cpp-python==")]
    run(
        *(python_of("llama-cpp"), "-m", "pip", "download", "-q", "--no-deps"),
        *("--no-binary", "llama-cpp-python", "-d", place / "source", package),
    )
    (archive,) = (place / "source").glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(place / "source", filter="data")
    (source,) = (place / "source").glob("*/vendor/llama.cpp")
    options = [f"-D{key}={value}" for key, value in CMAKE.items()]
    run("cmake", "-S", source, "-B", llama_cpp_build(), *options, environment=dict(os.environ))
    run("cmake", "--build", llama_cpp_build(), "--target", "llama-debug", f"-j{jobs}")
    shutil.rmtree(place / "source")


def run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nfailed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()

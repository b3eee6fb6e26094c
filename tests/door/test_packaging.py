"""What a user installs: the packages that exist and nothing else, from a wheel or as a link to a clone."""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from .floor_plan import ROOT, packages


def data() -> set[str]:
    """Name the files of the packages that are no code, as they are installed."""
    weights = ROOT / "organisms" / "weights"
    return {
        *("reasonlens/py.typed", "reasonlens/__init__.pyi", "reasonlens/traces/bundled.jsonl"),
        "reasonlens/pairs/exchange/known_pairs.json",
        *(
            f"reasonlens/traces/behaviour_sets/{path.name}"
            for path in (ROOT / "traces" / "behaviour_sets").glob("*.yaml")
        ),
        *(f"reasonlens/figures/pages/{page.name}" for page in (ROOT / "figures" / "pages").iterdir()),
        *(f"reasonlens/organisms/{file.relative_to(weights.parent)}" for file in weights.rglob("*") if file.is_file()),
    }


def code() -> set[str]:
    """Name the modules of all packages, as they are installed."""
    return {
        "/".join([*package.split("."), file.name])
        for package, folder in packages().items()
        for file in folder.glob("*.py")
    }


def build(kind: str, source: Path, out: Path) -> Path:
    """Build a "sdist", "wheel" or "editable" by the hook that pip calls."""
    script = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=source, capture_output=True, text=True, check=True)
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the clone, without what an earlier build left behind."""
    copy = tmp_path_factory.mktemp("source") / "reasonlens"
    return shutil.copytree(
        ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "runs", "*.egg-info", "__pycache__")
    )


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the source distribution, as a package index's users get it."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    return build("wheel", unpacked / sdist.name.removesuffix(".tar.gz"), tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_reasonlens_only_with_its_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"reasonlens", next(top for top in tops if top.endswith(".dist-info"))}
    assert {name for name in names if not name.split("/")[0].endswith(".dist-info")} == code() | data()


def test_the_source_distribution_holds_the_same_and_what_builds_it(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.split("/", 1)[1] for member in archive.getmembers() if member.isfile()}
    at_root = {name.removeprefix("reasonlens/") for name in code() | data()}
    door = {path.relative_to(ROOT / "src" / "reasonlens") for path in (ROOT / "src" / "reasonlens").rglob("*")}
    expected = {f"src/reasonlens/{name}" if Path(name) in door else name for name in at_root}
    around = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg", "setup.py"}
    assert {name for name in names if not name.startswith("reasonlens.egg-info/")} == expected | around


SCRIPT = """
import pathlib, sys
import reasonlens
assert not {"torch", "transformers", "plotly"} & sys.modules.keys()
import reasonlens.analysis, reasonlens.cli.app
from reasonlens.probes import sweep
for name in reasonlens.__all__:
    getattr(reasonlens, name)
assert "analysis" not in sys.modules and "stats" not in sys.modules
print(*(pathlib.Path(module.__file__).resolve() for module in (reasonlens, reasonlens.analysis)), sep="\\n")
"""


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_install_in_a_fresh_environment_imports_every_public_name(
    kind: str, source: Path, wheel: Path, tmp_path: Path
) -> None:
    built = wheel if kind == "wheel" else build("editable", source, tmp_path)
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, built], check=True, capture_output=True)
    (packages_folder,) = environment.glob("lib/*/site-packages")
    # The libraries that it needs are those of this environment; a path file does not load their own path files.
    (packages_folder / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    done = subprocess.run([python, "-c", SCRIPT], cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    installed = packages_folder / "reasonlens"
    expected = (
        (installed, installed / "analysis") if kind == "wheel" else (source / "src/reasonlens", source / "analysis")
    )
    assert tuple(Path(line).parent for line in done.stdout.split()) == expected
    command = [environment / "bin" / "reasonlens", "--help"]
    assert "locate" in subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, check=True).stdout


def test_every_public_name_can_be_imported() -> None:
    import reasonlens

    for name in reasonlens.__all__:
        assert getattr(reasonlens, name) is not None
    with pytest.raises(AttributeError, match="No reasonlens attribute locat"):
        _ = reasonlens.locat

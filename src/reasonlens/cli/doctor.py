"""Say what is installed, which devices there are, and what is missing: `reasonlens doctor`."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from re import match

import typer

from reasonlens.cli.console import next_command, print_json
from reasonlens.cli.options import Json, Quiet


def doctor(as_json: Json = False, quiet: Quiet = False) -> None:
    """Say what is installed, which devices there are, and what is missing and how to get it."""
    entries_by_title = diagnosis()
    if as_json:
        print_json(entries_by_title)
    else:
        for title, entries in entries_by_title.items():
            typer.echo(title)
            for name, value in entries.items():
                typer.echo(f"  {name:24} {value}")
    next_command("locate")


def diagnosis() -> dict[str, dict[str, str]]:
    """List versions, devices, built-in models and the cache; an entry that lacks something says the remedy."""
    from reasonlens.models import BUILT_IN
    from reasonlens.models.gguf import cache_directory

    return {
        "versions": {"python": platform.python_version(), "reasonlens": version("reasonlens")} | _dependencies(),
        "devices": _devices(),
        "built-in models": {
            name: "ready" if find_spec(package) else f"missing; get it with: {remedy}"
            for name, (package, _, remedy) in BUILT_IN.items()
        },
        "directories": {"converted models": str(cache_directory())},
    }


def _dependencies() -> dict[str, str]:
    wanted = [requirement for requirement in requires("reasonlens") or [] if "extra ==" not in requirement]
    versions = {}
    for requirement in wanted:
        name = match(r"[\w.-]+", requirement)
        if name is None:
            continue
        try:
            versions[name.group()] = version(name.group())
        except PackageNotFoundError:
            versions[name.group()] = f"missing; get it with: pip install '{requirement}'"
    return versions


def _devices() -> dict[str, str]:
    import torch

    devices = {"cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads in torch"}
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        devices[f"cuda:{index}"] = f"{device.name}, {device.total_memory / 2**30:.0f} GiB"
    if not torch.cuda.is_available():
        devices["cuda"] = "none that torch can use; everything runs on the CPU"
    return devices

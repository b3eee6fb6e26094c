"""Ask the Hugging Face hub for a repository once, where its own client would try each of many files for half a minute.

Without a connection a model is loaded from the directory in the client's cache, and a dataset by a client that is told
to be offline, so that nothing is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from huggingface_hub import constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import get_session

from ..rundir import InputError
from .failures import first_line

TIMEOUT_S = 10.0
# What the hub answers for a repository that is not to be had -> what to do.
REFUSALS = {
    "RepoNotFound": "the hub has no such repository, or it is private. Check its spelling, or log in: `hf auth login`.",
    "GatedRepo": "its repository is gated. Ask for access on its page, then log in: `hf auth login`.",
    "RevisionNotFound": "its repository has no such revision. Check the spelling of the revision.",
}


def cached_directory(repository: str, revision: str | None) -> Path | None:
    """Find the files of a model or adapter in the client's cache.

    Args:
        repository: Its id.
        revision: A branch, tag or commit of it; None means the main branch.

    Returns:
        The directory, whose name is the commit; None if its settings are not in the cache.
    """
    files = [
        try_to_load_from_cache(repository, name, revision=revision, cache_dir=constants.HF_HUB_CACHE)
        for name in ("config.json", "adapter_config.json")
    ]
    return next((Path(file).parent for file in files if isinstance(file, str)), None)


def can_be_asked(repository: str, revision: str | None, kind: Literal["model", "dataset"] = "model") -> bool:
    """Ask the hub for a repository, once.

    Args:
        repository: Its id.
        revision: A branch, tag or commit of it.
        kind: What it holds.

    Returns:
        False if the hub cannot be reached, or must not be (`HF_HUB_OFFLINE`).

    Raises:
        InputError: The hub answers that it cannot give the repository.
    """
    if constants.HF_HUB_OFFLINE:
        return False
    url = hf_hub_url(repository, "config.json", revision=revision, repo_type=kind)
    try:
        answer = get_session().request("HEAD", url, headers=build_hf_headers(), timeout=TIMEOUT_S)
    except Exception:  # of the HTTP client, which is another one in other versions of huggingface_hub
        return False
    reason = REFUSALS.get(answer.headers.get("X-Error-Code", ""))
    if reason is not None:
        raise InputError(f"cannot load the {kind} {repository!r}: {reason}")
    return True


@contextmanager
def asked_once(dataset: str) -> Iterator[None]:
    """Let the client of the hub load a dataset from its cache at once where the hub cannot be reached.

    Args:
        dataset: Its id.

    Yields:
        Nothing: the client is offline within the context, or free to ask.

    Raises:
        InputError: The hub answers that it cannot give the dataset.
    """
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = not can_be_asked(dataset, None, "dataset")
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def file_of(repository: str, name: str, revision: str | None) -> Path | None:
    """Download one small file of a repository; None if it has no such file."""
    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except EntryNotFoundError:
        return None
    except Exception as error:  # of the HTTP client, which is another one in other versions of huggingface_hub
        raise InputError(f"cannot load {name} of the model {repository!r}: {first_line(error)}") from error

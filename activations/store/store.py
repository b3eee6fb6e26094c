"""Write a directory of shards from one process, and record which shards are done, with their digests.

    run.json                 settings, digest of the model's weights, state, as of every run (`rundir`)
    manifest.json            the description, and for each shard its file, SHA-256, size and the digest of its traces
    shard-00000.safetensors  one contiguous tensor a read, site and layer, and mean input embeddings

A shard counts once the manifest names it, and it is named only after it has been written completely. A writer that is
killed at any moment therefore loses one shard and nothing else; the next run checks every digest and replaces what
differs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...rundir import (
    InputError,
    RunDirectory,
    brief,
    check_kinds,
    content_digest,
    differences,
    file_digest,
    read_json,
    write_json,
)
from .provenance import collection_run, without_names
from .shard import Part, Shard, read_shard, write_shard

logger = logging.getLogger(__name__)

FORMAT = "reasonlens.store/5"
MANIFEST = "manifest.json"
MANIFEST_KINDS: dict[str, type] = {"complete": bool, "tokens_per_batch": int, "description": dict, "shards": dict}
DESCRIPTION_KINDS: dict[str, type] = {"layers": list, "reads": list, "sites": list, "model": dict}
ENTRY_KINDS: dict[str, type] = {
    "file": str,
    "sha256": str,
    "n_bytes": int,
    "traces": str,
    "n_traces": int,
    "n_examples": int,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """The manifest's entry of a shard that is done."""

    file: str
    sha256: str
    n_bytes: int
    traces: str  # digest of the traces
    n_traces: int
    n_examples: int

    __repr__ = brief


class Store:
    """A store that this process writes; see `Store.write`."""

    def __init__(self, run: RunDirectory, description: dict[str, Any], tokens_per_batch: int) -> None:
        self._run, self.path = run, run.path
        self.description: dict[str, Any] = json.loads(json.dumps(description))
        self.tokens_per_batch = tokens_per_batch
        self._entries: dict[int, Entry] = {}
        self._complete = False
        if (self.path / MANIFEST).is_file():
            self._continue()

    @classmethod
    @contextmanager
    def write(
        cls,
        path: Path,
        description: dict[str, Any],
        weights: str,
        tokens_per_batch: int,
    ) -> Iterator[Store]:
        """Open the store at `path`, new or continued, for this process alone.

        Args:
            path: Its directory.
            description: What decides the numbers (`CollectSettings.describe` and what more the store depends on).
            weights: Digest of the model's weights.
            tokens_per_batch: For a new store; a continued one keeps its own, so that its shards come out the same.

        Yields:
            The store, locked for this process.

        Raises:
            InputError: Another process writes here, or `path` holds another store or other files.
        """
        with collection_run(path, "activations", description, weights) as run:
            store = cls(run, description, tokens_per_batch)
            try:
                yield store
            except InputError:
                if not store._entries:  # a mistake in the input leaves no files behind
                    store.discard()
                raise

    @property
    def n_examples(self) -> int:
        """The number of spans in all shards that are done, of every read."""
        return sum(entry.n_examples for entry in self._entries.values())

    def _continue(self) -> None:
        manifest = read_manifest(self.path)
        changes = differences(without_names(manifest["description"]), without_names(self.description))
        if changes:
            raise InputError(f"{self.path} holds another collection ({changes}); choose another directory or remove it")
        self.description = manifest["description"]  # a copy of the model may have another name
        self._entries = {int(index): Entry(**entry) for index, entry in manifest["shards"].items()}
        self.tokens_per_batch = manifest["tokens_per_batch"]
        self._complete = manifest["complete"]

    def holds(self, index: int, traces: str) -> bool:
        """Check whether a shard is done and unchanged since it was written.

        Args:
            index: The number of the shard.
            traces: Digest of its traces.

        Returns:
            True if it need not be written again.

        Raises:
            InputError: The shard was read from other traces.
        """
        entry = self._entries.get(index)
        if entry is None:
            return False
        if entry.traces != traces:
            raise InputError(
                f"{self.path / entry.file} was read from other traces than those given now; choose another directory, "
                "or remove this one"
            )
        file = self.path / entry.file
        if file.is_file() and file.stat().st_size == entry.n_bytes and file_digest(file) == entry.sha256:
            return True
        logger.warning(f"{file} is missing, torn or altered: it is read again")
        self._complete = False
        del self._entries[index]
        return False

    def add(self, index: int, traces: str, part: Part, n_traces: int, tokens_per_batch: int) -> None:
        """Write a shard and name it in the manifest.

        Args:
            index: The number of the shard.
            traces: Digest of its traces.
            part: Its activations.
            n_traces: How many traces it was read from.
            tokens_per_batch: The batch size that the next shard begins with.
        """
        self.claim()
        self.record(index, write_entry(self.path, index, traces, part, n_traces, self.description), tokens_per_batch)

    def claim(self) -> None:
        """Record that the directory is a store, before the first shard is written."""
        self._run.record()

    def record(self, index: int, entry: Entry, tokens_per_batch: int) -> None:
        """Name in the manifest a shard that has been written.

        Args:
            index: The number of the shard.
            entry: Its entry.
            tokens_per_batch: The batch size that the next shard begins with.
        """
        self._entries[index] = entry
        self.tokens_per_batch = tokens_per_batch
        self._complete = False
        self._write_manifest()

    def finish(self, n_shards: int) -> None:
        """Record that the store is complete.

        Args:
            n_shards: How many shards the traces make.

        Raises:
            InputError: The store holds more shards than that.
        """
        if len(self._entries) > n_shards:
            raise InputError(
                f"{self.path} holds {len(self._entries)} shards, and the traces given now make {n_shards}: it was "
                "read from more traces; choose another directory, or remove this one"
            )
        if not self._complete:
            self._complete = True
            self._write_manifest()
        self._run.finish()

    def discard(self) -> None:
        """Remove what was written, since no span could be read."""
        for file in [self.path / entry.file for entry in self._entries.values()] + [self.path / MANIFEST]:
            file.unlink(missing_ok=True)
        self._run.abandon()

    def _write_manifest(self) -> None:
        content = {
            "format": FORMAT,
            "complete": self._complete,
            "tokens_per_batch": self.tokens_per_batch,
            "description": self.description,
            "shards": {str(index): asdict(self._entries[index]) for index in sorted(self._entries)},
        }
        write_json(self.path / MANIFEST, content | {"digest": content_digest(content)})


def write_entry(path: Path, index: int, traces: str, part: Part, n_traces: int, description: dict[str, Any]) -> Entry:
    """Write a shard's file and return its entry for the manifest."""
    file = path / f"shard-{index:05d}.safetensors"
    about = {key: description[key] for key in ("layers", "reads", "sites", "model")}
    write_shard(file, part, getattr(torch, description["dtype"]), about)
    return Entry(file.name, file_digest(file), file.stat().st_size, traces, n_traces, part.n_examples)


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of a store; raise InputError if there is none or it was altered."""
    manifest = read_json(path / MANIFEST, "the list of shards")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path / MANIFEST} is no manifest of reasonlens (format {FORMAT})")
    if manifest.pop("digest", None) != content_digest(manifest):
        raise InputError(f"{path / MANIFEST} is altered: its digest is another; remove {path} and collect again")
    check_kinds(manifest, MANIFEST_KINDS, path / MANIFEST)
    check_kinds(manifest["description"], DESCRIPTION_KINDS, f"{path / MANIFEST}, description")
    for index, entry in manifest["shards"].items():
        check_kinds(entry, ENTRY_KINDS, f"{path / MANIFEST}, shard {index[:20]}")
        if not index.isdigit() or set(entry) != set(ENTRY_KINDS) or Path(entry["file"]).name != entry["file"]:
            raise InputError(f"{path / MANIFEST} is damaged: the shard {index[:20]!r} is none that reasonlens writes")
    return manifest


def read_store(path: Path, *, verify: bool = False) -> tuple[dict[str, Any], list[Shard]]:
    """Read the description and the shards of a complete store; `verify` checks every digest, which reads every byte.

    Raises InputError if it is not complete, naming the shard that is missing, torn or altered.
    """
    manifest = read_manifest(path)
    if not manifest["complete"]:
        raise InputError(
            f"{path} is not whole yet: {len(manifest['shards'])} shards are done. Run the command that wrote it again; "
            "it goes on where it was."
        )
    shards = []
    for entry in (Entry(**entry) for entry in manifest["shards"].values()):
        file = path / entry.file
        is_complete = file.is_file() and file.stat().st_size == entry.n_bytes
        if not is_complete or (verify and file_digest(file) != entry.sha256):
            raise InputError(
                f"{file} is missing, torn or altered; run the command that wrote {path} again, and it is read anew"
            )
        shards.append(read_shard(file))
    if not shards:
        raise InputError(f"{path / MANIFEST} is damaged: it names no shard; remove {path} and collect again")
    return manifest["description"], shards

"""Convert GGUF files to ordinary Hugging Face directories, once, into a cache.

Dequantising a GGUF file takes tens of seconds. It is done once: the weights are written as plain safetensors to the
cache directory (`REASONLENS_CACHE`, or `reasonlens` in the user's cache), named by the digest of the file and by how it
was converted, and later loads read that directory in about a second.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerBase

from ..rundir import InputError, atomic_path, short_name
from ..rundir.progress import ProgressBar
from .checkpoint import load_tokenizer, quiet
from .failures import FAILURES, reason
from .gguf_rope import take_rope
from .gguf_settings import check_weights, read_gguf, take_settings
from .gguf_tokenizer import split_as_in

logger = logging.getLogger(__name__)

# Part of the name in the cache. Raise it when the same file is converted otherwise than before.
CONVERSION = 4


def cache_directory() -> Path:
    """Find the cache directory: `REASONLENS_CACHE`, else `reasonlens` in `$XDG_CACHE_HOME` or `~/.cache`."""
    if chosen := os.environ.get("REASONLENS_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reasonlens"


def convert_gguf(file: Path) -> tuple[Path, str]:
    """Return the Hugging Face directory for a GGUF file, made if it is not in the cache yet, and the file's digest.

    Raises InputError if the file is not a GGUF model that transformers can read.
    """
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise InputError(f"{file} is not a GGUF file (it does not begin with the bytes 'GGUF')")
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    target = cache_directory() / "models" / f"{short_name(file.stem)}-{digest}-{CONVERSION}"
    if not target.is_dir():
        logger.info(f"converting {file.name} to {target} (once, a minute or so for a small model)")
        with atomic_path(target) as temporary, _alone(file) as linked:
            _convert(file, linked, temporary)
    return target, digest


@contextmanager
def _alone(file: Path) -> Iterator[Path]:
    """Make a link to a file in a directory of its own: transformers prefers a tokenizer or an adapter beside it."""
    with TemporaryDirectory() as directory:
        linked = Path(directory) / file.name
        try:
            linked.symlink_to(file.resolve())
        except OSError:  # where links of this kind need a privilege
            os.link(file, linked)
        yield linked


def _convert(file: Path, linked: Path, directory: Path) -> None:
    source: dict[str, Any] = {"gguf_file": file.name, "trust_remote_code": False}
    with ProgressBar(desc=f"converting {file.name}", unit="step", total=5) as bar:
        try:
            content = read_gguf(file)
            bar.update()
            config = AutoConfig.from_pretrained(linked.parent, **source)
            take_settings(content, config)
            take_rope(content, config)
            bar.update()
            tokenizer = load_tokenizer(str(file), linked.parent, **source)
            split_as_in(content, tokenizer)
            bar.update()
            with quiet():
                loaded: Any = AutoModelForCausalLM.from_pretrained(
                    linked.parent, config=config, dtype=torch.float32, output_loading_info=True, **source
                )
            model, report = loaded
            check_weights(content, model, sorted(report["missing_keys"]))
            bar.update()
        except InputError:
            raise
        except FAILURES as error:
            raise InputError(
                f"cannot convert {file}: {reason(error)}. transformers reads GGUF files of the common "
                "architectures only; load the original Hugging Face checkpoint instead."
            ) from error
        _save(model, tokenizer, directory)
        bar.update()


def _save(model: Any, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    # The weights are plain float32 now; with these attributes save_pretrained would treat them as quantised.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    with quiet():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)

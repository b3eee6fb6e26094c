"""transformers alone: a checkpoint as it is on disk, with the classes that transformers finds for it."""

import importlib.util
from pathlib import Path

import numpy as np
import transformers
from capture import answer, llama, request, run

asked = request()
arrays: dict[str, np.ndarray] = {}
classes = {}
for name, directory in asked["models"].items():
    model = llama(directory)
    classes[name] = f"{type(model).__module__}.{type(model).__name__}"
    arrays |= run(model, asked["ids"], name)
has_code = {name: any(Path(directory).glob("*.py")) for name, directory in asked["models"].items()}
has_reasonlens = importlib.util.find_spec("reasonlens") is not None
answer(
    *(asked, arrays),
    classes=classes,
    has_code=has_code,
    has_reasonlens=has_reasonlens,
    version=transformers.__version__,
)

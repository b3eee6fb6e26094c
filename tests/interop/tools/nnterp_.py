"""nnterp: `StandardizedTransformer.steer` inside a trace, read back through `layers_output`."""

import numpy as np
import torch
from capture import answer, request
from nnterp import StandardizedTransformer
from ours import rows

asked = request()
model = StandardizedTransformer(asked["model"], dtype=torch.float32, device_map="cpu")
ids = torch.tensor(asked["ids"])


def traced(vectors: dict[int, torch.Tensor], name: str) -> dict[str, np.ndarray]:
    acts = []
    with torch.no_grad(), model.trace(ids):
        for layer in range(model.num_layers):
            if layer in vectors:
                model.steer(layer, vectors[layer])
            acts.append(model.layers_output[layer].clone().save())
        logits = model.logits.save()
    return {f"{name}/acts": torch.cat(acts).numpy(), f"{name}/logits": logits[0].numpy()}


arrays = traced({}, "plain")
loaded = {}
for name, file in asked["files"].items():
    loaded[name] = {"layers": sorted(rows(file))}
    arrays |= traced(rows(file), name)
arrays |= traced({}, f"{name}-after")
answer(asked, arrays, loaded=loaded)

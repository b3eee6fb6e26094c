"""nnsight: `model.model.layers[L].output` set to itself plus the vector, inside a trace."""

import numpy as np
import torch
from capture import answer, request
from nnsight import LanguageModel
from ours import rows

asked = request()
model = LanguageModel(asked["model"], dtype=torch.float32, device_map="cpu", dispatch=True)
ids = torch.tensor(asked["ids"])
n_layers = model.config.num_hidden_layers


def traced(vectors: dict[int, torch.Tensor], name: str) -> dict[str, np.ndarray]:
    with torch.no_grad(), model.trace(ids):
        acts = list().save()
        for layer in range(n_layers):
            if layer in vectors:
                model.model.layers[layer].output = model.model.layers[layer].output + vectors[layer]
            acts.append(model.model.layers[layer].output.clone())
        logits = model.lm_head.output.save()
    return {f"{name}/acts": torch.cat(list(acts)).numpy(), f"{name}/logits": logits[0].numpy()}


arrays = traced({}, "plain")
loaded = {}
for name, file in asked["files"].items():
    loaded[name] = {"layers": sorted(rows(file))}
    arrays |= traced(rows(file), name)
arrays |= traced({}, f"{name}-after")
answer(asked, arrays, loaded=loaded)

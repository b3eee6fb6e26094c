"""steering-vectors: `SteeringVector` rebuilt from the file in the two lines that its format's docstring gives."""

import torch
from capture import answer, llama, request, run
from safetensors.torch import load_file
from steering_vectors import SteeringVector

asked = request()
model = llama(asked["model"])
arrays = run(model, asked["ids"], "plain")
loaded = {}
for name, file in asked["files"].items():
    vector = SteeringVector({int(layer): row for layer, row in load_file(file).items()})
    loaded[name] = {"layers": sorted(vector.layer_activations), "layer_type": vector.layer_type}
    with torch.no_grad(), vector.apply(model):
        arrays |= run(model, asked["ids"], name)
    arrays |= run(model, asked["ids"], f"{name}-after")
answer(asked, arrays, loaded=loaded)

"""repeng: the file by `ControlVector.import_gguf`, the model in a `ControlModel`."""

from capture import answer, llama, request, run
from repeng import ControlModel, ControlVector

asked = request()
model = llama(asked["model"])
arrays = run(model, asked["ids"], "plain")
loaded = {}
for name, file in asked["files"].items():
    vector = ControlVector.import_gguf(file)
    loaded[name] = {"layers": sorted(vector.directions), "model_type": vector.model_type}
    control = ControlModel(model, sorted(vector.directions))
    control.set_control(vector, 1.0)
    arrays |= run(model, asked["ids"], name)
    control.reset()
    arrays |= run(model, asked["ids"], f"{name}-after")
    control.unwrap()
answer(asked, arrays, loaded=loaded)

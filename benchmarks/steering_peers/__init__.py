"""One file for each way of steering: `prepare(task)` loads the model and gives functions that generate, by name.

"plain" is generation without steering in the same process, the unit of the others' ratios: "one layer", "all layers"
and "response" where the tool has it. The files import nothing of each other, so that each can run in an environment of
its own (`../peers/requirements/`).
"""

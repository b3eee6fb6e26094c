"""One file for each way of reading activations: `prepare(spec)` loads the model and gives a function to be measured.

The files import nothing of each other, so that each can run in an environment of its own (`requirements/`).
"""

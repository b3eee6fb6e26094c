"""Every command that writes: its words, as `forked.py` runs it; tests/rundir/test_commands.py says what must hold."""

from __future__ import annotations

MODEL = ("--model", "{work}/model", "--device", "cpu")
TRACES = (*MODEL, "--traces", "{work}/traces.jsonl")
ORGANISM = ("--model", "organism/base-timing", "--device", "cpu")
STEERED = ("--random", "1", "--n-problems", "3", "--max-new-tokens", "8", "--strengths", "0.5,1")
VECTORS = "{work}/made/located/vectors.safetensors"
OUT = ("--out", "{out}")
ENDPOINT = "REASONLENS_TEST_ENDPOINT"  # environment variable: its address

# Command -> its words; {work} is the folder of the inputs, {url} an endpoint, {out} a new directory, which is
# compared in the end.
DIRECTORIES: dict[str, tuple[str, ...]] = {
    "collect": ("collect", *TRACES, *OUT),
    "moments": ("collect", *TRACES, "--keep", "moments", *OUT),
    "locate": ("locate", *TRACES, "--layers", "1", "--folds", "3", "--behaviours", "backtracking", *OUT),
    "probe": (
        *("probe", *TRACES, "--layers", "1", "--folds", "3", "--behaviours", "backtracking", "--bootstrap", "20"),
        *("--permutations", "3", "--shuffles", "1", "--penalties", "0.01", *OUT),
    ),
    "probe files": (
        *("probe", "{work}/made/acts", "--layers", "1", "--folds", "3", "--behaviours", "backtracking"),
        *("--bootstrap", "20", "--permutations", "3", "--shuffles", "1", "--penalties", "0.01", "--device", "cpu"),
        *OUT,
    ),
    "stability": (
        *("stability", *TRACES, "--layers", "1", "--folds", "3", "--samples", "1", "--max-boundaries", "24", *OUT),
    ),
    "sweep": ("steer", "sweep", "{work}/vectors.safetensors", *ORGANISM, "--layers", "2,3", *STEERED, *OUT),
    "matrix": (
        *("steer", "matrix", "{work}/vectors.safetensors", "{work}/vectors.safetensors", "--device", "cpu"),
        *("--models", "organism/base-timing,organism/rl-timing", "--behaviour", "verification", "--layer", "3"),
        *(*STEERED, *OUT),
    ),
    "hybrid": (
        *("hybrid", "--thinking", "organism/rl-timing", "--arms", "oracle,random-positions", "--device", "cpu"),
        *("--mechanism", "mean-difference", "--layers", "2", "--strengths", "0.75", "--train", "40"),
        *("--validation", "5", "--test", "12", "--rows", "6", *OUT),
    ),
    "train": ("organisms", "train", "--members", "trunk,base-timing,rl-timing", "--jobs", "1", *OUT),
}
# The same of commands that write a file, or a few, into a directory where others may lie.
FILES: dict[str, tuple[str, ...]] = {
    "directions": ("directions", "{work}/made/acts", "--bootstrap", "4", "--out", "{out}/v.safetensors"),
    "optimised": (
        *("directions", "--method", "optimised", *TRACES, "--layers", "1", "--behaviours", "backtracking"),
        *("--set", "max_steps=2", "--out", "{out}/v.safetensors"),
    ),
    "export": ("export", VECTORS, "--format", "repeng", "--behaviour", "backtracking", "--out", "{out}/b.gguf"),
    "export all": ("export", VECTORS, "--format", "svec", "--layer", "1", *OUT),
    "bake": (
        *("export", VECTORS, "--format", "baked", "--behaviour", "backtracking", "--layer", "1", "--strength", "1"),
        *("--model", "{work}/model", "--out", "{out}/baked"),
    ),
    "import": ("import", "{work}/made/b.gguf", "--format", "repeng", "--out", "{out}/v.safetensors"),
    "convert": ("convert", "{work}/made/b.gguf", "{out}/b.svec", "--from", "repeng", "--to", "svec"),
    "figure": ("figure", "{work}/made/located/tables/curves.json", "--out", "{out}/f.html"),
    "score": (
        *("score", "{work}/made/located/probes.safetensors", "--text", "So it is 4. Wait, no.", *MODEL),
        *("--html", "{out}/s.html"),
    ),
    "label": (
        *("label", "{work}/traces.jsonl", "--by", "spans", "--by", "keywords", *MODEL),
        *("--by", "probe:{work}/made/located/probes.safetensors", "--out", "{out}/l.jsonl"),
    ),
    "label endpoint": (
        *("label", "{work}/traces.jsonl", "--by", "keywords", "--by", "endpoint:m", "--url", "{url}"),
        *("--structured-outputs", "--parallel", "1", "--out", "{out}/l.jsonl"),
    ),
    "sample": (
        *("sample", *ORGANISM, "--problems", "organism", "--samples", "2", "--n-problems", "3", "--rows", "4"),
        *("--max-new-tokens", "40", "--out", "{out}/t.jsonl"),
    ),
    "organism traces": ("organisms", "traces", "--n", "10", "--out", "{out}/t.jsonl"),
}
COMMANDS = DIRECTORIES | FILES
COSTLY = ("probe files", "hybrid", "train")  # left to the long tests
AT_AN_ENDPOINT = ("label endpoint",)  # left to the long tests as well
COSTLY_TO_REFUSE = ("stability", "matrix")
# What some of them read, made before.
MADE: dict[str, tuple[str, ...]] = {
    "acts": (*DIRECTORIES["collect"][:-2], "--out", "{work}/made/acts"),
    "located": (*DIRECTORIES["locate"][:-2], "--out", "{work}/made/located"),
    "b.gguf": (*FILES["export"][:-2], "--out", "{work}/made/b.gguf"),
}

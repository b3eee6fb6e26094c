"""Hold the code that is printed for each tool, with $names to be filled in (see `snippets.py`).

$file, $behaviour, $model and $blocks are Python literals, $layer and $row numbers, $scaled is the vector at its
strength, $site where it acts, $hook that name as TransformerLens has it, $export a shell command, $gguf_shell the
model's .gguf file as the shell reads it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Snippet:
    """The code for one tool."""

    about: str  # one line
    load: str  # loads the model and the vector
    act: str = ""  # steers


# Most snippets begin with this. $row is the layer's row in the file.
_VECTOR = """\
with safe_open($file, framework="pt") as file:
    vector = file.get_tensor($behaviour)[$row]  # $site of block $layer
vector = $scaled
"""

SNIPPETS: dict[str, Snippet] = {
    "transformers": Snippet(
        "a hook on a plain transformers model",
        load="""\
# pip install torch transformers safetensors
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained($model)
tokenizer = AutoTokenizer.from_pretrained($model)
"""
        + _VECTOR,
        act="""\
def steer(block, inputs, output):
    activations = output[0] if isinstance(output, tuple) else output
    activations = activations + vector.to(activations)  # every token, the prompt's included
    return (activations, *output[1:]) if isinstance(output, tuple) else activations

handle = model.get_submodule($blocks)[$layer].register_forward_hook(steer)
inputs = tokenizer("How many primes are below 30?", return_tensors="pt")
text = tokenizer.decode(model.generate(**inputs, max_new_tokens=50)[0])
handle.remove()
""",
    ),
    "transformer-lens": Snippet(
        "a hook of TransformerLens 4 (TransformerBridge)",
        load="""\
# pip install "transformer-lens>=4" safetensors
from safetensors import safe_open
from transformer_lens.model_bridge import TransformerBridge

# Not followed by enable_compatibility_mode(): it re-centres the residual stream, and the vector would not fit.
bridge = TransformerBridge.boot_transformers($model)
"""
        + _VECTOR,
        act="""\
def steer(activations, hook):
    return activations + vector.to(activations)  # every token, the prompt's included

with bridge.hooks(fwd_hooks=[("$hook", steer)]):
    text = bridge.generate("How many primes are below 30?", max_new_tokens=50)
""",
    ),
    "nnsight": Snippet(
        "an nnsight trace (transformers 5: a block's output is one tensor)",
        load="""\
# pip install nnsight accelerate safetensors
from nnsight import LanguageModel
from safetensors import safe_open

model = LanguageModel($model, device_map="auto", dispatch=True)
"""
        + _VECTOR,
        act="""\
# With transformers 4 a block's output is a tuple: write .output[0] in place of .output
with model.trace("How many primes are below 30?"):
    activations = model.$blocks_path[$layer].output
    activations[:] = activations + vector.to(activations)
    logits = model.lm_head.output.save()
""",
    ),
    "nnterp": Snippet(
        "nnterp's steer (the same for all architectures)",
        load="""\
# pip install nnterp "nnsight==0.6.3" accelerate safetensors
from nnterp import StandardizedTransformer
from safetensors import safe_open

model = StandardizedTransformer($model)
"""
        + _VECTOR,
        act="""\
with model.trace("How many primes are below 30?"):
    model.steer(layers=$layer, steering_vector=vector.to(model.dtype))
    logits = model.logits.save()
""",
    ),
    "vllm-lens": Snippet(
        "vllm-lens, steering in vLLM",
        load="""\
# pip install vllm-lens safetensors
from safetensors import safe_open
from vllm import LLM, SamplingParams
from vllm_lens import SteeringVector

llm = LLM(model=$model)
"""
        + _VECTOR,
        act="""\
steering = SteeringVector(activations=vector[None], layer_indices=[$layer], scale=1.0)
params = SamplingParams(max_tokens=50, extra_args={"apply_steering_vectors": [steering]})
text = llm.generate(["How many primes are below 30?"], params)[0].outputs[0].text
""",
    ),
    "steering-vectors": Snippet(
        "a SteeringVector of steering-vectors",
        load="""\
# pip install steering-vectors safetensors
from safetensors import safe_open
from steering_vectors import SteeringVector
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained($model)
tokenizer = AutoTokenizer.from_pretrained($model)
"""
        + _VECTOR,
        act="""\
inputs = tokenizer("How many primes are below 30?", return_tensors="pt")
with SteeringVector({$layer: vector.to(model.dtype)}, "decoder_block").apply(model, multiplier=1.0):
    text = tokenizer.decode(model.generate(**inputs, max_new_tokens=50)[0])
""",
    ),
    "repeng": Snippet(
        "a ControlVector of repeng",
        load="""\
# pip install repeng
# $export --format repeng --out vector.gguf
from repeng import ControlModel, ControlVector
from transformers import AutoModelForCausalLM, AutoTokenizer

model = ControlModel(AutoModelForCausalLM.from_pretrained($model), [$layer])
tokenizer = AutoTokenizer.from_pretrained($model)
vector = ControlVector.import_gguf("vector.gguf")
""",
        act="""\
model.set_control(vector, 1.0)
inputs = tokenizer("How many primes are below 30?", return_tensors="pt")
text = tokenizer.decode(model.generate(**inputs, max_new_tokens=50)[0])
model.reset()
""",
    ),
    "llama.cpp": Snippet(
        "llama.cpp on the command line",
        load="""\
$export --format llama.cpp --out vector.gguf
llama-cli -m $gguf_shell -p "How many primes are below 30?" -n 50 \\
    --control-vector vector.gguf --control-vector-layer-range $layer $layer
# Other strengths of the same file: --control-vector-scaled vector.gguf:0.5 (older versions: vector.gguf 0.5)
""",
    ),
    "hotwire": Snippet(
        "hotwire-vllm, steering in a vLLM server",
        load="""\
# pip install hotwire-vllm. Its own file is a .pt, which reasonlens does not write: make it where you trust the file.
$export --format hotwire --out vector.safetensors
mkdir -p vectors && python -c 'import torch; from safetensors.torch import load_file
torch.save(load_file("vector.safetensors")["vectors"], "vectors/vector.pt")'
HOTWIRE_VECTORS=vectors vllm serve $model_shell
# Each request: extra_args={"hotwire": '{"id": "vector", "layer": $layer, "scale": 1.0}'}
""",
    ),
    "easysteer": Snippet(
        "EasySteer, steering in its vLLM",
        load="""\
# $export --format easysteer --out vector.gguf
from vllm import LLM, SamplingParams
from vllm.steer_vectors import ApplySpec, SteeringSpec, VectorSpec

llm = LLM(model=$model, enable_steer_vector=True, steer_algorithms=["direct"])
""",
        act="""\
everywhere = ApplySpec(prompt="all", generation="all")
spec = SteeringSpec(vectors=[VectorSpec(source="vector.gguf", layers=[$layer], scale=1.0, apply=everywhere)])
params = SamplingParams(max_tokens=50)
text = llm.generate("How many primes are below 30?", params, steering=spec)[0].outputs[0].text
""",
    ),
}

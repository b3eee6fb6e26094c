"""Map each folder at the root to a package of reasonlens; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

# The floor plan, from the ground up: a folder imports from those before it (docs/architecture.md).
ROOTS = (
    *("stats", "rundir", "figures"),
    *("models", "traces", "generation", "organisms"),
    *("activations", "probes", "vectors", "analysis", "pairs"),
)

packages = find_packages("src")
for root in ROOTS:
    packages += [f"reasonlens.{package}" for package in (root, *(f"{root}.{inner}" for inner in find_packages(root)))]

setup(packages=packages, package_dir={"reasonlens": "src/reasonlens"} | {f"reasonlens.{root}": root for root in ROOTS})

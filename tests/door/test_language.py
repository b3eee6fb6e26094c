"""What is written in the code: docstrings that begin with a verb and list every argument, variables that are nouns.

Folders are held to it one after the other; see "How we write" in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (  # with all that is beneath them
    "activations",
    "analysis",
    "figures",
    "generation",
    "models",
    "probes",
    "rundir",
    "src/reasonlens/cli",
    "stats",
    "traces",
    "vectors",
)
NAMES_ONLY = ("pairs", "organisms", "benchmarks")  # variables are held to it, texts are not yet

# A verb that is missing here is added; a word that is no verb in the imperative is not.
VERBS = frozenset(
    """
    Accept Add Advance Align Allow Append Answer Apply Approximate Arrange Ask Assign Average
    Begin Bin Build
    Cache Call Cast Check Choose Close Collect Colour Combine Compare Compile Complete Compute Concatenate Configure
    Continue Convert Copy Correct Count Create Crop Cut
    Declare Decide Decode Define Describe Detect Digest Discard Distinguish Divide Download Draw Drive
    Encode End Estimate Evaluate Exchange Exclude Expand Explain Export Extract
    Fill Find Fit Flush Follow Format Freeze
    Gather Generate Give Grade Group Guard
    Hash Hide Hold Hook
    Import Iterate
    Join
    Keep
    Label Lay Leave Let List Load Locate Lock Log Look
    Make Map Mark Mask Match Mean Measure Merge Minimise Move
    Name Normalise Number
    Open Optimise Order
    Pack Pad Parse Place Plan Pool Predict Prepare Present Print Probe Process Project Put
    Raise Rank Read Record Refuse Reject Release Remember Remove Rename Repeat Replace Report Require Resample
    Rescale Reset Resolve Restore Restrict Resume Return Run
    Sample Save Say Scale Score Select Send Set Share Show Shrink Shuffle Silence Skip Solve Sort Spell Split
    Standardise Start Steer Step Stop Store Stream Submit Subtract Sum Summarise Swap Sweep
    Tabulate Take Tell Test Time Tokenise Train Transform Try Turn
    Update Use
    Validate Verify
    Wait Walk Warn Watch Weight Wrap Write
    Yield
    """.split()
)
RIDDLES = frozenset("found each kept told said given lent drawn whole acts asked wanted taken seen made".split())
STORED = {"analysis/boundary.py": {"found", "said"}}  # columns of boundaries.jsonl and results.json are called so
SECTIONS = ("Args", "Returns", "Yields", "Raises")


def sections(docstring: str) -> dict[str, list[str]]:
    """Read the sections of a docstring: the lines of each, and the names that stand before a colon."""
    text = inspect.cleandoc(docstring)
    parts = re.split(rf"^({'|'.join(SECTIONS)}):$", text, flags=re.MULTILINE)
    return {
        name: re.findall(r"^ {4}(\*{0,2}[A-Za-z_]\w*):", body, flags=re.MULTILINE)
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def begins_with_verb(docstring: str) -> bool:
    return docstring.split()[0].rstrip(",:;.") in VERBS


def raises_input_error(tree: ast.AST) -> bool:
    """Find `raise InputError(...)` in a function itself, not in one that is defined inside of it."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            if isinstance(child.exc.func, ast.Name) and child.exc.func.id == "InputError":
                return True
        if raises_input_error(child):
            return True
    return False


def faults_of_function(function: FunctionType, *, is_method: bool = False) -> list[str]:
    """List what a public function's docstring lacks."""
    function = inspect.unwrap(function)
    name, docstring = function.__qualname__, function.__doc__
    if not docstring:
        return [f"{name} has no docstring"]
    faults = [] if begins_with_verb(docstring) else [f"{name} begins with {docstring.split()[0]!r}, which is no verb"]
    stated = sections(docstring)
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    signature = inspect.signature(function)
    parameters = [
        stars.get(parameter.kind, "") + parameter.name
        for parameter in signature.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    if parameters != stated.get("Args", []):
        faults.append(f"{name} takes {parameters} and lists {stated.get('Args', [])} under Args")
    returns = signature.return_annotation not in (None, "None")
    if returns and not {"Returns", "Yields"} & set(stated) and (parameters or not is_method):
        faults.append(f"{name} has no Returns")
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    if raises_input_error(tree) and "Raises" not in stated:
        faults.append(f"{name} raises InputError and has no Raises")
    return faults


def faults_of_class(owner: type) -> list[str]:
    """List what is missing in a public class, its public methods and its properties."""
    docstring = vars(owner).get("__doc__") or ""
    faults = []
    if not docstring or docstring.startswith(f"{owner.__name__}("):  # as dataclasses write it
        faults.append(f"{owner.__name__} has no docstring")
    elif begins_with_verb(docstring):
        faults.append(f"{owner.__name__} begins with {docstring.split()[0]!r}: a class is a noun")
    for name, member in vars(owner).items():
        member = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            if not member.__doc__:
                faults.append(f"{owner.__name__}.{name} has no docstring")
        elif inspect.isfunction(member):
            faults += faults_of_function(member, is_method=True)
    return faults


def packages(folder: str) -> list[str]:
    inits = [init.parent.relative_to(ROOT).parts for init in (ROOT / folder).rglob("__init__.py")]
    return [".".join(parts[1:] if parts[0] == "src" else ("reasonlens", *parts)) for parts in inits]


def exported(folder: str) -> dict[str, object]:
    """Return what the packages of a folder export, by name."""
    members = {}
    for package in packages(folder):
        module = importlib.import_module(package)
        members.update({f"{package}.{name}": getattr(module, name) for name in getattr(module, "__all__", ())})
    return members


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def riddles(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Find the names that are assigned, taken as parameters or defined, and say nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in RIDDLES:
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in RIDDLES:
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg) and node.arg in RIDDLES:
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in RIDDLES:
            yield node.lineno, node.name


def functions_without_verb(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not any(
            isinstance(decorator, ast.Name) and decorator.id in ("property", "cached_property")
            for decorator in node.decorator_list
        ):
            docstring = ast.get_docstring(node)
            if docstring is not None and not begins_with_verb(docstring):
                yield node.lineno, docstring.split()[0]


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_exported_is_described_argument_by_argument(folder: str) -> None:
    faults = []
    for member in {id(member): member for member in exported(folder).values()}.values():
        if inspect.isclass(member):
            faults += faults_of_class(member)
        elif inspect.isfunction(member):
            faults += faults_of_function(member)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_docstring_of_a_function_begins_with_a_verb(folder: str) -> None:
    faults = [
        f"{file.relative_to(ROOT)}:{line}: {word!r}"
        for file in files(folder)
        for line, word in functions_without_verb(ast.parse(file.read_text("utf-8")))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_says_what_it_does(folder: str) -> None:
    docstrings = {file: ast.get_docstring(ast.parse(file.read_text("utf-8"))) for file in files(folder)}
    faults = [
        str(file.relative_to(ROOT)) for file, text in docstrings.items() if not text or not begins_with_verb(text)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("folder", FOLDERS + NAMES_ONLY)
def test_variables_are_nouns_of_the_domain(folder: str) -> None:
    faults = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in files(folder)
        for line, name in riddles(ast.parse(file.read_text("utf-8")))
        if name not in STORED.get(file.relative_to(ROOT).as_posix(), ())
    ]
    assert not faults, "\n".join(faults)


def add(first: int, second: int = 0, *others: int, **named: int) -> int:
    """Add numbers.

    Args:
        first: One number.
        second: Another one: both are added.
        *others: Further ones.
        **named: Still more.

    Returns:
        The sum.

    Raises:
        InputError: Never.
    """
    return first + second + sum(others) + sum(named.values())


def the_sum(first: int) -> int:
    """The sum of one number."""
    return first


def swapped(first: int, second: int) -> None:
    """Add numbers.

    Args:
        second: Another one.
        first: One number.
    """


def refuse(first: int) -> int:
    """Refuse a number.

    Args:
        first: One number.

    Returns:
        Nothing.
    """

    class InputError(ValueError): ...

    raise InputError(first)


def refuse_inside(first: int) -> Callable[[], None]:
    """Make a function that refuses a number.

    Args:
        first: One number.

    Returns:
        The function.
    """

    class InputError(ValueError): ...

    def inside() -> None:
        raise InputError(first)

    return inside


class Shape:
    """A thing with corners."""

    @property
    def corners(self) -> int:
        return 4

    def area(self, scale: float) -> float:
        """Compute the area.

        Args:
            scale: Multiplies each side.

        Returns:
            The area.
        """
        return scale**2

    def scaled(self, scale: float) -> float:
        """Scale it."""
        return scale


def test_the_checker_finds_what_it_looks_for() -> None:
    assert faults_of_function(add) == []
    assert faults_of_function(the_sum) == [
        "the_sum begins with 'The', which is no verb",
        "the_sum takes ['first'] and lists [] under Args",
        "the_sum has no Returns",
    ]
    assert faults_of_function(swapped) == ["swapped takes ['first', 'second'] and lists ['second', 'first'] under Args"]
    assert faults_of_function(refuse) == ["refuse raises InputError and has no Raises"]
    assert faults_of_function(refuse_inside) == []
    assert faults_of_class(Shape) == [
        "Shape.corners has no docstring",
        "Shape.scaled takes ['scale'] and lists [] under Args",
        "Shape.scaled has no Returns",
    ]
    bad = "def acts(told):\n    for each in (kept := told):\n        lent, drawn = each, [whole for whole in kept]\n"
    assert sorted(name for _, name in riddles(ast.parse(bad))) == "acts drawn each kept lent told whole".split()
    assert [name for _, name in riddles(ast.parse("self.asked = questions"))] == ["asked"]
    assert list(riddles(ast.parse("layer_scores = found(x.acts, each=1)"))) == []
    assert [word for _, word in functions_without_verb(ast.parse('def f():\n    """What is left."""'))] == ["What"]

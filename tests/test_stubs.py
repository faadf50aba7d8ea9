"""The stubs (*.pyi) say what the sources say, and an editor or mypy can use them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    file
    for folder in ("modwebsocket", "lua_compat")
    for file in sorted((ROOT / folder).glob("*.py"))
    if file.name != "manifest.py" and not (file.name[0] == "_" and file.name != "__init__.py")
]
WSCORE = ROOT / "modwebsocket" / "wscore" / "_wscore.pyi"
EXAMPLE = ROOT / "tests" / "typing" / "example.py"

ATTRIBUTE = "an attribute"


FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
ASSIGNMENT = (ast.Assign, ast.AnnAssign)


def imported(file):
    """The names that a source imports."""
    tree = ast.parse(file.read_text())
    imports = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def public(name):
    return not name.startswith("_") or name.endswith("__")


def value(node, constants):
    """What an expression of constants is; its text if it is something else."""
    try:
        return eval(ast.unparse(node), {"__builtins__": {}, "const": lambda x: x, **constants})
    except Exception:
        return ast.unparse(node)


def signature(function, constants):
    """The parameters as in the source: names, order, kinds and the defaults' values."""
    args = function.args
    for arg in ast.walk(args):
        if isinstance(arg, ast.arg):
            arg.annotation = None
    for defaults in (args.defaults, args.kw_defaults):
        defaults[:] = [d and ast.Constant(value(d, constants)) for d in defaults]
    kind = "async " if isinstance(function, ast.AsyncFunctionDef) else ""
    return f"{kind}({ast.unparse(args)})"


def target_name(assignment):
    target = assignment.targets[0] if isinstance(assignment, ast.Assign) else assignment.target
    return ast.unparse(target)


def members(node, constants):
    """The methods and attributes of a class; all overloads of a method must be alike."""
    found = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            if ast.unparse(part.value) == "self":
                found[part.attr] = ATTRIBUTE
    for part in node.body:
        if isinstance(part, ASSIGNMENT):
            found[target_name(part)] = ATTRIBUTE
        elif isinstance(part, FUNCTION):
            text = signature(part, constants)
            assert found.setdefault(part.name, text) == text
    return {f"{node.name}.{name}": what for name, what in found.items() if public(name)}


def describe(file):
    """The public names of a source or stub: each with its signature, bases, value or ATTRIBUTE.

    A source re-exports what it imports and does not use, a stub what it imports `as` itself.
    """
    tree = ast.parse(file.read_text())
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    constants = {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in node.names:
                unused = file.suffix == ".py" and name.name not in used
                if unused or name.asname == name.name:
                    found[name.name] = ATTRIBUTE
    for node in tree.body:
        if isinstance(node, ASSIGNMENT):
            what = value(node.value, constants) if node.value else ATTRIBUTE
            constants[target_name(node)] = found[target_name(node)] = what
        elif isinstance(node, FUNCTION):
            found[node.name] = signature(node, constants)
        elif isinstance(node, ast.ClassDef) and public(node.name):
            found[node.name] = [ast.unparse(base) for base in node.bases]
            found.update(members(node, constants))
    return {name: what for name, what in found.items() if public(name)}


@pytest.mark.parametrize("source", SOURCES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_stub_says_what_its_source_says(source):
    actual = describe(source)
    stated = describe(source.with_suffix(".pyi"))
    # A source that only binds a name says no more about it than that it exists.
    bound = [name for name, what in actual.items() if what == ATTRIBUTE]
    stated = {
        name: ATTRIBUTE if name in bound else what
        for name, what in stated.items()
        if name.rpartition(".")[0] not in bound
    }
    # A stub may hand on what its source uses, as aio.ConnectionClosed.
    for name in imported(source) - actual.keys():
        stated.pop(name, None)
    # The stub need not follow every release.
    actual.update({"__version__": ATTRIBUTE} if "__version__" in actual else {})
    assert stated == actual


def test_core_stub_says_what_the_interpreter_says(unix):
    result = unix.run("import _wscore; print(dir(_wscore)); print(dir(_wscore.Codec))")
    names, methods = (ast.literal_eval(line) for line in result.lines)
    actual = {*names, *(f"Codec.{name}" for name in methods)}
    stated = describe(WSCORE)
    assert {n for n in stated if "__" not in n} == {n for n in actual if "__" not in n}


def test_example_uses_every_public_function():
    used = ast.walk(ast.parse(EXAMPLE.read_text()))
    used = {getattr(n, "attr", None) or getattr(n, "id", None) for n in used}
    for stub in [*(source.with_suffix(".pyi") for source in SOURCES), WSCORE]:
        for name, what in describe(stub).items():
            if "(" in str(what) and not name.endswith("__"):
                assert name.rpartition(".")[2] in used, name


def test_mypy_accepts_the_example():
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", EXAMPLE],
        cwd=ROOT, capture_output=True, text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr

"""The stubs (*.pyi) say what the sources say, and an editor or mypy can use them."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import jedi
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


def module_name(source):
    """What a script imports, for a source or stub."""
    if source.stem in ("websocket", "_wscore"):
        return source.stem
    return source.parent.name + f".{source.stem}".removesuffix(".__init__")


class Editor:
    """A script with one line for each question to an editor, and the answers."""

    def __init__(self, project):
        self._project = project
        self._lines = []
        self._asked = []

    def ask(self, line, expected):
        """What may follow the last dot (expected: a set), or what the call takes (a str)."""
        self._lines.append(line)
        if expected:
            self._asked.append((len(self._lines), line, expected))

    def answers(self):
        """Yields each line with what was expected and what the editor knows."""
        script = jedi.Script("\n".join(self._lines), project=self._project)
        for number, line, expected in self._asked:
            if isinstance(expected, set):
                found = {c.name for c in script.complete(number, line.rindex(".") + 1)}
                yield line, expected, found & expected
            else:
                yield line, expected, [
                    (s.name, s.to_string())
                    for s in script.get_signatures(number, line.rindex("(") + 1)]


@pytest.fixture
def editor(monkeypatch, tmp_path):
    """An Editor that has the stubs alone, where docs/nodemcu.md says."""
    # Another process may be writing the usual one.
    monkeypatch.setattr(jedi.settings, "cache_directory", str(tmp_path / "cache"))
    root = tmp_path / "root"
    for file in [*(source.with_suffix(".pyi") for source in SOURCES), WSCORE]:
        copy = root / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    folders = root, root / "lua_compat", (root / WSCORE.relative_to(ROOT)).parent
    others = [path for path in sys.path if path not in ("", str(ROOT))]
    return Editor(jedi.Project(root, sys_path=[*map(str, folders), *others], smart_sys_path=False))


def test_editor_completes_every_public_name(editor):
    for i, source in enumerate([*SOURCES, WSCORE]):
        stub = source.with_suffix(".pyi")
        text = stub.read_text()
        known = {name: what for name, what in describe(stub).items()
                 if name.rpartition(".")[2][0] != "_" or name == "__version__"}
        editor.ask(f"import {module_name(source)} as m{i}", None)
        editor.ask(f"m{i}.x", {name for name in known if "." not in name})
        for name, what in known.items():
            owner, _, method = name.rpartition(".")
            if isinstance(what, list):
                editor.ask(f"m{i}.{name}.x", {
                    n.rpartition(".")[2] for n in known if n.startswith(f"{name}.")})
            elif "(" in str(what) and f"@property\n    def {method}(" not in text:
                editor.ask(f"m{i}.{name}()", method)
    asked = 0
    for line, expected, found in editor.answers():
        asked += 1
        if isinstance(expected, set):
            assert found == expected, line
        else:
            assert {name for name, _ in found} == {expected}, line
    assert asked > 150


def test_editor_shows_what_a_call_takes(editor):
    editor.ask("import websocket", None)
    editor.ask("websocket.createClient().x", {"on", "config", "connect", "send", "close"})
    editor.ask("websocket.createClient().on()", "on")
    (_, expected, names), (_, _, calls) = editor.answers()
    assert names == expected
    assert [text for _, text in calls] == [
        'on(eventName: Literal["connection"], function: _OnEvent | None) -> None',
        'on(eventName: Literal["receive"], function: _OnReceive | None) -> None',
        'on(eventName: Literal["close"], function: _OnClose | None) -> None',
        'on(eventName: Literal["sent"], function: _OnEvent | None) -> None',
    ]

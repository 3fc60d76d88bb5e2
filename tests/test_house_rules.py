"""The house rules, as tests. Every finding names the file and the line."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "ua3dtalk"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEXTS = [ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "constraints.txt")]

# The data's way, lowest first; packages of one row do not see each other. The same table is in pyproject.toml.
LAYERS = [
    {"core"},
    {"geometry", "media"},
    {"subject"},
    {"tracking", "priors", "gaussians"},
    {"render"},
    {"avatar"},
    {"training", "synthesis", "evaluation"},
    {"viewer"},
    {"recipes"},
    {"cli"},
]
LEVEL = {name: level for level, row in enumerate(LAYERS) for name in row}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def at(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def check(findings: list[str]) -> None:
    assert not findings, "\n" + "\n".join(findings)


def walk(kinds: type | tuple[type, ...]) -> Iterator[tuple[Path, ast.AST]]:
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, kinds):
                yield path, node


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return []


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a chain of attributes, or an empty string."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def docstring_nodes(path: Path) -> set[int]:
    """Identities of string expressions that stand alone (docstrings, also of fields)."""
    return {id(n.value) for n in ast.walk(tree(path)) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}


# --- structure -------------------------------------------------------------------------------------------------------


def test_imports_go_one_way() -> None:
    findings = []
    for path, node in walk((ast.Import, ast.ImportFrom)):
        here = path.relative_to(PACKAGE).parts[0]
        if here not in LEVEL:
            continue
        for name in imported(node):
            there = name.split(".")[1] if name.startswith("ua3dtalk.") else ""
            if name.startswith("."):
                findings.append(at(path, node.lineno, "relative import; name the package in full"))
            elif there in LEVEL and there != here and LEVEL[there] >= LEVEL[here]:
                findings.append(at(path, node.lineno, f"{here} must not import {there}"))
    check(sorted(set(findings)))


def test_layers_agree_with_the_import_contract() -> None:
    block = re.search(r"^layers = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.S | re.M)
    assert block is not None
    rows = [set(re.findall(r"ua3dtalk\.(\w+)", line)) for line in block.group(1).strip().splitlines()]
    assert rows[::-1] == LAYERS
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert packages == set(LEVEL), "every package has its place in the layers"


def test_no_function_hides_an_import_of_ours() -> None:
    """Inside a function an import may delay a heavy dependency, not dodge a cycle; the command line is lazy."""
    findings = []
    for path, function in walk((ast.FunctionDef, ast.AsyncFunctionDef)):
        if path.parent.name == "cli":
            continue
        for node in ast.walk(function):
            if any(name.startswith("ua3dtalk") for name in imported(node)):
                findings.append(at(path, node.lineno, f"import of ua3dtalk inside {function.name}()"))
    check(findings)


def test_package_inits_hold_only_a_docstring() -> None:
    findings = [
        at(path, tree(path).body[1].lineno, "code in a package's __init__")
        for path in MODULES
        if path.name == "__init__.py" and path.parent != PACKAGE and len(tree(path).body) > 1
    ]
    check(findings)


def test_every_package_and_module_says_what_it_is() -> None:
    check([at(path, 1, "no module docstring") for path in MODULES if not ast.get_docstring(tree(path))])


def test_annotations_are_lazy_everywhere() -> None:
    findings = []
    for path in MODULES:
        body = tree(path).body
        first = body[1] if len(body) > 1 else None
        ok = first is None or path == PACKAGE / "__init__.py" or imported(first)[:1] == ["__future__"]
        if not ok:
            findings.append(
                at(path, 2, "the first line after the docstring is not `from __future__ import annotations`")
            )
    check(findings)


# --- size ------------------------------------------------------------------------------------------------------------


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in MODULES}
    check([at(path, n, f"{n} lines, at most 300") for path, n in lengths.items() if n > 300])


def test_functions_are_short() -> None:
    findings = []
    for path, node in walk((ast.FunctionDef, ast.AsyncFunctionDef)):
        doc = node.body[0] if ast.get_docstring(node) is not None else None
        lines = node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)
        if lines > 60:
            findings.append(at(path, node.lineno, f"{node.name}() has {lines} lines without its docstring, at most 60"))
    check(findings)


def is_compiled(node: ast.FunctionDef) -> bool:
    """Whether numba compiles it: kernels take arrays one by one and are called from one place."""
    calls = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any("jit" in dotted(call) for call in calls)


def test_public_signatures_are_small() -> None:
    findings = []
    for path, node in walk(ast.FunctionDef):
        if is_compiled(node) or path == PACKAGE / "api.py":  # one parameter for each option of a command
            continue
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len([name for name in names if name not in ("self", "cls")])
        if count > 8 and not (node.name.startswith("_") and node.name != "__init__"):
            findings.append(at(path, node.lineno, f"{node.name}() takes {count} parameters, at most 8"))
    check(findings)


# --- safety ----------------------------------------------------------------------------------------------------------


def test_nothing_is_unpickled_or_executed() -> None:
    findings = []
    for path, node in walk((ast.Import, ast.ImportFrom, ast.Call)):
        for name in imported(node):
            if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"):
                findings.append(at(path, node.lineno, f"imports {name}"))
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in ("eval", "exec", "torch.load", "torch.save", "os.system", "os.popen"):
                findings.append(at(path, node.lineno, f"calls {name}"))
            for keyword in node.keywords:
                if keyword.arg in ("shell", "allow_pickle") and getattr(keyword.value, "value", True) is not False:
                    findings.append(at(path, node.lineno, f"{keyword.arg} is not False"))
    check(findings)


def test_the_device_is_named_in_two_places_only() -> None:
    allowed = {PACKAGE / "core" / "device.py", PACKAGE / "render" / "gsplat_backend.py"}
    findings = []
    for path, node in walk((ast.Constant, ast.Call)):
        if path in allowed:
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cuda":
            findings.append(at(path, node.lineno, ".cuda() call"))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.match(r"cuda(:\d+)?$", node.value):
            findings.append(at(path, node.lineno, f"device literal {node.value!r}"))
    check(findings)


def test_randomness_comes_from_a_passed_generator() -> None:
    drawing = {"rand", "randn", "randint", "randperm", "bernoulli", "multinomial", "normal", "rand_like", "randn_like"}
    findings = []
    for path, node in walk((ast.Import, ast.ImportFrom, ast.Call)):
        if any(name == "random" for name in imported(node)[:1]):
            findings.append(at(path, node.lineno, "imports Python's global random"))
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        module, _, function = name.rpartition(".")
        if module == "torch" and function in drawing and "generator" not in {k.arg for k in node.keywords}:
            findings.append(at(path, node.lineno, f"{name}() without generator="))
        if module in ("np.random", "numpy.random") and function not in (
            "default_rng",
            "Generator",
            "PCG64",
            "SeedSequence",
        ):
            findings.append(at(path, node.lineno, f"{name}() draws from a global"))
    check(findings)


# --- manners ---------------------------------------------------------------------------------------------------------


def test_no_prints() -> None:
    findings = [
        at(path, node.lineno, "print; use the logger or, in cli, the console")
        for path, node in walk(ast.Call)
        if dotted(node.func) == "print"
    ]
    check(findings)


def test_nothing_is_left_unfinished() -> None:
    marks = re.compile(
        r"\b(TO"
        + r"DO|FIX"
        + r"ME|XX"
        + r"X|HA"
        + r"CK)\b|NotImpl"
        + r"ementedError|place"
        + r"holder|\bfor n"
        + r"ow\b",
        re.I,
    )
    paths = [
        *MODULES,
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
        *(p for p in TEXTS if p.exists()),
    ]
    findings = []
    for path in paths:
        for line, text in enumerate(path.read_text().splitlines(), 1):
            if mark := marks.search(text):
                findings.append(at(path, line, f"unfinished mark {mark.group(0)!r}"))
    check(findings)


def test_no_paths_of_one_machine() -> None:
    machine = re.compile(r"/(wor[k]|roo[t]|hom[e])/|/tm[p]/")
    paths = [
        *MODULES,
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
        *(p for p in TEXTS if p.exists()),
    ]
    findings = []
    for path in paths:
        for line, text in enumerate(path.read_text().splitlines(), 1):
            if found := machine.search(text):
                findings.append(at(path, line, f"path of one machine {found.group(0)!r}"))
    check(findings)


def test_public_functions_and_classes_are_documented() -> None:
    findings = []
    for path in MODULES:
        for node in tree(path).body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                findings.append(at(path, node.lineno, f"{node.name} has no docstring"))
    check(findings)


def test_configurations_are_frozen_and_keyword_only() -> None:
    findings = []
    for path, node in walk(ast.ClassDef):
        if not node.name.endswith("Config"):
            continue
        calls = [d for d in node.decorator_list if isinstance(d, ast.Call) and dotted(d.func).endswith("dataclass")]
        flags = {k.arg for call in calls for k in call.keywords if getattr(k.value, "value", False) is True}
        if not {"frozen", "kw_only"} <= flags:
            findings.append(at(path, node.lineno, f"{node.name} is not @dataclass(frozen=True, kw_only=True)"))
    check(findings)


def test_protocols_can_be_checked_at_run_time() -> None:
    """beartype looks at protocols with isinstance; one that refuses breaks every function that names it."""
    findings = []
    for path, node in walk(ast.ClassDef):
        names = {dotted(d) for d in node.decorator_list}
        if "Protocol" in {dotted(base) for base in node.bases} and not names & {"runtime_checkable"}:
            findings.append(at(path, node.lineno, f"{node.name} is not @runtime_checkable"))
    check(findings)


def test_kernels_keep_the_type_checker_out() -> None:
    """Under pytest every function is wrapped; numba can neither compile nor cache a wrapped one."""
    findings = []
    for path, node in walk(ast.FunctionDef):
        names = {dotted(d) for d in node.decorator_list}
        if is_compiled(node) and not names & {"no_type_check", "typing.no_type_check"}:
            findings.append(at(path, node.lineno, f"{node.name}() is compiled without @no_type_check below the jit"))
    check(findings)


# --- weight ----------------------------------------------------------------------------------------------------------


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement (which may leave by SystemExit)."""
    report = "import json, sys; sys.stderr.write(json.dumps(list(sys.modules)))"
    code = f"try:\n    {statement}\nexcept SystemExit:\n    pass\n{report}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stderr))


HEAVY = {"torch", "numba", "scipy", "cv2", "mediapipe", "matplotlib", "gsplat", "av", "pocketsphinx", "transformers"}


def test_importing_the_package_is_light() -> None:
    loaded = modules_after("import ua3dtalk")
    check(sorted(loaded & (HEAVY | {"numpy"})))
    assert len([name for name in loaded if name.startswith("ua3dtalk")]) == 1


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_help_is_light(arguments: list[str]) -> None:
    loaded = modules_after(f"import ua3dtalk.cli.main as m; m.main({arguments!r})")
    check(sorted(loaded & HEAVY))


def test_types_are_shipped() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert "py.typed" in (ROOT / "pyproject.toml").read_text()

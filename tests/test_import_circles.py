"""No Python module of cyact needs, at once or in turn, one that needs it, not even at a call."""

import ast
from pathlib import Path

import pytest

import cyact

PACKAGE = Path(cyact.__file__).parent


def module_of(path):
    parts = ("cyact", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def needed(tree, modules):
    """The modules that a source imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield from [whole] if whole in modules else {node.module} & set(modules)


def circles(sources):
    """Every chain of imports that ends where it began; `sources` are texts by module."""
    needs = {name: sorted(set(needed(ast.parse(text), sources))) for name, text in sources.items()}
    found, done = [], set()

    def visit(name, chain):
        if name in chain:
            found.append(" -> ".join([*chain[chain.index(name):], name]))
        elif name not in done:
            for other in needs[name]:
                visit(other, [*chain, name])
            done.add(name)

    for name in needs:
        visit(name, [])
    return found


def test_no_module_needs_one_that_needs_it():
    assert len(MODULES) > 20
    sources = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
    # what is imported is a package's module; the package itself is there before
    assert circles(sources) == []


@pytest.mark.parametrize("late", ["from cyact.a import f", "def g():\n    from cyact import a"])
def test_circles_are_found_out(late):
    sources = {"cyact": "", "cyact.a": "import cyact.b", "cyact.b": "from cyact import c",
               "cyact.c": late}
    assert circles(sources) == ["cyact.a -> cyact.b -> cyact.c -> cyact.a"]

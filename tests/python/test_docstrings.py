"""The docstrings are the reference: every public name has one, and a true signature."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import pydoc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fcached
from fcached import _core

PACKAGES = ("fcached", "fcached.instrumentation", "fcached.lm_eval", "fcached.sway")
MODULES = ("fcached.namespaces", "fcached.errors", "fcached.values", "fcached.stats")
STUBS = Path(fcached.__file__).with_name("_core.pyi")
EMPTY = inspect.Parameter.empty


def is_ours(member: Any) -> bool:
    return str(getattr(member, "__module__", "")).startswith("fcached")


def public() -> Iterator[tuple[str, Any]]:
    """The public names of packages and modules, with their objects."""
    for name in (*PACKAGES, *MODULES):
        module = importlib.import_module(name)
        names = getattr(module, "__all__", None)
        if names is None:
            names = [one for one, member in vars(module).items() if is_ours(member)]
        for one in names:
            member = getattr(module, one)
            if not one.startswith("_") and (callable(member) or isinstance(member, type)):
                yield f"{name}.{one}", member


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Methods and properties of a class, those of its bases in the package included."""
    for name in dir(cls):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if name.startswith("_") or not is_ours(owner):
            continue
        member = inspect.getattr_static(cls, name)
        if callable(getattr(cls, name)) or isinstance(member, property):
            yield name, member
        elif inspect.isgetsetdescriptor(member):
            yield name, member


def is_raised(member: Any) -> bool:
    """True for exceptions: Python has no signature for their classes."""
    return isinstance(member, type) and issubclass(member, BaseException)


PUBLIC = dict(public())
CALLED = [name for name, member in PUBLIC.items() if not is_raised(member)]
MEMBERS = {
    f"{name}.{one}": (cls, one, member)
    for name, cls in PUBLIC.items()
    if isinstance(cls, type)
    for one, member in members(cls)
}


def test_public_names_found() -> None:
    assert {"fcached.Client", "fcached.register", "fcached.lm_eval.wrap"} <= set(PUBLIC)
    calls = "get put give_up get_many put_many give_up_many cached cached_batch".split()
    others = "set_probe clear close stats connected".split()
    assert {f"fcached.Client.{name}" for name in (*calls, *others)} <= set(MEMBERS)


@pytest.mark.parametrize("module", [*PACKAGES, *MODULES, "fcached._core"])
def test_module_has_docstring(module: str) -> None:
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_has_docstring(name: str) -> None:
    doc = PUBLIC[name].__doc__
    assert doc and not doc.startswith(PUBLIC[name].__name__ + "("), "dataclasses make one up"


@pytest.mark.parametrize("name", MEMBERS)
def test_class_member_has_docstring(name: str) -> None:
    assert inspect.getdoc(MEMBERS[name][2])


@pytest.mark.parametrize("name", CALLED)
def test_public_name_has_signature(name: str) -> None:
    assert inspect.signature(PUBLIC[name])


@pytest.mark.parametrize("name", MEMBERS)
def test_class_member_has_signature(name: str) -> None:
    cls, one, member = MEMBERS[name]
    if callable(getattr(cls, one)):
        assert inspect.signature(getattr(cls, one))


def test_help_shows_docstring_and_signature() -> None:
    out = io.StringIO()
    pydoc.Helper(output=out).help(fcached.Client.put_many)
    text = out.getvalue()
    shown = "".join(text.split())  # Python 3.13 breaks the signature into lines
    assert "put_many(self,/,op,view,prompts,top_k,values,*,compute_s=0.0" in shown
    assert "seconds" in text and "TooBigError" in text and "--" not in text


# ---- the stub ----


def parameters(function: ast.FunctionDef) -> list[tuple[str, Any, Any]]:
    """Name, kind and default of each, without self."""
    arguments, kind = function.args, inspect.Parameter
    both = [*arguments.posonlyargs, *arguments.args]
    defaults = [EMPTY] * (len(both) - len(arguments.defaults))
    defaults += [ast.literal_eval(default) for default in arguments.defaults]
    only = len(arguments.posonlyargs)
    found = [
        (one.arg, kind.POSITIONAL_ONLY if at < only else kind.POSITIONAL_OR_KEYWORD, default)
        for at, (one, default) in enumerate(zip(both, defaults))
    ]
    for one, given in zip(arguments.kwonlyargs, arguments.kw_defaults):
        default = EMPTY if given is None else ast.literal_eval(given)
        found.append((one.arg, kind.KEYWORD_ONLY, default))
    return [parameter for parameter in found if parameter[0] != "self"]


def signature_of(function: Any) -> list[tuple[str, Any, Any]]:
    listed = inspect.signature(function).parameters.values()
    return [(one.name, one.kind, one.default) for one in listed if one.name != "self"]


def stub() -> ast.Module:
    return ast.parse(STUBS.read_text())


def functions(body: list[ast.stmt]) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def client_stub() -> dict[str, ast.FunctionDef]:
    (node,) = [n for n in stub().body if isinstance(n, ast.ClassDef) and n.name == "Client"]
    return functions(node.body)


def test_stub_lists_names_of_module() -> None:
    assert set(functions(stub().body)) == {
        name for name, member in vars(_core).items() if inspect.isbuiltin(member)
    }
    own = {name for name in vars(_core.Client) if not name.startswith("__")}
    by_python = {name for name in vars(fcached.Client) if name.startswith("_on_")}
    assert set(client_stub()) - {"__init__"} == own | by_python


@pytest.mark.parametrize("name", functions(stub().body))
def test_stub_function_signature_matches(name: str) -> None:
    assert parameters(functions(stub().body)[name]) == signature_of(getattr(_core, name))
    assert getattr(_core, name).__doc__


METHODS = {
    name: node
    for name, node in client_stub().items()
    if not node.decorator_list and not name.startswith("_on_") and name != "__init__"
}


@pytest.mark.parametrize("name", METHODS)
def test_stub_method_signature_matches(name: str) -> None:
    assert parameters(METHODS[name]) == signature_of(getattr(_core.Client, name))
    assert getattr(_core.Client, name).__doc__


def test_stub_class_signature_matches() -> None:
    assert parameters(client_stub()["__init__"]) == signature_of(_core.Client)


ARGUMENTS: dict[str, Any] = {
    **{"op": "op", "view": "base", "prompt": "p", "prompts": ["p"], "top_k": 0, "value": 1},
    **{
        "values": [1],
        "wait": 0.0,
        "lease": False,
        "record": True,
        "local": False,
        "compute_s": 0.0,
    },
    **{"keep_first": False, "compute": lambda: 1, "compute_misses": list, "found": list},
    "probe": None,
}


@pytest.mark.parametrize("name", METHODS)
def test_method_accepts_arguments_of_signature(name: str, tmp_path: Path) -> None:
    with fcached.Client("n", socket=str(tmp_path / "none")) as client:
        method = getattr(client, name)
        given = {one: ARGUMENTS[one] for one in inspect.signature(method).parameters}
        try:
            method(**given)
            method(*[given[one.name] for one in positional(method)])
        except fcached.UnavailableError:
            assert name in ("clear", "delete", "_server_stats")


def positional(method: Any) -> list[inspect.Parameter]:
    listed = inspect.signature(method).parameters.values()
    return [one for one in listed if one.kind is not inspect.Parameter.KEYWORD_ONLY]

"""The package as it is installed: names, files, and what an import costs."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import soma

# What users of a command line pay for only when they use it.
HEAVY = {"asyncio", "decimal", "numpy", "ssl", "http", "urllib", "json", "typing", "dataclasses"}


def imported(code):
    """The modules that are there after running some code in a fresh interpreter."""
    show = "import sys; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-I", "-S", "-c"]
    path = f"import sys; sys.path.append({str(Path(soma.__file__).parents[1])!r})"
    done = subprocess.run(
        [*command, f"{path}\n{code}\n{show}"], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_an_import_is_light():
    assert HEAVY & imported("import soma") == set()
    # The same look does see them when they are there.
    assert HEAVY & imported("import asyncio, json, decimal") >= {"asyncio", "json", "decimal"}


def test_the_distribution():
    distribution = importlib.metadata.distribution("soma-client")
    assert distribution.version == soma.__version__
    assert distribution.metadata["Requires-Python"] == ">=3.10"
    files = {str(file) for file in distribution.files}
    assert {"soma/__init__.py", "soma/_soma.pyi", "soma/py.typed"} <= files
    # One wheel for all interpreters from 3.10 on; the published client is not shadowed.
    [native] = [file for file in files if file.endswith(".so")]
    assert native == "soma/_soma.abi3.so"
    assert not any(file.startswith("soma_sdk") for file in files)


def test_all_names_are_there():
    assert sorted(soma.__all__) == soma.__all__
    assert all(hasattr(soma, name) for name in soma.__all__)
    public = {name for name in vars(soma) if not name.startswith("_")}
    assert public == set(soma.__all__) - {"__version__"}


def test_exceptions_and_results_say_where_they_are_from():
    for name in soma.__all__:
        module = getattr(getattr(soma, name), "__module__", "soma")
        assert module in {"soma", "soma._soma"}, name

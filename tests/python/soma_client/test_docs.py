"""Docstrings: every public name has one, and what they show runs as shown.

The examples are read as by `python -m asyncio`, where `await` may stand alone.
"""

import ast
import contextlib
import doctest
import inspect
import io
import re
import sys
import traceback

import pytest
from conftest import EMBEDDING, SOMA, funded, safetensors

import soma

AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
PARSER, CHECKER = doctest.DocTestParser(), doctest.OutputChecker()


def documented():
    """Public names with what they stand for: of the module, and of its classes."""
    for name in soma.__all__:
        thing = getattr(soma, name)
        if name.startswith("_"):
            continue
        yield name, thing
        if inspect.isclass(thing) and not issubclass(thing, BaseException):
            for member, value in vars(thing).items():
                if not member.startswith("_"):
                    yield f"{name}.{member}", getattr(value, "__func__", value)


NAMED = dict(documented())
SHOWN = {
    name: examples
    for name, thing in NAMED.items()
    if (examples := PARSER.get_examples(inspect.getdoc(thing) or ""))
}


def test_every_public_name_is_documented():
    # What a class inherits from `str` or `int` is documented there.
    missing = [name for name, thing in NAMED.items() if not (inspect.getdoc(thing) or "").strip()]
    assert missing == []


def test_most_calls_show_an_example():
    calls = {name for name in NAMED if name.startswith(("SomaClient.", "Keypair.", "build_"))}
    assert calls - set(SHOWN) == set()


@pytest.fixture
async def names(fresh, cli, served, url, tmp_path):
    """What the examples take for granted, named as in the guide."""
    signer = await funded(fresh, coins=2)
    weights = safetensors(1_000)
    encrypted_weights, decryption_key = soma.SomaClient.encrypt_weights(weights)
    (served / "weights.enc").write_bytes(encrypted_weights)
    weights_file = tmp_path / "weights.safetensors"
    weights_file.write_bytes(weights)
    wallet = soma.Wallet()
    await fresh.request_faucet(wallet.active)
    state = await fresh.get_latest_system_state()
    return {name: getattr(soma, name) for name in soma.__all__} | {
        "client": fresh,
        "signer": signer,
        "wallet": wallet,
        "friend": soma.Keypair.generate().address(),
        "validator": state.validators.validators[0].metadata.soma_address,
        "weights": weights,
        "weights_file": weights_file,
        "weights_url": url,
        "served": served,
        "host": url.removesuffix("weights.enc"),
        "encrypted_weights": encrypted_weights,
        "decryption_key": decryption_key,
        "embedding": EMBEDDING,
        "folder": tmp_path,
        "rpc_url": repr(fresh)[len("SomaClient(") : -1],
        "SOMA": SOMA,
    }


async def shown(source, names):
    """What the interpreter would print after one example."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        tree = compile(source, "<example>", "single", AWAIT | ast.PyCF_ONLY_AST)
        [statement] = tree.body
        if isinstance(statement, ast.Expr):
            code = compile(ast.Expression(statement.value), "<example>", "eval", AWAIT)
        else:
            code = compile(tree, "<example>", "single", AWAIT)
        value = eval(code, names)
        if inspect.iscoroutine(value):
            value = await value
        if value is not None:
            sys.__displayhook__(value)
    return output.getvalue()


# In an order of their own: that of a native class changes from run to run.
@pytest.mark.parametrize("name", sorted(SHOWN))
async def test_examples(name, names):
    for example in SHOWN[name]:
        try:
            found = await shown(example.source, names)
        except Exception as error:
            wanted = example.exc_msg
            found = "".join(traceback.format_exception_only(error))
            if wanted is None:
                raise
        else:
            wanted = example.want
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert CHECKER.check_output(wanted, found, flags), (example.source, wanted, found)


def test_units_are_named():
    """Whoever reads of an amount, a rate or a time learns its unit."""
    units = {
        "amount": r"shannon|SOMA|coin",
        "amounts": r"shannon|SOMA",
        "stake_amount": r"shannon|SOMA",
        "commission_rate": r"basis\s+point",
        "new_rate": r"basis\s+point",
        "timeout": r"second",
        "weights_size": r"byte",
    }
    unsaid = []
    for name, thing in NAMED.items():
        try:
            parameters = inspect.signature(thing).parameters
        except (TypeError, ValueError):
            continue
        text = inspect.getdoc(thing) or ""
        for parameter, unit in units.items():
            if parameter in parameters and not re.search(unit, text):
                unsaid.append((name, parameter))
    assert unsaid == []

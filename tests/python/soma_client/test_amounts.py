"""An int is shannons, a float or Decimal is SOMA; no shannon is lost on the way."""

from decimal import Decimal

import numpy
import pytest
from conftest import SOMA, funded
from hypothesis import given
from hypothesis import strategies as st

from soma import Balance, Keypair, Refused, SomaClient, build_transfer_coin

SUPPLY = 10_000_000 * SOMA
COIN = {"id": "0x" + "ab" * 32, "version": 1, "digest": "1" * 32}

shannons = st.integers(0, SUPPLY)


def request(amount):
    """A transaction that holds the amount; two are equal if their amounts are."""
    return build_transfer_coin("cd" * 32, COIN, amount)


@given(shannons)
def test_a_decimal_is_soma(amount):
    assert request(Decimal(amount).scaleb(-9)) == request(amount)
    assert SomaClient.to_shannons(Decimal(amount).scaleb(-9)) == amount


@given(st.integers(0, 10**15))
def test_a_float_is_the_decimal_that_it_prints_as(amount):
    """Fifteen digits survive in a float, whatever its binary digits are."""
    soma = float(Decimal(amount).scaleb(-9))
    assert request(soma) == request(amount)
    assert SomaClient.to_shannons(soma) == amount


@given(shannons, shannons)
def test_requests_with_other_amounts_differ(one, two):
    assert (request(one) == request(two)) == (one == two)


def test_what_floats_truncate():
    assert SomaClient.to_shannons(8.2) == 8_200_000_000
    assert SomaClient.to_shannons(0.000_000_001) == 1
    assert SomaClient.to_shannons(3) == 3 * SOMA


@pytest.mark.parametrize(
    "amount, same",
    [
        (numpy.float64(8.2), 8_200_000_000),
        (numpy.float32(8.2), 8_200_000_000),
        (numpy.int64(17), 17),
        (numpy.uint64(2**63), 2**63),
        (Balance(23), 23),
        (Decimal("1.000000000000"), SOMA),
        (Decimal("1e-9"), 1),
        (-0.0, 0),
    ],
    ids=repr,
)
def test_kinds_of_numbers(amount, same):
    assert request(amount) == request(same)


@pytest.mark.parametrize(
    "amount, error",
    [
        (True, TypeError),
        ("1.5", TypeError),
        ([], TypeError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (Decimal("NaN"), ValueError),
        (0.000_000_000_1, ValueError),
        (Decimal("1.0000000001"), ValueError),
        (10_000_001.0, ValueError),
        (-1, OverflowError),
        (2**64, OverflowError),
        (-0.5, OverflowError),
        (Decimal(-1), OverflowError),
    ],
    ids=repr,
)
def test_what_is_no_amount(amount, error):
    with pytest.raises(error):
        request(amount)


def test_a_unit_that_was_mixed_up():
    with pytest.raises(ValueError, match="did you mean the int 50000000000"):
        request(50_000_000_000.0)


async def test_a_stake_in_the_wrong_unit_is_refused_before_anything_is_sent(client):
    owner = await funded(client)
    model, validator = "0x" + "ab" * 32, "cd" * 32
    for call, *arguments in (
        (client.commit_model, "http://127.0.0.1:9/w", b"sealed", 0),
        (client.add_stake_to_model, model),
        (client.add_stake, validator),
    ):
        with pytest.raises(ValueError, match=r"did you mean 5\.0 SOMA"):
            await call(owner, *arguments, 5)
        with pytest.raises(ValueError, match="did you mean the int"):
            await call(owner, *arguments, 5e9)
    with pytest.raises(Refused) as refused:
        await client.commit_model(owner, "http://127.0.0.1:9/w", b"sealed", 0, stake_amount=0.5)
    assert refused.value.failure == "ModelMinStakeNotMet"
    assert await client.get_balance(owner.address()) == 2 * SOMA


async def test_a_balance_is_an_integer_that_knows_its_soma(client):
    owner, friend = await funded(client), Keypair.generate().address()
    await client.transfer_coin(owner, friend, Decimal("0.123456789"))
    balance = await client.get_balance(friend)
    assert balance == 123_456_789 and balance + 1 == 123_456_790
    assert (str(balance), repr(balance)) == ("123456789", "123456789")
    assert balance.soma == Decimal("0.123456789")
    # All of it, given back as it came, is the same number of shannons.
    assert request(balance) == request(balance.soma) == request(123_456_789)

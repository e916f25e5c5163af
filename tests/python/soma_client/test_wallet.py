"""Keys and the wallet of the command line."""

import json

import pytest

from soma import Keypair, SomaError, Wallet


def test_keys_in_every_spelling():
    keypair, phrase = Keypair.generate_with_mnemonic()
    assert len(phrase.split()) == 12
    assert len(Keypair.generate_with_mnemonic(24)[1].split()) == 24
    for same in (
        Keypair.from_mnemonic(phrase),
        Keypair.from_encoded(keypair.to_encoded()),
        Keypair.from_secret_key(keypair.to_secret_key()),
        Keypair.from_secret_key("0x" + keypair.to_secret_key()),
        Keypair.from_secret_key(bytes.fromhex(keypair.to_secret_key())),
        Keypair.from_secret_key(bytearray.fromhex(keypair.to_secret_key())),
    ):
        assert same.address() == keypair.address()
    assert keypair.to_encoded().startswith("somaprivkey1")


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: Keypair.from_encoded("somaprivkey1qqqq"), ValueError),
        (lambda: Keypair.from_encoded(Keypair.generate().to_encoded()[:-1] + "b"), ValueError),
        (lambda: Keypair.from_mnemonic("abandon " * 12), ValueError),
        (lambda: Keypair.from_secret_key(b"short"), ValueError),
        (lambda: Keypair.from_secret_key(5), TypeError),
        (lambda: Keypair.generate_with_mnemonic(13), ValueError),
        (lambda: Keypair.generate().sign(b"no transaction"), ValueError),
    ],
)
def test_bad_keys(make, error):
    with pytest.raises(error):
        make()


PHRASE = "abandon " * 11 + "about"


@pytest.mark.parametrize(
    "text",
    [
        "8869cb07178bf67e08d7c4abdf45487dbf379c9a452fcec2836854bf4a3d29b0",
        "0x8869cb07178bf67e08d7c4abdf45487dbf379c9a452fcec2836854bf4a3d29b0",
        Keypair.from_mnemonic(PHRASE).to_encoded() + "\n",
        PHRASE,
    ],
)
def test_the_secret_of_the_environment(monkeypatch, text):
    expected = "5e93a736d04fbb25737aa40bee40171ef79f65fae833749e3c089fe7cc2161f1"
    monkeypatch.setenv("SOMA_SECRET_KEY", text)
    assert Keypair.from_env().address() == expected
    monkeypatch.setenv("ANOTHER", text)
    monkeypatch.delenv("SOMA_SECRET_KEY")
    assert Keypair.from_env("ANOTHER").address() == expected


@pytest.mark.parametrize(
    "text",
    ["", "8869cb07", "0x" + "z" * 64, "somaprivkey1qqqqqq", "abandon " * 12, None],
)
def test_no_secret_in_the_environment(monkeypatch, text):
    if text is None:
        monkeypatch.delenv("SOMA_SECRET_KEY", raising=False)
    else:
        monkeypatch.setenv("SOMA_SECRET_KEY", text)
    with pytest.raises(ValueError, match="^SOMA_SECRET_KEY: ") as raised:
        Keypair.from_env()
    assert not text or text.strip() not in str(raised.value)


def test_the_phrase_of_the_specification():
    """The address that the published client has for this phrase."""
    expected = "5e93a736d04fbb25737aa40bee40171ef79f65fae833749e3c089fe7cc2161f1"
    assert Keypair.from_mnemonic(PHRASE).address() == expected


async def test_the_wallet_of_the_command_line(fresh, cli):
    other = cli("wallet", "new", "--alias", "other")
    listed = cli("wallet", "list")
    wallet = Wallet()
    assert len(wallet) == 2
    assert wallet.active == cli("wallet", "active") == wallet["me"]
    assert {(one.alias, str(one)) for one in wallet.accounts} == {
        tuple(pair) for pair in listed["addresses"]
    }
    assert wallet["other"] == wallet[other["address"]] == other["address"]
    assert wallet.keypair("other").address() == other["address"]
    exported = cli("-y", "wallet", "export", "other")
    assert wallet.keypair("other").to_encoded() == exported["privateKey"]
    with pytest.raises(KeyError):
        wallet["nobody"]
    with pytest.raises(SomaError):
        wallet.keypair("nobody")

    # The wallet, an account of it, an alias and an address all sign.
    friend = Keypair.generate().address()
    await fresh.request_faucet(wallet.active)
    await fresh.request_faucet(other["address"])
    await fresh.transfer_coin(wallet, friend, 1)
    await fresh.transfer_coin(wallet["other"], friend, 2)
    await fresh.transfer_coin("me", friend, 3)
    await fresh.transfer_coin(other["address"], friend, 4)
    assert await fresh.get_balance(friend) == 10
    assert cli("balance", friend)["total_balance"] == 10
    with pytest.raises(SomaError):
        await fresh.transfer_coin("nobody", friend, 5)

    # An account can be given wherever a key pair could.
    account = wallet["other"]
    assert account.address() == other["address"]
    [coin] = await fresh.list_owned_objects(account, object_type="coin")
    data = await fresh.build_transfer_coin(account, friend, coin, 6)
    assert (await fresh.execute_transaction(account.sign(data))).status == "Success"
    assert wallet.keypair("other").sign(data) == account.sign(data)


async def test_a_wallet_elsewhere(fresh, cli, monkeypatch, tmp_path):
    monkeypatch.setenv("SOMA_CONFIG_DIR", str(tmp_path / "nothing"))
    with pytest.raises(SomaError):
        Wallet()
    for place in (cli.config, cli.config / "client.yaml", str(cli.config)):
        assert Wallet(place).active == cli("wallet", "active")


def test_nothing_secret_is_shown(cli):
    wallet = Wallet()
    shown = repr(wallet) + repr(wallet.active) + repr(wallet.keypair("me"))
    keystore = json.loads((cli.config / "soma.keystore").read_text())
    assert keystore and all(str(key) not in shown for key in keystore)

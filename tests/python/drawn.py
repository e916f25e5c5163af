"""Random arguments for every builder of transactions, as hypothesis draws them."""

import types

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

RELAXED = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ids = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
addresses = st.binary(min_size=32, max_size=32).map(bytes.hex)
hashes = addresses
secrets = addresses
u64 = st.integers(0, 2**64 - 1)
amounts = st.one_of(st.none(), u64)
floats = st.floats(width=32, allow_nan=False)
embeddings = st.lists(floats, min_size=1, max_size=40)


def text(alphabet, most):
    return st.text(alphabet, max_size=most)


# URLs in every spelling that an owner may type, with the corners of the URL standard.
labels = st.text("abcXYZ019äéñαд", min_size=1, max_size=8)
hosts = st.one_of(
    st.lists(labels, min_size=2, max_size=3).map(lambda parts: ".".join(parts) + ".Example"),
    st.ip_addresses(v=4).map(str),
    st.integers(0, 2**32 - 1).map(hex),
    st.ip_addresses(v=6).map(lambda address: f"[{address.exploded.upper()}]"),
)
ports = st.one_of(
    st.sampled_from(["", ":", ":80", ":443", ":0443"]), st.integers(0, 65535).map(":{}".format)
)
segments = st.one_of(
    st.sampled_from([".", "..", "%2e", "%2E%2e", "", "%zz", "a%20b", "\\", "weights.enc"]),
    text("aZ09-._~!$&'()*+,;=:@|^`{}[]\"<> %äß∂\t", 8),
)
paths = st.lists(segments, max_size=5).map(lambda parts: "".join("/" + one for one in parts))
queries = st.one_of(st.just(""), text("aB1 '\"<>#?/=&%äß", 8).map("?{}".format))
fragments = st.one_of(st.just(""), text("aB1 `\"<>?/%ä", 8).map("#{}".format))
urls = st.tuples(
    st.sampled_from(["https://", "http://", "HTTPS://", "hTTp:\\\\", "https:"]),
    st.sampled_from(["", "", "me@", "me:p@ss@"]),
    hosts,
    ports,
    paths,
    queries,
    fragments,
).map("".join)

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(raw):
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


references = st.fixed_dictionaries(
    {
        "id": ids,
        "version": u64,
        "digest": st.binary(min_size=32, max_size=32).map(base58),
    }
)

reveals = {
    "model_id": ids,
    "weights_url": urls,
    "weights_checksum": hashes,
    "weights_size": u64,
    "decryption_key": hashes,
    "embedding": embeddings,
}
payments = st.lists(st.tuples(addresses, u64), min_size=1, max_size=5)

TRANSACTIONS = {
    "transfer_coin": st.fixed_dictionaries(
        {"recipient": addresses, "coin": references, "amount": amounts}
    ),
    "transfer_objects": st.fixed_dictionaries(
        {"recipient": addresses, "objects": st.lists(references, min_size=1, max_size=4)}
    ),
    "pay_coins": st.builds(
        lambda pays, coins: {
            "recipients": [one for one, _ in pays],
            "amounts": [one for _, one in pays],
            "coins": coins,
        },
        payments,
        st.lists(references, min_size=1, max_size=4),
    ),
    "add_stake": st.fixed_dictionaries(
        {"validator": addresses, "coin": references, "amount": amounts}
    ),
    "add_stake_to_model": st.fixed_dictionaries(
        {"model_id": ids, "coin": references, "amount": amounts}
    ),
    "withdraw_stake": st.fixed_dictionaries({"staked_soma": references}),
    "commit_model": st.fixed_dictionaries(
        {
            "model_id": ids,
            "weights_url_commitment": hashes,
            "weights_commitment": hashes,
            "stake_amount": u64,
            "commission_rate": u64,
            "staking_pool_id": ids,
        }
    ),
    "commit_model_update": st.fixed_dictionaries(
        {"model_id": ids, "weights_url_commitment": hashes, "weights_commitment": hashes}
    ),
    "reveal_model": st.fixed_dictionaries(reveals),
    "reveal_model_update": st.fixed_dictionaries(reveals),
    "set_model_commission_rate": st.fixed_dictionaries({"model_id": ids, "new_rate": u64}),
    "deactivate_model": st.fixed_dictionaries({"model_id": ids}),
}


def namespaced(value):
    if isinstance(value, dict):
        return types.SimpleNamespace(**value)
    if isinstance(value, list):
        return [namespaced(one) for one in value]
    return value

//! Where a network is follows from the address of its node, not from what the node says.

use crate::owner;
use crate::process::{Network, User, read, safetensors};
use crate::wiretap::Wiretap;

#[test]
fn a_node_elsewhere_that_calls_its_chain_localnet_is_not_local() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let tap = Wiretap::elsewhere(network.text("rpc_url"));
    let user = User::of(&network).with("SOMA_RPC_URL", &tap.url);
    owner::wallet(&user);
    let prepared = owner::prepare(&user, &network, 7, &[]);

    // What strangers cannot fetch is refused before a coin is staked on it.
    let commit = ["model", "commit", "--prepared", "--stake-amount", "1"];
    let before = user.balance();
    let refused = user.refused(&commit, 1, "CheckFailed");
    assert!(refused.contains("plain http"), "{refused}");
    assert_eq!(user.balance(), before);

    // Nor does a publication look for the host of files that a local network has.
    let publish = ["model", "publish", "weights.safetensors", "--stake-amount", "1"];
    user.refused(&[&publish[..], &["--embedding-file", "embedding.json"]].concat(), 2, "Usage");

    let here = user.with("SOMA_RPC_URL", network.text("rpc_url"));
    here.json(&commit);
    here.json(&["localnet", "advance-epoch"]);
    here.json(&["model", "reveal", "--prepared"]);

    // What others registered is fetched by the same rule, and by what they say of its size.
    let user = here.with("SOMA_RPC_URL", &tap.url);
    let model = prepared.text("model_id");
    let download = ["model", "download", model, "--decrypt", "-o", "copy"];
    let refused = user.refused(&download, 1, "Url");
    assert!(refused.contains("plain http"), "{refused}");
    let download = [&download[..], &["--allow-private"]].concat();
    let refused = user.refused(&[&download[..], &["--max-size", "1KiB"]].concat(), 1, "TooLarge");
    assert!(refused.contains("more than the 1024 allowed"), "{refused}");
    assert!(!user.path("copy").exists() && !user.path(".copy.plain.part").exists());
    user.json(&download);
    assert_eq!(read(&user.path("copy")), safetensors(7));
}

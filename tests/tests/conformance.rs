//! The conformance checks, run against a network of which the answers are known.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use soma_localnet::{LocalNet, LocalNetConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;

/// Certificates of the client's own tests: an authority, and a node at 127.0.0.1.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/soma-rpc/tests/data");

async fn network() -> LocalNet {
    let config = LocalNetConfig::new()
        .with_free_ports()
        .with_epoch_duration_ms(86_400_000)
        .with_embedding_dim(4);
    LocalNet::start(config).await.unwrap()
}

/// Ends TLS in front of the service at `url`; gives the `https` URL.
async fn secured(url: &str) -> String {
    let data = Path::new(DATA);
    let certificate = CertificateDer::from_pem_file(data.join("node.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(data.join("node.key")).unwrap();
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let node: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut near = acceptor.accept(stream).await?;
                let mut far = TcpStream::connect(node).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    format!("https://{address}")
}

async fn conformance(options: &[&str], authority: &str) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(options)
        .env("SSL_CERT_FILE", Path::new(DATA).join(authority))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let failed = text.lines().filter(|line| line.starts_with("FAILED"));
    let failed = failed.collect::<Vec<_>>().join("\n");
    (output, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_behind_tls_are_checked_too() {
    let network = network().await;
    let (rpc, faucet) =
        (secured(network.rpc_url().unwrap()).await, secured(network.faucet_url().unwrap()).await);
    let rpc = rpc.replace("https://", "https://me:secret@");
    let admin = network.admin_url();
    let options = ["--rpc", &rpc, "--faucet", &faucet, "--admin", admin];
    let (output, failed) = conformance(&options, "authority.pem").await;
    assert_eq!((output.status.code(), failed.as_str()), (Some(0), ""), "{output:?}");

    // Nobody vouches for the node now, and the password is not told.
    let (output, _) = conformance(&["--rpc", &rpc], "node.pem").await;
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cannot reach https://127.0.0.1"), "{told}");
    assert!(!told.contains("secret"), "{told}");
}

/// The local network is stricter, so it must not pass for the public one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_the_public_network_are_asserted() {
    let network = network().await;
    let options = [
        "--rpc",
        network.rpc_url().unwrap(),
        "--faucet",
        network.faucet_url().unwrap(),
        "--admin",
        network.admin_url(),
        "--reference",
    ];
    let (output, failed) = conformance(&options, "authority.pem").await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let failed: Vec<_> = failed.lines().collect();
    let [short, ids, registration] = failed[..] else { panic!("{failed:#?}") };
    assert!(short.contains("a commitment of 31 bytes"), "{short}");
    assert!(ids.contains("a commit under ids in use") && ids.contains("InvalidArguments"), "{ids}");
    assert!(registration.contains("commit, reveal, deactivate"), "{registration}");
    assert!(registration.contains("reveal: InvalidArguments"), "{registration}");
}

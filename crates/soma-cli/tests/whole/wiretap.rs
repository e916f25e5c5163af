//! A wire between commands and a node that keeps all that the commands say.

use std::io::{Read, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards connections to a node for as long as the test runs.
pub(crate) struct Wiretap {
    /// Where to connect instead of to the node.
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Wiretap {
    /// Listens on a free port, for the node at `url`.
    pub(crate) fn on(url: &str) -> Self {
        Self::listening(Ipv4Addr::LOCALHOST.into(), url)
    }

    /// The same, at an address of this machine that no URL shows to be one.
    pub(crate) fn elsewhere(url: &str) -> Self {
        // Nothing is sent: the system only says which address it would send from.
        let seen = UdpSocket::bind("0.0.0.0:0").unwrap();
        let address = match seen.connect("203.0.113.1:9") {
            Ok(()) => seen.local_addr().unwrap().ip(),
            Err(_) => Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
        };
        Self::listening(address, url)
    }

    fn listening(at: IpAddr, url: &str) -> Self {
        let node = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind((at, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let tape = Arc::clone(&heard);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let node = TcpStream::connect(&node).unwrap();
                let (back_from, back_to) = (node.try_clone().unwrap(), client.try_clone().unwrap());
                let tape = Arc::clone(&tape);
                thread::spawn(move || {
                    forward(client, node, |bytes| {
                        tape.lock().unwrap().extend_from_slice(bytes);
                    })
                });
                thread::spawn(move || forward(back_from, back_to, |_| {}));
            }
        });
        Self { url, heard }
    }

    /// Whether these bytes went to the node, in one piece.
    pub(crate) fn heard(&self, bytes: &[u8]) -> bool {
        self.heard.lock().unwrap().windows(bytes.len()).any(|window| window == bytes)
    }
}

/// Until one side hangs up: then the other one hears of it.
fn forward(mut from: TcpStream, mut to: TcpStream, mut tape: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        tape(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

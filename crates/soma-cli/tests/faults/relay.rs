//! A relay between the program and its node, which can be cut at any message.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the node.
    Up,
    /// From the node.
    Down,
}

/// What the relay saw: bytes that came in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) way: Way,
    /// Whether a signed transaction was on file whose outcome was not.
    pub(crate) under_way: bool,
}

/// Where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The message does not arrive.
    Before(usize),
    /// It arrives, and nothing after it.
    After(usize),
}

/// What is done when the place is reached.
pub(crate) type Act = Box<dyn FnOnce() + Send>;
/// Whether a signed transaction is under way.
pub(crate) type Look = Box<dyn Fn() -> bool + Send>;

/// Passes everything on to the node, until it is told not to.
pub(crate) struct Relay {
    /// Where messages are counted and cut.
    pub(crate) url: String,
    /// Where they just pass.
    pub(crate) quiet_url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    node: Mutex<Option<String>>,
    watched: Mutex<Watched>,
    done: Condvar,
    /// Both ends of every counted connection.
    open: Mutex<Vec<TcpStream>>,
}

#[derive(Default)]
struct Watched {
    messages: Vec<Message>,
    look: Option<Look>,
    trap: Option<(Cut, Act)>,
    /// No connection is let through.
    is_down: bool,
    /// Stay down once the trap has sprung.
    stays: bool,
    sprung: bool,
    /// What the trap does is not done yet.
    acts: bool,
}

impl Relay {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listen = |counted: bool| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for client in listener.incoming().map_while(Result::ok) {
                    shared.connect(client, counted);
                }
            });
            url
        };
        Self { url: listen(true), quiet_url: listen(false), shared: Arc::clone(&shared) }
    }

    /// Where the node is, if it is anywhere.
    pub(crate) fn lead_to(&self, node: Option<String>) {
        *lock(&self.shared.node) = node;
    }

    /// Counts messages from now on, and cuts at a place: then `act` is run, and if it
    /// `stays` so nothing passes until [`Relay::rest`].
    pub(crate) fn watch(&self, look: Look, trap: Option<(Cut, Act)>, stays: bool) {
        let messages = Vec::new();
        *lock(&self.shared.watched) =
            Watched { messages, look: Some(look), trap, stays, ..Watched::default() };
    }

    /// Passes everything on again, once the trap has done what it does; gives the
    /// messages, and whether it was cut.
    pub(crate) fn rest(&self) -> (Vec<Message>, bool) {
        let watched = lock(&self.shared.watched);
        let acts = |watched: &mut Watched| watched.acts;
        let watched = self.shared.done.wait_while(watched, acts);
        let watched = std::mem::take(&mut *watched.unwrap_or_else(PoisonError::into_inner));
        (watched.messages, watched.sprung)
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream, counted: bool) {
        let node = lock(&self.node).clone();
        let is_down = counted && lock(&self.watched).is_down;
        // Who gets no answer is hung up on.
        let Some(Ok(node)) = node.filter(|_| !is_down).map(TcpStream::connect) else { return };
        for end in [&client, &node] {
            let _ = end.set_nodelay(true);
            if counted {
                lock(&self.open).push(end.try_clone().unwrap());
            }
        }
        let ends = [(&client, &node, Way::Up), (&node, &client, Way::Down)];
        for (from, to, way) in ends {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let mut bytes = vec![0; 64 << 10];
                while let Ok(length @ 1..) = from.read(&mut bytes) {
                    if !shared.pass(&mut to, &bytes[..length], counted.then_some(way)) {
                        break;
                    }
                }
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }

    /// Passes a message on; false if that was the last one.
    fn pass(&self, to: &mut TcpStream, bytes: &[u8], way: Option<Way>) -> bool {
        let Some(way) = way else { return to.write_all(bytes).is_ok() };
        let mut watched = lock(&self.watched);
        if watched.is_down {
            return false;
        }
        let number = watched.messages.len();
        let under_way = watched.look.as_ref().is_some_and(|look| look());
        watched.messages.push(Message { way, under_way });
        let is_here = |(cut, _): &mut (Cut, Act)| match cut {
            Cut::Before(place) | Cut::After(place) => *place == number,
        };
        let Some((cut, act)) = watched.trap.take_if(is_here) else {
            drop(watched);
            return to.write_all(bytes).is_ok();
        };
        if matches!(cut, Cut::After(_)) {
            let _ = to.write_all(bytes);
        }
        (watched.sprung, watched.is_down, watched.acts) = (true, true, true);
        drop(watched);
        for end in lock(&self.open).drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
        act();
        let mut watched = lock(&self.watched);
        (watched.is_down, watched.acts) = (watched.stays, false);
        self.done.notify_all();
        false
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

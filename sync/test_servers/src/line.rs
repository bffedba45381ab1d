//! A line between two programs that a test can cut: what crosses it is handed on byte for byte until then.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// A TCP port that leads to another.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cut: AtomicBool,
    over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn close_all(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            // One that has ended already is as good as closed.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Line {
    /// A line to a port of this machine.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            cut: AtomicBool::new(false),
            over: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        let accept = move || {
            for stream in listener.incoming().flatten() {
                if accepting.over.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever calls while it is cut is hung up on.
                if !accepting.cut.load(Ordering::SeqCst) {
                    join(&accepting, stream, port);
                }
            }
        };
        let named = thread::Builder::new().name("line".into());
        named.spawn(accept).expect("a thread");
        Self { address, shared }
    }

    /// Its near end.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends what crosses it, and lets nothing more across until it is mended.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        self.shared.close_all();
    }

    /// Lets new connections across.
    pub fn mend(&self) {
        self.shared.cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.close_all();
        // Wakes the thread that accepts, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn join(shared: &Arc<Shared>, near: TcpStream, port: u16) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
    for (from, to) in [(&near, &far), (&far, &near)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
            return;
        };
        let named = thread::Builder::new().name("line".into());
        named.spawn(move || hand_on(from, to)).expect("a thread");
    }
    open.extend([near, far]);
    // Cut meanwhile: then this one is cut as well.
    if shared.cut.load(Ordering::SeqCst) {
        drop(open);
        shared.close_all();
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream) {
    let _ = to.set_nodelay(true);
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

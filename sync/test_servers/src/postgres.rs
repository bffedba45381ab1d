//! PostgreSQL, with a database for each test.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

/// What the thread that keeps a server is told.
enum Order {
    Crash,
    Stop,
}

/// A running server; stopped with the last test that uses it.
#[derive(Debug)]
pub struct Server {
    port: u16,
    databases: AtomicU32,
    keeper: Option<(mpsc::SyncSender<Order>, thread::JoinHandle<()>)>,
    _folder: tempfile::TempDir,
}

/// Where Debian puts the server's programs, the newest version first.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL (Debian: postgresql)");
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max();
    let newest = newest.expect("a version of PostgreSQL");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

/// PostgreSQL refuses to run as root: then it runs as another user.
fn other_user() -> Option<(u32, u32)> {
    let number = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().expect("id");
        let text = String::from_utf8(output.stdout).expect("a number");
        text.trim().parse::<u32>().ok()
    };
    if number(&["-u"]) != Some(0) {
        return None;
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|user| Some((number(&["-u", user])?, number(&["-g", user])?)))
}

/// A program of the server that ends with us, whatever ends us.
fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((uid, gid)) = user {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
        command.arg("--clear-groups");
    }
    // SIGINT: the server's fast shutdown.
    command.args(["--pdeathsig", "INT"]).arg(program);
    command.current_dir("/").env("LC_ALL", "C");
    command
}

impl Server {
    /// The one that all tests of this binary share.
    ///
    /// # Panics
    /// As [`Server::start`].
    #[must_use]
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// One for a test alone.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let user = other_user();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("giving the folder away");
        }
        let data = folder.path().join("data");
        let made = command(&programs().join("initdb"), user)
            .args(["-U", "postgres", "--auth=trust", "-N", "-E", "UTF8", "-D"])
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{made:?}");
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            free.local_addr().expect("an address").port()
        };
        let mut serve = command(&programs().join("postgres"), user);
        serve
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=200", "-c"])
            .arg(format!(
                "unix_socket_directories={}",
                folder.path().display()
            ))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).expect("a log"));
        let (orders, ordered) = mpsc::sync_channel(1);
        // The thread that starts the server outlives it: it is this thread's end that the server would
        // follow.
        let keeper = thread::Builder::new()
            .name("postgres".into())
            .spawn(move || {
                let mut child = serve.spawn().expect("postgres");
                while let Ok(Order::Crash) = ordered.recv() {
                    child.kill().expect("killing the server");
                    child.wait().expect("its end");
                    // Its processes notice that it is gone, and until then there can be no new one.
                    loop {
                        child = serve.spawn().expect("postgres");
                        thread::sleep(Duration::from_millis(300));
                        if child.try_wait().expect("its state").is_none() {
                            break;
                        }
                    }
                }
                interrupt(&mut child);
            });
        let server = Self {
            port,
            databases: AtomicU32::new(0),
            keeper: Some((orders, keeper.expect("a thread"))),
            _folder: folder,
        };
        server.wait();
        server
    }

    fn wait(&self) {
        let ready = programs().join("pg_isready");
        let begun = Instant::now();
        loop {
            let asked = Command::new(&ready)
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status();
            if asked.expect("pg_isready").success() {
                return;
            }
            let log = fs::read_to_string(self._folder.path().join("log"));
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "no answer: {log:?}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .database(database)
    }

    /// The address of a database, as the gateway's configuration has it.
    #[must_use]
    pub fn address(&self, database: &PgConnectOptions) -> String {
        let name = database.get_database().expect("a name");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// The same through another port, such as that of a [`crate::line::Line`].
    #[must_use]
    pub fn address_by(&self, database: &PgConnectOptions, port: u16) -> String {
        let name = database.get_database().expect("a name");
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database.
    pub async fn database(&self) -> PgConnectOptions {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.run(format!("CREATE DATABASE {name}")).await;
        self.options(&name)
    }

    /// Ends every connection to a database, as a restart of the server would.
    pub async fn disconnect_all(&self, database: &PgConnectOptions) {
        let name = database.get_database().expect("a name");
        self.run(format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ))
        .await;
    }

    /// Kills the server without any warning and starts it again.
    pub fn crash(&self) {
        let (orders, _) = self.keeper.as_ref().expect("a keeper");
        orders.send(Order::Crash).expect("a keeper that listens");
    }

    async fn run(&self, sql: String) {
        let mut connection = self
            .options("postgres")
            .connect()
            .await
            .expect("a connection");
        let text = sqlx::AssertSqlSafe(sql);
        connection.execute(text).await.expect("a statement");
        connection.close().await.expect("closing");
    }
}

fn interrupt(child: &mut Child) {
    let pid = child.id().to_string();
    let _ = Command::new("kill").args(["-INT", &pid]).status();
    let _ = child.wait();
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((orders, keeper)) = self.keeper.take() {
            let _ = orders.send(Order::Stop);
            let _ = keeper.join();
        }
    }
}

//! An engine and a client that speaks to it as a window does: typed calls with a token.

use crate::Station;
use engine_client::{Client, Start};
use std::fmt::Debug;
use std::process::Child;
use ui_types::{ApiError, Call, ErrorCode, EventsReplay, LedgerShow};

/// A running engine with its client.
#[derive(Debug)]
pub struct Served {
    engine: Child,
    client: Client,
}

impl Station {
    /// Starts an engine as a child of the test, to be spoken to over its socket.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn served(&self) -> Served {
        let engine = self.engine();
        let client = run(Client::connect(self.path(), &Start::Never)).expect("the engine answers");
        Served { engine, client }
    }

    /// Nothing of `canaries` stands in an event, in the ledger, in the log, in a file's name or in the
    /// clear in any file of the data folder.
    ///
    /// # Panics
    /// When one does.
    pub fn holds_nowhere(&self, served: &Served, canaries: &[&str]) {
        let events = EventsReplay {
            limit: 100_000,
            ..EventsReplay::default()
        };
        let show = LedgerShow {
            from: 0,
            limit: 100_000,
            kind: None,
            session: None,
            newest_first: false,
        };
        let events = serde_json::to_string(&served.ok(None, &events)).expect("JSON");
        let ledger = serde_json::to_string(&served.ok(None, &show)).expect("JSON");
        for canary in canaries {
            assert!(!events.contains(canary), "{canary} stands in an event");
            assert!(!ledger.contains(canary), "{canary} stands in the ledger");
        }
        let mut files = 0;
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                for canary in canaries {
                    assert!(!name.contains(canary), "{canary} stands in a file's name");
                }
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let Ok(bytes) = std::fs::read(&path) else {
                    continue;
                };
                files += 1;
                for canary in canaries {
                    let mut windows = bytes.windows(canary.len());
                    let found = windows.any(|window| window == canary.as_bytes());
                    assert!(!found, "{canary} stands in {}", path.display());
                }
            }
        }
        assert!(files > 5, "the scan saw {files} files only");
    }
}

impl Served {
    /// Makes a call, in the name of the person `token` stands for, or in the system's without one.
    ///
    /// # Errors
    /// What the engine says.
    pub fn call<C: Call>(&self, token: Option<&str>, call: &C) -> Result<C::Reply, ApiError> {
        let client = match token {
            Some(token) => self.client.clone().with_token(token),
            None => self.client.clone(),
        };
        run(client.call(call)).map_err(engine_client::ClientError::into_api)
    }

    /// A call that must succeed.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok<C: Call>(&self, token: Option<&str>, call: &C) -> C::Reply {
        self.call(token, call)
            .unwrap_or_else(|error| panic!("{}: {error:?}", C::NAME))
    }

    /// A call that must be refused with `code`; what was said.
    ///
    /// # Panics
    /// When it succeeds, or fails otherwise.
    #[track_caller]
    pub fn refused<C: Call>(&self, token: Option<&str>, call: &C, code: ErrorCode) -> ApiError
    where
        C::Reply: Debug,
    {
        let error = match self.call(token, call) {
            Err(error) => error,
            Ok(reply) => panic!("{} was answered: {reply:?}", C::NAME),
        };
        assert_eq!(error.code, code, "{}: {error:?}", C::NAME);
        assert!(!error.message.is_empty());
        error
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.engine.kill();
        let _ = self.engine.wait();
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

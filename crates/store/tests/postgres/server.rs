//! A running Postgres, which ends with its guard.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, id},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use agent_runtime::{
    event::Event,
    prelude::json,
    store::{Batch, Cursor, EpochState, EventStore, Query, StoreError, StoredEvent},
    stream::{Epoch, EventStream},
};
use agent_runtime_store::PostgresStore;

const SWITCH: &str = "AGENT_RUNTIME_BACKENDS";
const EXIT_MISSING: i32 = 77;

/// How long a test waits for what must come, so that it fails and does not hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; the drop ends it by its process id.
pub(crate) struct Server {
    state: PathBuf,
    url: String,
}

impl Server {
    /// Starts a server, or says why the test is skipped.
    pub(crate) fn up(test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if env::var(SWITCH).as_deref() != Ok("1") {
            skip(test, &format!("{SWITCH}=1 is not set"));
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let state = env::temp_dir().join(format!("agent-runtime-postgres-{}-{number}", id()));
        let mut server = Self { state, url: String::new() };
        let output = server.script("up", &["postgres"]);
        if output.status.code() == Some(EXIT_MISSING) {
            skip(test, &String::from_utf8_lossy(&output.stderr));
            return None;
        }
        assert!(output.status.success(), "Postgres did not start:\n{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let url = text.lines().find_map(|line| line.strip_prefix("POSTGRES=")).expect("`up` says where it is");
        server.url = url.to_owned();
        Some(server)
    }

    /// A connection string without TLS.
    pub(crate) fn url(&self) -> String {
        format!("{}?sslmode=disable", self.url)
    }

    /// One that insists on it.
    pub(crate) fn url_with_tls(&self) -> String {
        format!("{}?sslmode=require", self.url)
    }

    /// The certificate of the server.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        fs::read(self.state.join("postgres/server.crt")).expect("`up` has made it")
    }

    /// A new handle.
    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(self.url()).await.expect("the server takes the user")
    }

    /// Does `kill` (SIGKILL), `stop` or `start`; returns when it is gone, or ready again.
    pub(crate) fn part(&self, action: &str) {
        let output = self.script("part", &[action, "postgres"]);
        assert!(output.status.success(), "`part {action}`: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/backends").join(name);
        let mut command = Command::new(&script);
        command.arg("--state").arg(&self.state).args(arguments);
        command.output().unwrap_or_else(|error| panic!("{} cannot be run: {error}", script.display()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.state.exists() {
            self.script("down", &[]);
            if !std::thread::panicking() {
                fs::remove_dir_all(&self.state).ok();
            }
        }
    }
}

/// Past the harness's capture, which swallows what a passing test prints.
fn skip(test: &str, reason: &str) {
    writeln!(std::io::stderr(), "skipped: {test}: {}", reason.trim()).expect("standard error can be written to");
}

/// Events as a stream has numbered them.
pub(crate) fn events(stream: &EventStream, count: usize) -> Vec<Arc<Event>> {
    let event = |index: usize| {
        let data = json!({ "chunk": format!("piece {index} ") });
        let event = Event::llm_progress("agent:llm:0", None, Some("run".to_owned()), None, data);
        stream.append(event).expect("it is valid")
    };
    (0..count).map(event).collect()
}

pub(crate) async fn append(store: &dyn EventStore, epoch: Epoch, events: &[Arc<Event>]) -> Result<(), StoreError> {
    let mut batch = Batch::new(epoch);
    events.iter().try_for_each(|event| batch.push(Arc::clone(event)))?;
    store.append(&batch).await
}

pub(crate) async fn read_all(store: &dyn EventStore) -> Vec<StoredEvent> {
    let (mut cursor, mut all) = (Cursor::Beginning, Vec::new());
    loop {
        let page = store.read(cursor, &Query::default(), 1_000).await.expect("the store can be read");
        all.extend(page.events);
        cursor = page.next;
        if page.is_last {
            return all;
        }
    }
}

/// Waits until an epoch is in a state.
pub(crate) async fn until(store: &dyn EventStore, epoch: Epoch, wanted: EpochState) {
    let wait = async {
        loop {
            let records = store.epochs().await.unwrap_or_default();
            if records.iter().any(|record| record.epoch == epoch && record.state == wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("epoch {epoch} is never {wanted:?}"));
}

/// What a call has brought; nothing, after a moment, if the same call may succeed later.
pub(crate) async fn or_later<R>(done: Result<R, StoreError>) -> Option<R> {
    match done {
        Ok(done) => Some(done),
        Err(error) => {
            assert!(error.is_retryable(), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

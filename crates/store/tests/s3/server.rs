//! A running versitygw, which ends with its guard.

use std::{
    collections::HashMap,
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, id},
    sync::atomic::{AtomicU32, Ordering},
};

use agent_runtime_store::{SegmentStore, SegmentStoreBuilder};

const SWITCH: &str = "AGENT_RUNTIME_BACKENDS";
const EXIT_MISSING: i32 = 77;

/// A running server; the drop ends it by its process id.
pub(crate) struct Server {
    state: PathBuf,
    env: HashMap<String, String>,
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
        let state = env::temp_dir().join(format!("agent-runtime-s3-{}-{number}", id()));
        let mut server = Self { state, env: HashMap::new() };
        let output = server.script("up", &["s3"]);
        if output.status.code() == Some(EXIT_MISSING) {
            skip(test, &String::from_utf8_lossy(&output.stderr));
            return None;
        }
        assert!(output.status.success(), "the server did not start:\n{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        server.env = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Some(server)
    }

    /// An archive below a prefix of the bucket.
    pub(crate) fn archive(&self, prefix: &str) -> SegmentStoreBuilder {
        let get = |key: &str| self.env.get(key).unwrap_or_else(|| panic!("`up` says no {key}")).clone();
        SegmentStore::bucket(format!("{}/{prefix}", get("S3_URL")))
            .with_option("aws_endpoint", get("S3_ENDPOINT"))
            .with_option("aws_allow_http", "true")
            .with_option("aws_region", "us-east-1")
            .with_option("aws_access_key_id", get("S3_KEY"))
            .with_option("aws_secret_access_key", get("S3_SECRET"))
    }

    /// The file of an object, as the server keeps it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.state.join("s3/events").join(name)
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

//! A store in Postgres, where one can be started: `AGENT_RUNTIME_BACKENDS=1`.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use agent_runtime_store::PostgresStore;
use tempfile::TempDir;

use crate::support::{block_on, json_lines, program, ran, record_into, report};

/// The exit code of the script where there is no Postgres.
const EXIT_MISSING: i32 = 77;

/// A running server, which ends with it.
struct Server {
    state: TempDir,
    url: String,
}

impl Server {
    fn up() -> Option<Self> {
        if env::var("AGENT_RUNTIME_BACKENDS").as_deref() != Ok("1") {
            return None;
        }
        let mut server = Self { state: TempDir::new().expect("the test is set up"), url: String::new() };
        let output = server.script("up", &["postgres"]);
        if output.status.code() == Some(EXIT_MISSING) {
            return None;
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let url = said.lines().find_map(|line| line.strip_prefix("POSTGRES=")).expect("`up` says where it is");
        server.url = format!("{url}?sslmode=disable");
        Some(server)
    }

    fn script(&self, name: &str, parts: &[&str]) -> Output {
        let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/backends").join(name);
        let output = Command::new(script).arg("--state").arg(self.state.path()).args(parts).output();
        output.expect("the script begins")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.script("down", &[]);
    }
}

#[test]
fn a_store_in_postgres_is_listed_drawn_and_examined_without_its_password() {
    let Some(server) = Server::up() else { return eprintln!("skipped: there is no Postgres here") };
    block_on(async {
        let store = Arc::new(PostgresStore::open(server.url.as_str()).await.unwrap());
        record_into(store, async |runtime| {
            runtime.execute(&report(), "go").await.unwrap();
        })
        .await;
    });
    let run = |arguments: &[&str]| {
        let ran = ran(program().args(arguments).env("AGENT_RUNTIME_STORE", &server.url).output().unwrap());
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
        ran.out
    };
    assert!(json_lines(&run(&["events", "--format", "json"])).len() > 10);
    assert!(run(&["show"]).contains("invoke_workflow report"));
    assert!(run(&["recover"]).contains("nothing was left open"));
    let examined = run(&["doctor"]);
    let repaired = ran(program().args(["doctor", "--repair", "--store", &server.url]).output().unwrap());
    assert!(repaired.code == 2 && repaired.err.contains("by its own means"), "{}", repaired.err);
    assert!(examined.contains("Postgres") && examined.contains("all is well"), "{examined}");
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://user:hunter2@{free}/db?sslmode=disable");
    let refused = ran(program().args(["events", "--store", &url]).output().unwrap());
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains(&format!("where: postgres://user@{free}/db")), "{}", refused.err);
    assert!(!refused.err.contains("hunter2"), "{}", refused.err);
    let misled = "host=db user=me password=hunter2";
    let refused = ran(program().args(["events", "--store", misled]).output().unwrap());
    assert!(refused.code == 2 && !refused.err.contains("hunter2"), "{}", refused.err);
}

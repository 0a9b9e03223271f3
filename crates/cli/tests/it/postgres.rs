//! A store in Postgres, where one can be started: `AGENT_RUNTIME_BACKENDS=1`.

use std::sync::Arc;

use agent_runtime_store::PostgresStore;

use crate::{
    stack::Stack,
    support::{block_on, json_lines, program, ran, record_into, report},
};

#[test]
fn a_store_in_postgres_is_listed_drawn_and_examined_without_its_password() {
    let test = "a_store_in_postgres_is_listed_drawn_and_examined_without_its_password";
    let Some(server) = Stack::up(test, &["postgres"]) else { return };
    let url = format!("{}?sslmode=disable", server.get("POSTGRES"));
    block_on(async {
        let store = Arc::new(PostgresStore::open(url.as_str()).await.unwrap());
        record_into(store, async |runtime| {
            runtime.execute(&report(), "go").await.unwrap();
        })
        .await;
    });
    let run = |arguments: &[&str]| {
        let ran = ran(program().args(arguments).env("AGENT_RUNTIME_STORE", &url).output().unwrap());
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
        ran.out
    };
    assert!(json_lines(&run(&["events", "--format", "json"])).len() > 10);
    assert!(run(&["show"]).contains("invoke_workflow report"));
    assert!(run(&["recover"]).contains("nothing was left open"));
    let examined = run(&["doctor"]);
    let repaired = ran(program().args(["doctor", "--repair", "--store", &url]).output().unwrap());
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

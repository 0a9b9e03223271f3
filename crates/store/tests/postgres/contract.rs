//! It does what every store has to.

use std::sync::Arc;

use agent_runtime::testing::assert_store_contract;
use agent_runtime_store::PostgresStore;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract() {
    let Some(server) = Server::up("postgres_keeps_the_contract") else { return };
    let open = async |number: u32| {
        let builder = PostgresStore::builder(server.url()).with_schema(format!("store_{number}"));
        Arc::new(builder.open().await.expect("the server takes the user"))
    };
    assert_store_contract(open).await;
}

#[tokio::test]
async fn postgres_keeps_it_on_one_thread_and_with_tls_too() {
    let Some(server) = Server::up("postgres_keeps_it_on_one_thread_and_with_tls_too") else { return };
    let open = async |number: u32| {
        let builder = PostgresStore::builder(server.url_with_tls()).with_root_certificates(server.certificate());
        Arc::new(builder.with_schema(format!("store_{number}")).open().await.expect("the server takes the user"))
    };
    assert_store_contract(open).await;
}

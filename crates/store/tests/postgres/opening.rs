//! What is refused, and that no error shows a secret.

use std::time::{Duration, Instant};

use agent_runtime::store::{EventStore as _, StoreError};
use agent_runtime_store::PostgresStore;
use tokio::net::TcpListener;

use crate::server::Server;

const SECRET: &str = "hunter2";

/// All that an error says, with what is behind it.
fn told(error: &StoreError) -> String {
    let mut text = format!("{error:?} {error}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(" {error:?} {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn what_cannot_be_opened_is_a_typed_error_without_the_secret() {
    let strings = [
        format!("postgres://agent:{SECRET}@host:port/db"),
        format!("postgres://agent:a@{SECRET}@host/db"),
        format!("host=127.0.0.1 password=a {SECRET} user=agent"),
        format!("host=127.0.0.1 {SECRET}=a"),
        format!("user=agent password={SECRET}"),
        SECRET.to_owned(),
    ];
    for string in strings {
        let builder = PostgresStore::builder(string);
        assert!(!format!("{builder:?}").contains(SECRET), "{builder:?}");
        let error = builder.open().await.unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
        assert!(!told(&error).contains(SECRET), "{}", told(&error));
    }
    for schema in ["", "Events", "1st", "a\"; DROP SCHEMA public", "pg_events", &"a".repeat(49)] {
        let error = PostgresStore::builder("postgres://host/db").with_schema(schema).open().await.unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
    }
    let error = PostgresStore::builder("postgres://host/db").with_root_certificates("none").open().await.unwrap_err();
    assert!(error.to_string().contains("PEM"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let string = format!("postgres://agent:{SECRET}@{address}/events");
        let began = Instant::now();
        let error = PostgresStore::builder(string).with_timeout(Duration::from_millis(300)).open().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains(&format!("server {}", address.ip())), "{error}");
        assert!(!told(&error).contains(SECRET), "{}", told(&error));
        assert!(began.elapsed() < Duration::from_secs(20), "it hung");
    }
}

#[test]
fn outside_a_runtime_opening_is_an_error_and_no_panic() {
    let opening = PostgresStore::open("postgres://agent@127.0.0.1/events");
    let opened = futures_util::FutureExt::now_or_never(opening);
    assert!(matches!(opened, Some(Err(StoreError::NoRuntime))));
}

#[test]
fn a_runtime_without_a_timer_or_network_is_an_error_and_no_panic() {
    let opening = || PostgresStore::open("postgres://agent@127.0.0.1:1/events?sslmode=disable");
    let (mut bare, mut timed) =
        (tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_current_thread());
    for builder in [&mut bare, timed.enable_time()] {
        let error = builder.build().unwrap().block_on(opening()).unwrap_err();
        assert!(error.to_string().contains("enable_all"), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_store_of_this_version_is_refused_and_left_alone() {
    let Some(server) = Server::up("what_is_no_store_of_this_version_is_refused_and_left_alone") else { return };
    let (admin, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    admin.batch_execute("CREATE SCHEMA theirs; CREATE TABLE theirs.things (id integer)").await.unwrap();
    let sql = "CREATE SCHEMA like_ours; CREATE TABLE like_ours.schema_version (version integer)";
    admin.batch_execute(sql).await.unwrap();
    drop(PostgresStore::builder(server.url()).with_schema("later").open().await.unwrap());
    admin.batch_execute("UPDATE later.schema_version SET version = 1000").await.unwrap();
    admin.batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0").await.unwrap();
    let opened = async |url: String, schema: &str| PostgresStore::builder(url).with_schema(schema).open().await;
    for (schema, says) in
        [("theirs", "another program's"), ("like_ours", "another program's"), ("later", "version 1000")]
    {
        let error = opened(server.url(), schema).await.unwrap_err();
        assert!(matches!(error, StoreError::Incompatible { .. }), "{schema}: {error}");
        assert!(error.to_string().contains(says), "{schema}: {error}");
    }
    let error = opened(server.url().replace("/postgres?", "/latin?"), "events").await.unwrap_err();
    assert!(error.to_string().contains("LATIN1"), "{error}");
    let count =
        "SELECT count(*) FROM pg_class WHERE relnamespace IN ('theirs'::regnamespace, 'like_ours'::regnamespace)";
    assert_eq!(admin.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 2, "nothing was made there");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let Some(server) = Server::up("who_is_not_let_in_is_told_why") else { return };
    let wrong = server.url().replace("of-the-tests", SECRET);
    let error = PostgresStore::open(wrong).await.unwrap_err();
    assert!(error.to_string().contains("does not take the user and password"), "{error}");
    assert!(!told(&error).contains(SECRET), "{}", told(&error));
    let elsewhere = server.url().replace("/postgres?", "/nowhere?");
    let error = PostgresStore::open(elsewhere).await.unwrap_err();
    assert!(error.to_string().contains("createdb"), "{error}");
    // A certificate that nobody vouches for is not taken, and no connection without TLS is tried instead.
    let error = PostgresStore::open(server.url_with_tls()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    let store = PostgresStore::builder(server.url_with_tls()).with_root_certificates(server.certificate());
    let store = store.open().await.unwrap();
    assert_eq!(store.latest().await.unwrap(), None);
    assert!(!format!("{store:?}").contains("of-the-tests"), "{store:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_make_the_tables_at_once() {
    let Some(server) = Server::up("many_may_make_the_tables_at_once") else { return };
    let opened = (0..8).map(|_| tokio::spawn(PostgresStore::open(server.url())));
    for opened in futures_util::future::join_all(opened).await {
        opened.unwrap().unwrap();
    }
}

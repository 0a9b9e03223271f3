//! Where the server is, and how a session with it begins.

use std::{fmt, future::poll_fn, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use agent_runtime::store::StoreError;
use futures_util::FutureExt as _;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    sync::{Notify, watch},
    time::{error::Elapsed, timeout},
};
use tokio_postgres::{
    AsyncMessage, Client, Config,
    config::{Host, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::Failure;

/// How long a connection is idle before the two ends ask each other whether they are there, in seconds.
const KEEPALIVE_SECONDS: u64 = 10;

/// How long an answer to that may take, in seconds, and how often it is asked.
const KEEPALIVE_INTERVAL_SECONDS: u64 = 5;
const KEEPALIVE_RETRIES: u32 = 3;

/// Begins sessions.
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    schema: String,
    timeout: Duration,
    place: String,
}

/// Who wants to know of a session.
#[derive(Clone, Debug)]
pub(super) struct Wakers {
    /// Counts what is heard of what was stored, and the ends of sessions that listen.
    pub(super) heard: watch::Sender<u64>,
    /// The session has ended.
    pub(super) ended: Arc<Notify>,
}

impl Connector {
    /// Reads a connection string.
    pub(super) fn new(text: &str, schema: String, limit: Duration, roots: &[Vec<u8>]) -> Result<Self, StoreError> {
        let unreadable = || {
            StoreError::misconfigured(
                "the connection string of Postgres cannot be read; write `postgres://user:password@host:5432/database`, \
                 with characters such as @ and / in the password percent-encoded",
            )
        };
        // What the parser says may quote a piece of the text, and that of the password.
        let mut config: Config = text.parse().map_err(|_| unreadable())?;
        // A password with a plain @ leaves its end in the name of the host.
        if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@'))) {
            return Err(unreadable());
        }
        if config.get_hosts().is_empty() {
            return Err(StoreError::misconfigured("the connection string of Postgres names no host"));
        }
        is_plain(&schema)?;
        config.connect_timeout(limit).tcp_user_timeout(limit).keepalives_retries(KEEPALIVE_RETRIES);
        config.keepalives_idle(Duration::from_secs(KEEPALIVE_SECONDS));
        config.keepalives_interval(Duration::from_secs(KEEPALIVE_INTERVAL_SECONDS));
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            // The locks by which owners are known are on the server that is written to.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_application_name().is_none() {
            config.application_name("agent-runtime");
        }
        let tls = tls(config.get_ssl_mode() != SslMode::Disable, roots)?;
        let place = place(&config, &schema);
        Ok(Self { config, tls, schema, timeout: limit, place })
    }

    /// Begins a session, by saying something to the server first.
    pub(super) async fn connect(&self, wakers: &Wakers, greeting: &str) -> Result<Client, StoreError> {
        // Tokio panics where a runtime was built without one of these, and does not say beforehand that it will.
        let begun = AssertUnwindSafe(async { timeout(self.timeout, self.begin(wakers, greeting)).await });
        let begun = begun.catch_unwind().await.map_err(|_| {
            StoreError::misconfigured("this Tokio runtime has no timer or no network; build it with `enable_all()`")
        })?;
        self.settle("connecting to Postgres", begun)
    }

    async fn begin(&self, wakers: &Wakers, greeting: &str) -> Result<Client, Failure> {
        let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
        let Wakers { heard, ended } = wakers.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(_) = message {
                    heard.send_modify(|heard| *heard += 1);
                }
            }
            // Whoever waits to hear something has to look for another session.
            heard.send_modify(|heard| *heard += 1);
            ended.notify_one();
        });
        client.batch_execute(&format!("{}; {greeting}", self.settings())).await?;
        Ok(client)
    }

    /// What each session is set to: none waits for ever, and none that stands still keeps the others waiting.
    fn settings(&self) -> String {
        let limit = self.timeout.as_millis().clamp(1, i32::MAX as u128);
        format!(
            "SET search_path TO \"{}\"; SET statement_timeout = {limit}; SET lock_timeout = {limit}; \
             SET idle_in_transaction_session_timeout = {limit}; SET tcp_keepalives_idle = {KEEPALIVE_SECONDS}; \
             SET tcp_keepalives_interval = {KEEPALIVE_INTERVAL_SECONDS}; SET tcp_keepalives_count = {KEEPALIVE_RETRIES}; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            self.schema
        )
    }

    /// How something has ended that was not waited for longer than the limit.
    pub(super) fn settle<R>(&self, doing: &str, done: Result<Result<R, Failure>, Elapsed>) -> Result<R, StoreError> {
        let Self { place, timeout, .. } = self;
        match done {
            Ok(done) => done.map_err(|failure| failure.met(doing, place)),
            Err(elapsed) => Err(StoreError::unavailable(
                format!("{doing} ({place}) took longer than {timeout:?}; look at the server and the network between"),
                elapsed,
            )),
        }
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The server, database and schema, for people to read.
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

/// Whether the name of a schema needs no quotes and leaves room for names made of it.
fn is_plain(schema: &str) -> Result<(), StoreError> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let is_plain = schema.len() <= 48
        && schema.bytes().next().is_some_and(is_letter)
        && schema.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
        && !schema.starts_with("pg_");
    is_plain.then_some(()).ok_or_else(|| {
        StoreError::misconfigured(format!(
            "{schema:?} cannot name the schema of a store: expected up to 48 of a-z, 0-9 and _, not 0-9 or pg_ first"
        ))
    })
}

fn tls(is_wanted: bool, own: &[Vec<u8>]) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    for pem in own {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(StoreError::misconfigured(
                "there is no certificate in what was to be trusted; write it as PEM",
            ));
        }
    }
    if is_wanted {
        // Those that cannot be read are left out: a server that needs one is refused then.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::misconfigured(format!("TLS cannot be set up: {error}")))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn place(config: &Config, schema: &str) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    };
    let hosts: Vec<_> = config.get_hosts().iter().map(host).collect();
    let ports: Vec<_> = config.get_ports().iter().map(u16::to_string).collect();
    let database = config.get_dbname().unwrap_or("of the user's name");
    let ports = if ports.is_empty() { "5432".to_owned() } else { ports.join(",") };
    format!("server {}:{ports}, database {database}, schema {schema}", hosts.join(","))
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("place", &self.place).finish_non_exhaustive()
    }
}

//! The store as its user holds it.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use agent_runtime::{
    store::{Batch, Cursor, EpochRecord, EventStore, Gap, Page, Position, Query, Retention, StoreError, Trimmed},
    stream::Epoch,
};
use async_trait::async_trait;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{
    append,
    connector::{Connector, Wakers},
    epochs::{self, Owner},
    follow, read, schema,
    session::Link,
    trim,
};

/// How long a handle waits before it tries again to come back to a server.
const PAUSE: Duration = Duration::from_millis(200);

/// Events in a database of Postgres, which processes on any number of machines may share.
///
/// All of one store are in one schema of the database, which is made if it is not there. A handle has two sessions: one
/// writes, the other reads and hears of what is stored, so that a follower is woken at once. Both are made again when they
/// have ended; calls meanwhile are [`StoreError::Unavailable`], but for [`changed`](EventStore::changed), which waits for the
/// server to come back for as long as the [timeout](PostgresStoreBuilder::with_timeout). An event is acknowledged when its
/// transaction is in the server's log on disk; a session that has `synchronous_commit = off` by default is set to `on`.
///
/// A clone is the same handle. The owner of an epoch is alive for as long as its handle is, by an advisory lock of its
/// session, which the server lets go of when the session ends: so a dead process is known at once, by no clock. (A machine
/// that is gone without a word is known by TCP within half a minute.) When the server itself starts again, owners come back
/// by themselves within a moment; one whose epoch was adopted before is refused from then on. Behind a pooler, sessions have
/// to be pooled, not transactions.
///
/// TLS is used as `sslmode` of the connection string says, `prefer` by default. A certificate is always checked, against the
/// system's and those of [`with_root_certificates`](PostgresStoreBuilder::with_root_certificates).
///
/// ```no_run
/// # async fn open() -> Result<(), agent_runtime::store::StoreError> {
/// use agent_runtime_store::PostgresStore;
///
/// let store = PostgresStore::open("postgres://agent:secret@db.example:5432/events?sslmode=require").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

/// How a [`PostgresStore`] is opened.
#[derive(Clone)]
#[must_use]
pub struct PostgresStoreBuilder {
    connection: String,
    schema: String,
    timeout: Duration,
    roots: Vec<Vec<u8>>,
}

struct Inner {
    connector: Arc<Connector>,
    owner: Owner,
    writer: Link,
    reader: Link,
    heard: watch::Sender<u64>,
}

impl PostgresStore {
    /// The schema that the tables are in by default.
    pub const DEFAULT_SCHEMA: &str = "agent_runtime";

    /// How long a call may take by default.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

    /// Opens a store, and makes it if there is none, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`PostgresStoreBuilder::open`].
    pub async fn open(connection: impl Into<String>) -> Result<Self, StoreError> {
        Self::builder(connection).open().await
    }

    /// Sets up how a store is opened, by a connection string: `postgres://user:password@host:5432/database`, or
    /// `host=… user=… dbname=…`. It is shown nowhere.
    pub fn builder(connection: impl Into<String>) -> PostgresStoreBuilder {
        PostgresStoreBuilder {
            connection: connection.into(),
            schema: Self::DEFAULT_SCHEMA.to_owned(),
            timeout: Self::DEFAULT_TIMEOUT,
            roots: Vec::new(),
        }
    }

    fn limit(&self) -> Duration {
        self.inner.connector.timeout()
    }
}

impl PostgresStoreBuilder {
    /// Sets the schema that the tables are in, one for each store of a database. By default,
    /// [`DEFAULT_SCHEMA`](PostgresStore::DEFAULT_SCHEMA).
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets how long connecting and each call may take. By default,
    /// [`DEFAULT_TIMEOUT`](PostgresStore::DEFAULT_TIMEOUT).
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts certificates beside the system's, as PEM: of an authority of one's own, or the server's own one.
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Opens the store, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Misconfigured`] if the connection string, the schema's name or a certificate cannot be used, or the
    ///   runtime has no timer or no network.
    /// - [`StoreError::Unavailable`] if the server cannot be reached or does not let us in.
    /// - [`StoreError::Incompatible`] if the schema is another program's or of a later version, or the database does not hold
    ///   Unicode.
    /// - [`StoreError::NoRuntime`] outside a Tokio runtime.
    pub async fn open(self) -> Result<PostgresStore, StoreError> {
        let Self { connection, schema, timeout: limit, roots } = self;
        let connector = Arc::new(Connector::new(&connection, schema, limit, &roots)?);
        let (heard, ended) = (watch::Sender::new(0), Arc::new(Notify::new()));
        let owner = Owner::new();
        let wakers = |ended| Wakers { heard: heard.clone(), ended };
        let writer = Link::new(Arc::clone(&connector), wakers(Arc::clone(&ended)), owner.greeting());
        let listen = format!("LISTEN \"{}\"", connector.schema());
        let reader = Link::new(Arc::clone(&connector), wakers(Arc::default()), listen);
        let mut session = writer.session().await?;
        let done = timeout(limit, schema::migrate(session.client(), connector.schema())).await;
        session.settle("making the tables of the store", done)?;
        let inner = Arc::new(Inner { connector, owner, writer, reader, heard });
        tokio::spawn(come_back(Arc::downgrade(&inner), ended));
        Ok(PostgresStore { inner })
    }
}

/// Makes the session that shows that a handle is alive again whenever it has ended, for as long as there is the handle.
async fn come_back(inner: Weak<Inner>, ended: Arc<Notify>) {
    loop {
        ended.notified().await;
        loop {
            let Some(inner) = inner.upgrade() else { return };
            if inner.writer.session().await.is_ok() {
                break;
            }
            drop(inner);
            sleep(PAUSE).await;
        }
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn open_epoch(&self, epoch: Epoch) -> Result<u64, StoreError> {
        let mut session = self.inner.writer.session().await?;
        let done = timeout(self.limit(), epochs::open(session.client(), epoch, self.inner.owner)).await;
        session.settle("opening an epoch", done)
    }

    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut session = self.inner.writer.session().await?;
        let Inner { owner, connector, .. } = &*self.inner;
        let done = timeout(self.limit(), append::append(session.client(), batch, *owner, connector.schema())).await;
        session.settle("appending to the store", done)
    }

    async fn close_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        let mut session = self.inner.writer.session().await?;
        let done = timeout(self.limit(), epochs::close(session.client(), epoch, self.inner.owner)).await;
        session.settle("closing an epoch", done)
    }

    async fn adopt_epoch(&self, epoch: Epoch) -> Result<bool, StoreError> {
        let mut session = self.inner.writer.session().await?;
        let done = timeout(self.limit(), epochs::adopt(session.client(), epoch, self.inner.owner)).await;
        session.settle("adopting an epoch", done)
    }

    async fn read(&self, from: Cursor, query: &Query, limit: usize) -> Result<Page, StoreError> {
        let mut session = self.inner.reader.session().await?;
        let done = timeout(self.limit(), read::read(session.client(), from, query, limit)).await;
        session.settle("reading the store", done)
    }

    async fn latest(&self) -> Result<Option<Position>, StoreError> {
        let mut session = self.inner.reader.session().await?;
        let done = timeout(self.limit(), read::latest(session.client())).await;
        session.settle("reading the store", done)
    }

    async fn changed(&self, since: Cursor) -> Result<(), StoreError> {
        follow::changed(&self.inner.reader, self.inner.heard.subscribe(), since, self.limit()).await
    }

    async fn epochs(&self) -> Result<Vec<EpochRecord>, StoreError> {
        let mut session = self.inner.reader.session().await?;
        let done = timeout(self.limit(), epochs::list(session.client())).await;
        session.settle("reading the epochs of the store", done)
    }

    async fn gaps(&self, epoch: Epoch) -> Result<Vec<Gap>, StoreError> {
        let mut session = self.inner.reader.session().await?;
        let done = timeout(self.limit(), epochs::gaps(session.client(), epoch)).await;
        session.settle("reading the gaps of an epoch", done)
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, StoreError> {
        let mut trimmed = 0;
        loop {
            let mut session = self.inner.writer.session().await?;
            let done = timeout(self.limit(), trim::some(session.client(), retention)).await;
            match session.settle("removing old events from the store", done)?.events {
                0 => return Ok(Trimmed::new(trimmed)),
                some => trimmed += some,
            }
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("place", &self.inner.connector.place()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection: _, schema, timeout, roots } = self;
        f.debug_struct("PostgresStoreBuilder")
            .field("schema", schema)
            .field("timeout", timeout)
            .field("root_certificates", &roots.len())
            .finish_non_exhaustive()
    }
}

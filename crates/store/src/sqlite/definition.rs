//! The store as its user holds it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_runtime::{
    store::{Batch, Cursor, EpochRecord, EventStore, Gap, Page, Position, Query, Retention, StoreError, Trimmed},
    stream::Epoch,
};
use async_trait::async_trait;
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    append,
    durability::Durability,
    epochs, files, follow,
    owner::{Owner, Owners},
    read,
    repair::{self, Repaired},
    schema, trim,
    verify::{self, Verified},
    worker::Worker,
};

/// Events in a file of SQLite's, which any number of processes on one machine may share.
///
/// The file, and what SQLite writes beside it, can be read by their owner alone. Every event has a checksum: one that is not
/// as it was written is an error that says so, never another event. All work is done on two threads of the handle's own, one
/// that writes and one that reads, so no task waits for the disk. A follower sees what another process stores within
/// [`POLL_INTERVAL`](Self::POLL_INTERVAL).
///
/// A clone is the same handle. The owner of an epoch is alive for as long as its handle is, by the lock of a file in the folder
/// `…-owners`, which the system lets go of when a process ends: so a dead one is known at once, by no clock.
///
/// Not for network file systems, where neither SQLite nor these locks work.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

/// How a [`SqliteStore`] is opened.
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteStoreBuilder {
    path: PathBuf,
    durability: Durability,
}

struct Inner {
    path: PathBuf,
    writer: Worker,
    reader: Worker,
    owner: Arc<Owner>,
    owners: Owners,
    /// Counts what this handle has stored, to wake those who follow it.
    stored: watch::Sender<u64>,
}

impl SqliteStore {
    /// How often a follower looks for what another process has stored.
    pub const POLL_INTERVAL: std::time::Duration = follow::POLL_INTERVAL;

    /// The version of the schema that an open store has, and the highest that this one opens.
    pub const SCHEMA_VERSION: usize = schema::VERSION;

    /// Opens a store, and makes it if there is none, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`SqliteStoreBuilder::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder(path).open().await
    }

    /// Sets up how a store is opened.
    pub fn builder(path: impl AsRef<Path>) -> SqliteStoreBuilder {
        SqliteStoreBuilder { path: path.as_ref().to_owned(), durability: Durability::default() }
    }

    /// Reads everything and says what of it is damaged; it takes as long as reading the file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; damage is what it returns.
    pub async fn verify(&self) -> Result<Verified, StoreError> {
        self.inner.reader.call(verify::verify).await
    }

    /// Puts a store in the place of a damaged one that has all events that can still be read, and names the offsets that are
    /// lost as gaps. The damaged file is kept beside it under the name that is returned.
    ///
    /// No process may have the store open.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Unavailable`] if a file cannot be written, or a process has the store open.
    /// - [`StoreError::Incompatible`] if it is no store of ours.
    pub async fn repair(path: impl AsRef<Path>) -> Result<Repaired, StoreError> {
        let path = path.as_ref().to_owned();
        blocking(move || repair::repair(&path)).await
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    fn owner(&self) -> uuid::Uuid {
        self.inner.owner.id()
    }
}

impl SqliteStoreBuilder {
    /// Sets what an acknowledgment is worth. By default, [`Durability::Process`].
    pub const fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Opens the store, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Unavailable`] if the file cannot be made or opened.
    /// - [`StoreError::Incompatible`] if it is another program's, or of a later version.
    /// - [`StoreError::Damaged`] if it is no whole database.
    /// - [`StoreError::NoRuntime`] outside a Tokio runtime.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        blocking(move || {
            let Self { path, durability } = self;
            let failed = |error: io::Error| StoreError::unavailable(format!("opening {}", path.display()), error);
            files::prepare(&path).map_err(failed)?;
            let writer = schema::open_writer(&path, durability)?;
            let reader = schema::open_reader(&path)?;
            let owners = Owners::of(&path);
            let owner = Arc::new(owners.begin().map_err(failed)?);
            let writer = Worker::begin("events-writer", writer).map_err(failed)?;
            let reader = Worker::begin("events-reader", reader).map_err(failed)?;
            let inner = Inner { path, writer, reader, owner, owners, stored: watch::Sender::new(0) };
            Ok(SqliteStore { inner: Arc::new(inner) })
        })
        .await
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn open_epoch(&self, epoch: Epoch) -> Result<u64, StoreError> {
        let owner = self.owner();
        self.inner.writer.call(move |connection| epochs::open(connection, epoch, owner)).await
    }

    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        let (owner, batch) = (self.owner(), batch.clone());
        self.inner.writer.call(move |connection| append::append(connection, &batch, owner)).await?;
        self.inner.stored.send_modify(|stored| *stored += 1);
        Ok(())
    }

    async fn close_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        let owner = self.owner();
        self.inner.writer.call(move |connection| epochs::close(connection, epoch, owner)).await
    }

    async fn adopt_epoch(&self, epoch: Epoch) -> Result<bool, StoreError> {
        let (owner, owners) = (self.owner(), self.inner.owners.clone());
        self.inner.writer.call(move |connection| epochs::adopt(connection, epoch, owner, &owners)).await
    }

    async fn read(&self, from: Cursor, query: &Query, limit: usize) -> Result<Page, StoreError> {
        let query = query.clone();
        self.inner.reader.call(move |connection| read::read(connection, from, &query, limit)).await
    }

    async fn latest(&self) -> Result<Option<Position>, StoreError> {
        self.inner.reader.call(read::latest).await
    }

    async fn changed(&self, since: Cursor) -> Result<(), StoreError> {
        follow::changed(&self.inner.reader, self.inner.stored.subscribe(), since).await
    }

    async fn epochs(&self) -> Result<Vec<EpochRecord>, StoreError> {
        let owners = self.inner.owners.clone();
        self.inner.reader.call(move |connection| epochs::list(connection, &owners)).await
    }

    async fn gaps(&self, epoch: Epoch) -> Result<Vec<Gap>, StoreError> {
        self.inner.reader.call(move |connection| epochs::gaps(connection, epoch)).await
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, StoreError> {
        let retention = *retention;
        self.inner.writer.call(move |connection| trim::trim(connection, &retention)).await
    }
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, StoreError> + Send + 'static,
) -> Result<R, StoreError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(StoreError::NoRuntime);
    }
    spawn_blocking(work).await.map_err(|error| StoreError::unavailable("the work of the store was stopped", error))?
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

//! The archive as its user holds it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent_runtime::{
    store::{Batch, Cursor, EpochRecord, EventStore, Gap, Page, Position, Query, Retention, StoreError, Trimmed},
    stream::Epoch,
};
use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    sync::{Mutex, watch},
    time::timeout,
};

use super::{
    append, epochs,
    lease::Owner,
    log::{Cache, Log, blocking},
    objects::{Created, Objects},
    read,
    repair::{self, RepairedSegments},
    trim,
    verify::{self, VerifiedSegments},
};

/// What every store has one of, so that it is known whether conditional puts are.
const MARK: (&str, &[u8]) = ("format", b"agent-runtime events, format 1\n");

/// Events in immutable compressed objects, in a folder or, with the feature `s3`, in a bucket of S3 or of a server that
/// speaks its protocol. Any number of processes may write and read one.
///
/// Each batch is an object: JSON lines in zstd, which `zstdcat … | jq` reads, with zstd's checksum. So it is made for batches,
/// as a [`Recorder`](agent_runtime::store::Recorder) makes them, and objects are as many and as small as batches are: let it
/// linger for some seconds. Objects are never merged. An append is acknowledged when its object is put, on a disk with `fsync`.
///
/// A clone is the same handle. An owner of another process is alive for as long as it renews a lease, by the clock of the
/// server or of the file system alone; whoever is taken for dead wrongly, since it stood still for longer, loses nothing but
/// its epoch: it is refused when it writes again. Handles of one process know of each other without a lease.
///
/// A folder can be read by its owner alone. It has to be on a file system with hard links.
#[derive(Clone)]
pub struct SegmentStore {
    inner: Arc<Inner>,
}

/// How a [`SegmentStore`] is opened.
#[derive(Clone)]
#[must_use]
pub struct SegmentStoreBuilder {
    place: Place,
    lease: Duration,
    poll_interval: Duration,
}

#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    #[cfg(feature = "s3")]
    Bucket {
        url: String,
        options: Vec<(String, String)>,
    },
}

struct Inner {
    log: Mutex<Log>,
    cache: Cache,
    objects: Objects,
    owner: Owner,
    poll_interval: Duration,
    /// Counts what this handle has stored, to wake those who follow it.
    stored: watch::Sender<u64>,
}

impl SegmentStore {
    /// How long an owner is taken for alive by default after it has renewed its lease last.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

    /// How often a follower looks by default for what another handle has stored; each look is two requests.
    pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(500);

    /// Opens an archive in a folder, and makes it if there is none, with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// Those of [`SegmentStoreBuilder::open`].
    pub async fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder(folder).open().await
    }

    /// Sets up how an archive in a folder is opened.
    pub fn builder(folder: impl AsRef<Path>) -> SegmentStoreBuilder {
        SegmentStoreBuilder::new(Place::Folder(folder.as_ref().to_owned()))
    }

    /// Sets up how an archive in a bucket is opened: `s3://bucket/prefix`. Nothing is read from the environment.
    #[cfg(feature = "s3")]
    pub fn bucket(url: impl Into<String>) -> SegmentStoreBuilder {
        SegmentStoreBuilder::new(Place::Bucket { url: url.into(), options: Vec::new() })
    }

    /// Reads everything and says what of it is damaged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; damage is what it returns.
    pub async fn verify(&self) -> Result<VerifiedSegments, StoreError> {
        verify::verify(&self.inner.objects).await
    }

    fn owner(&self) -> uuid::Uuid {
        self.inner.owner.id()
    }
}

impl SegmentStoreBuilder {
    const fn new(place: Place) -> Self {
        Self { place, lease: SegmentStore::DEFAULT_LEASE, poll_interval: SegmentStore::DEFAULT_POLL_INTERVAL }
    }

    /// Sets how long an owner is taken for alive after it has renewed its lease last; the same for all processes, and several
    /// seconds at the least, as servers stamp objects by the second. By default, [`SegmentStore::DEFAULT_LEASE`].
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how often a follower looks for what another handle has stored. By default,
    /// [`SegmentStore::DEFAULT_POLL_INTERVAL`].
    pub const fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets an option of the bucket by the name that the crate `object_store` has for it: `aws_region`,
    /// `aws_access_key_id`, `aws_secret_access_key`, `aws_endpoint`, `aws_allow_http` and so on. A folder has none.
    #[cfg(feature = "s3")]
    pub fn with_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Place::Bucket { options, .. } = &mut self.place {
            options.push((name.into(), value.into()));
        }
        self
    }

    /// Opens the archive, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Unavailable`] if the folder or the bucket cannot be reached.
    /// - [`StoreError::Incompatible`] if an option is unknown, if it was written by a later version, or if the server does not
    ///   refuse to put an object that is there.
    /// - [`StoreError::Damaged`] if the header of a segment cannot be read or a segment is missing: then
    ///   [`repair`](Self::repair).
    /// - [`StoreError::NoRuntime`] outside a Tokio runtime.
    pub async fn open(self) -> Result<SegmentStore, StoreError> {
        let objects = self.objects().await?;
        // The first finds none or ours; the second finds one for certain, and a server that puts it all the same would lose
        // what another process has written.
        for attempt in 0..2 {
            match objects.create(MARK.0, MARK.1.to_vec()).await? {
                Created::Taken => break,
                Created::Put(_) if attempt == 0 => {}
                Created::Put(_) => {
                    return Err(StoreError::incompatible(
                        "the server puts an object though there is one, so it knows no If-None-Match; use another one",
                    ));
                }
            }
        }
        match objects.get(MARK.0).await? {
            Some((mark, _)) if mark == MARK.1 => {}
            _ => return Err(super::format::damaged("the object `format` is not as it was written")),
        }
        let owner = Owner::new(objects.clone(), self.lease);
        let log = Mutex::new(Log::open(objects.clone()).await?);
        let stored = watch::Sender::new(0);
        let cache = Cache::default();
        let inner = Inner { log, cache, objects, owner, poll_interval: self.poll_interval, stored };
        Ok(SegmentStore { inner: Arc::new(inner) })
    }

    /// Reads everything and says what of it is damaged, also of an archive that does not open.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] and [`StoreError::NoRuntime`]; damage is what it returns.
    pub async fn verify(self) -> Result<VerifiedSegments, StoreError> {
        verify::verify(&self.objects().await?).await
    }

    /// Puts in the place of each damaged or missing segment one that has what can still be read, and names the offsets that
    /// are lost as gaps. What was damaged is kept in the folder `damaged`.
    ///
    /// No process may have the archive open.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Unavailable`] if something cannot be read or written, or the lease of an owner lasts.
    /// - [`StoreError::Incompatible`] if there is no archive, or one of a later version.
    pub async fn repair(self) -> Result<RepairedSegments, StoreError> {
        let objects = self.objects().await?;
        let owner = Owner::new(objects.clone(), self.lease);
        let repaired = repair::repair(&objects, &owner).await?;
        objects.replace(MARK.0, MARK.1.to_vec()).await?;
        Ok(repaired)
    }

    async fn objects(&self) -> Result<Objects, StoreError> {
        if Handle::try_current().is_err() {
            return Err(StoreError::NoRuntime);
        }
        let place = self.place.clone();
        blocking(move || place.objects()).await
    }
}

impl Place {
    fn objects(&self) -> Result<Objects, StoreError> {
        match self {
            Self::Folder(folder) => Objects::in_folder(folder),
            #[cfg(feature = "s3")]
            Self::Bucket { url, options } => {
                let wrong = |error: object_store::Error| {
                    StoreError::incompatible(format!("the bucket {url} cannot be used as it is set up: {error}"))
                };
                let mut builder = object_store::aws::AmazonS3Builder::new().with_url(url);
                for (name, value) in options {
                    let key = name.to_ascii_lowercase().parse().map_err(wrong)?;
                    builder = builder.with_config(key, value);
                }
                let prefix = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
                Ok(Objects::in_bucket(builder.build().map_err(wrong)?, prefix.map_or("", |(_, prefix)| prefix)))
            }
        }
    }
}

#[async_trait]
impl EventStore for SegmentStore {
    async fn open_epoch(&self, epoch: Epoch) -> Result<u64, StoreError> {
        epochs::open(&mut *self.inner.log.lock().await, epoch, &self.inner.owner).await
    }

    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        let Inner { log, cache, objects, stored, .. } = &*self.inner;
        append::append(&mut *log.lock().await, cache, objects, batch, self.owner()).await?;
        stored.send_modify(|stored| *stored += 1);
        Ok(())
    }

    async fn close_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        epochs::close(&mut *self.inner.log.lock().await, epoch, &self.inner.owner).await
    }

    async fn adopt_epoch(&self, epoch: Epoch) -> Result<bool, StoreError> {
        epochs::adopt(&mut *self.inner.log.lock().await, epoch, &self.inner.owner).await
    }

    async fn read(&self, from: Cursor, query: &Query, limit: usize) -> Result<Page, StoreError> {
        let Inner { log, cache, objects, .. } = &*self.inner;
        read::read(log, cache, objects, from, query, limit).await
    }

    async fn latest(&self) -> Result<Option<Position>, StoreError> {
        let mut log = self.inner.log.lock().await;
        log.sync().await?;
        Ok(log.index.latest())
    }

    async fn changed(&self, since: Cursor) -> Result<(), StoreError> {
        // What this handle stores after the look is not slept through: the receiver is made before.
        let mut stored = self.inner.stored.subscribe();
        loop {
            let mut log = self.inner.log.lock().await;
            log.sync().await?;
            if read::has_more(&log, since)? {
                return Ok(());
            }
            drop(log);
            timeout(self.inner.poll_interval, stored.changed()).await.ok();
        }
    }

    async fn epochs(&self) -> Result<Vec<EpochRecord>, StoreError> {
        let mut log = self.inner.log.lock().await;
        log.sync().await?;
        let lives = log.index.lives.clone();
        drop(log);
        epochs::list(&lives, &self.inner.owner).await
    }

    async fn gaps(&self, epoch: Epoch) -> Result<Vec<Gap>, StoreError> {
        let mut log = self.inner.log.lock().await;
        log.sync().await?;
        epochs::gaps(&log, epoch)
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, StoreError> {
        let Inner { log, cache, objects, .. } = &*self.inner;
        trim::trim(&mut *log.lock().await, cache, objects, retention).await
    }
}

impl fmt::Debug for SegmentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentStore").field("objects", &self.inner.objects).finish_non_exhaustive()
    }
}

impl fmt::Debug for SegmentStoreBuilder {
    /// Without options, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Folder(folder) => folder.display().to_string(),
            #[cfg(feature = "s3")]
            Place::Bucket { url, .. } => url.clone(),
        };
        let Self { lease, poll_interval, .. } = self;
        f.debug_struct("SegmentStoreBuilder")
            .field("place", &place)
            .field("lease", lease)
            .field("poll_interval", poll_interval)
            .finish()
    }
}

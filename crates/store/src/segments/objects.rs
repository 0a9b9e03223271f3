//! The objects of a store, in a folder or in a bucket.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use agent_runtime::store::StoreError;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, local::LocalFileSystem, path::Path,
};
use tokio::task::spawn_blocking;

/// The folders of a store.
pub(super) const FOLDERS: [&str; 4] = ["log", "checkpoint", "owners", "damaged"];

/// What an object is known by, whoever put it.
pub(super) type Tag = Option<String>;

/// Where the objects are.
#[derive(Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    folder: Option<PathBuf>,
}

/// What a conditional put came to.
pub(super) enum Created {
    Put(Tag),
    /// There is one of that name.
    Taken,
}

impl Objects {
    /// Those in a folder, which is made if there is none. It can be read by its owner alone.
    pub(super) fn in_folder(folder: &FilePath) -> Result<Self, StoreError> {
        let failed = |error| StoreError::unavailable(format!("opening the folder {}", folder.display()), error);
        make_private(folder).map_err(failed)?;
        FOLDERS.iter().try_for_each(|name| make_private(&folder.join(name))).map_err(failed)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(io::Error::other(error)))?;
        Ok(Self { store: Arc::new(store), prefix: Path::default(), folder: Some(folder.to_owned()) })
    }

    /// Those below a prefix in a bucket.
    #[cfg(feature = "s3")]
    pub(super) fn in_bucket(store: object_store::aws::AmazonS3, prefix: &str) -> Self {
        Self { store: Arc::new(store), prefix: Path::from(prefix), folder: None }
    }

    /// Puts an object if there is none of its name.
    pub(super) async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Created, StoreError> {
        match self.put(name, bytes, PutMode::Create).await {
            Ok(tag) => Ok(Created::Put(tag)),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Created::Taken),
            Err(error) => Err(failed("putting", name, error)),
        }
    }

    /// Puts an object in the place of the one that has its name.
    pub(super) async fn replace(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.put(name, bytes, PutMode::Overwrite).await.map(drop).map_err(|error| failed("putting", name, error))
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> Result<Tag, Error> {
        let options = PutOptions { mode, ..PutOptions::default() };
        let path = self.path_of(name);
        let put = self.store.put_opts(&path, bytes.into(), options).await?;
        if let Some(folder) = &self.folder {
            let file = folder.join(name);
            // What is acknowledged is on the disk, with its name.
            let synced = spawn_blocking(move || sync(&file)).await.map_err(|source| Error::JoinError { source })?;
            synced.map_err(|error| Error::Generic { store: "folder", source: error.into() })?;
        }
        Ok(put.e_tag)
    }

    /// An object's bytes; `None` if there is none.
    pub(super) async fn get(&self, name: &str) -> Result<Option<(Vec<u8>, Tag)>, StoreError> {
        let read = async {
            let found = self.store.get(&self.path_of(name)).await?;
            let tag = found.meta.e_tag.clone();
            Ok::<_, Error>((found.bytes().await?.to_vec(), tag))
        };
        match read.await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("getting", name, error)),
        }
    }

    /// What is known of an object; `None` if there is none.
    pub(super) async fn head(&self, name: &str) -> Result<Option<(Tag, DateTime<Utc>)>, StoreError> {
        match self.store.head(&self.path_of(name)).await {
            Ok(ObjectMeta { e_tag, last_modified, .. }) => Ok(Some((e_tag, last_modified))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("looking at", name, error)),
        }
    }

    /// The names in a folder, sorted.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let found = self.store.list(Some(&self.path_of(folder)));
        let names = found.map_ok(|meta| meta.location.filename().unwrap_or_default().to_owned());
        let mut names: Vec<String> = names.try_collect().await.map_err(|error| failed("listing", folder, error))?;
        names.sort_unstable();
        Ok(names)
    }

    /// The numbers of a folder's objects, lowest first; what has another name is not ours.
    pub(super) async fn numbers(&self, folder: &str) -> Result<Vec<u64>, StoreError> {
        let number = |name: &String| {
            let digits = name.strip_suffix(".jsonl.zst")?;
            (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
        };
        Ok(self.list(folder).await?.iter().filter_map(number).collect())
    }

    /// Deletes an object, if there is one.
    pub(super) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.path_of(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("deleting", name, error)),
        }
    }

    fn path_of(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

fn failed(doing: &str, name: &str, error: Error) -> StoreError {
    let look = "look at the address, the rights and the disk or the server";
    StoreError::unavailable(format!("{doing} {name}: {look}"), error)
}

/// Makes a folder that only its owner may look into; one that is there is taken from others.
fn make_private(folder: &FilePath) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    restrict(folder, 0o700)
}

fn sync(path: &FilePath) -> io::Result<()> {
    restrict(path, 0o600)?;
    File::open(path)?.sync_all()?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn restrict(path: &FilePath, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_: &FilePath, _: u32) -> io::Result<()> {
    // A file has the rights of its folder there, which is the user's own by default.
    Ok(())
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("store", &self.store.to_string()).field("prefix", &self.prefix).finish()
    }
}

//! Who is alive: each handle holds the lock of a file, which the system lets go of when its process ends, however that ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::files;

/// The ending of the folder with the files of the owners.
const FOLDER: &str = "-owners";

/// A handle's life, as the others see it.
#[derive(Debug)]
pub(super) struct Owner {
    id: Uuid,
    path: PathBuf,
    /// Locked for as long as the handle lives.
    _file: File,
}

/// Looks after other handles.
#[derive(Clone, Debug)]
pub(super) struct Owners {
    folder: PathBuf,
}

impl Owners {
    /// Those of a store.
    pub(super) fn of(store: &Path) -> Self {
        Self { folder: files::beside(store, FOLDER) }
    }

    /// Begins the life of a handle.
    pub(super) fn begin(&self) -> io::Result<Owner> {
        files::create_folder(&self.folder)?;
        let id = Uuid::now_v7();
        let path = self.path_of(id);
        let file = files::create(&path)?;
        // Nobody else takes it but for a moment, to look whether any handle lives.
        file.lock()?;
        Ok(Owner { id, path, _file: file })
    }

    /// Whether the handle with an id lives, in this process or in another.
    pub(super) fn is_alive(&self, id: Uuid) -> io::Result<bool> {
        let file = match OpenOptions::new().read(true).open(self.path_of(id)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        // Shared, so that two that ask at once do not take each other for the owner.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether any handle lives.
    pub(super) fn any_alive(&self) -> io::Result<bool> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let id = entry?.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok());
            if let Some(id) = id
                && self.is_alive(id)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what a dead handle left.
    pub(super) fn forget(&self, id: Uuid) {
        // One that stays does no harm: nobody holds its lock.
        fs::remove_file(self.path_of(id)).ok();
    }

    fn path_of(&self, id: Uuid) -> PathBuf {
        self.folder.join(id.to_string())
    }
}

impl Owner {
    pub(super) const fn id(&self) -> Uuid {
        self.id
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

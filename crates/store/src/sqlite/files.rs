//! The files of a store, which only their owner may read.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// What SQLite writes beside the file.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// A path beside the store's.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// The store's file and those that SQLite writes beside it.
pub(super) fn all(path: &Path) -> impl Iterator<Item = PathBuf> {
    [""].into_iter().chain(COMPANIONS).map(|ending| beside(path, ending))
}

/// Makes the store's file if there is none.
pub(super) fn prepare(path: &Path) -> io::Result<()> {
    private().create(true).open(path).map(drop)
}

/// Takes the store's files from everybody but their owner; those that SQLite makes later are as the first one is.
pub(super) fn restrict_all(path: &Path) -> io::Result<()> {
    all(path).filter(|file| file.exists()).try_for_each(|file| restrict(&file, 0o600))
}

/// Makes a file that only its owner may read, and opens it.
pub(super) fn create(path: &Path) -> io::Result<File> {
    private().create_new(true).open(path)
}

/// Makes a folder that only its owner may look into, unless it is there.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    restrict(path, 0o700)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_: &Path, _: u32) -> io::Result<()> {
    // A file has the rights of its folder there, which is the user's own by default.
    Ok(())
}

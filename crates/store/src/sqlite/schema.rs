//! What the file holds, by version.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use agent_runtime::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{durability::Durability, failure, files};

/// Marks the file as a store of ours.
pub(super) const APPLICATION_ID: i32 = 0x6167_7274;

/// Makes each version of the one before; a step is never changed once it was released.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];

/// The version of the schema that this one makes and knows.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// How long a writer waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it pauses where SQLite itself does not wait.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// The size of a page: several events to each, so that an append touches few.
const PAGE_BYTES: u32 = 16 * 1024;

/// How large the file of what is not yet written back may stay, in bytes.
const MAX_LOG_BYTES: u32 = 64 * 1024 * 1024;

/// How many statements a connection keeps prepared.
const STATEMENTS: usize = 64;

/// Opens a connection that writes, and makes the schema or brings it to this version. A file that is another program's is left
/// as it is.
pub(super) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    let opening = |error| failure::of("opening the store", error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(opening)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(opening)?;
    is_current(&mut connection)?;
    let restricting = |error| StoreError::unavailable(format!("taking {} from others", path.display()), error);
    files::restrict_all(path).map_err(restricting)?;
    patiently(|| set_up(&connection, durability)).map_err(opening)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Tries again while another process has the file: a change of the journal's mode does not wait for it by itself.
fn patiently<T>(work: impl Fn() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match work() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                thread::sleep(BUSY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn set_up(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Before the first table is made; without effect after.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", durability.synchronous())?;
    connection.pragma_update(None, "journal_size_limit", MAX_LOG_BYTES)?;
    // What was let go of is overwritten.
    connection.pragma_update(None, "secure_delete", true)
}

/// Opens a connection that reads, of a store that is there.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let opened = || {
        // Not read-only: the last connection that closes cleans up what SQLite writes beside the file, and may be this one.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    };
    opened().map_err(|error| failure::of("opening the store to read", error))
}

/// Brings the schema to this version.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    if is_current(connection)? {
        return Ok(());
    }
    let making = |error| failure::of("making the tables of the store", error);
    // Another process may be at it.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(making)?;
    let migrated = |steps: &[&str]| {
        steps.iter().try_for_each(|step| transaction.execute_batch(step))?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION as i64)
    };
    migrated(missing(&transaction)?).map_err(making)?;
    transaction.commit().map_err(making)
}

/// Whether a store has this version's schema; an error if it is none that can be brought to it.
fn is_current(connection: &mut Connection) -> Result<bool, StoreError> {
    // One state for all that is read, since another process may be making the tables.
    let transaction = connection.transaction().map_err(|error| failure::of("opening the store", error))?;
    Ok(missing(&transaction)?.is_empty())
}

/// The steps from the version of a store to this one, if it is a store of ours or none yet.
fn missing(connection: &Connection) -> Result<&'static [&'static str], StoreError> {
    let reading = |error| failure::of("reading the version of the store", error);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(reading);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let is_empty = || connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| row.get(0));
    if application != APPLICATION_ID && !(application == 0 && is_empty().map_err(reading)?) {
        return Err(StoreError::incompatible("the file is another program's database; name another file"));
    }
    usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version..)).ok_or_else(|| {
        StoreError::incompatible(format!(
            "its schema has version {version}, this one knows up to {VERSION}; use the version that wrote it, or a later one"
        ))
    })
}

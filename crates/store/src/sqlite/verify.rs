//! Whether all that is stored can be read.

use agent_runtime::store::StoreError;
use rusqlite::{Connection, ErrorCode};

use super::{
    failure,
    row::{COLUMNS, EpochNames, Raw},
};

/// How many faults are named.
const MAX_FAULTS: u32 = 16;

/// What a store holds and what of it is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many events are as they were written.
    pub events: u64,
    /// What is not: the first few faults, for people to read.
    pub faults: Vec<String>,
}

impl Verified {
    /// Whether nothing is damaged.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

pub(super) fn verify(connection: &mut Connection) -> Result<Verified, StoreError> {
    let mut verified = Verified { events: 0, faults: Vec::new() };
    match pages(connection) {
        Ok(faults) => verified.faults.extend(faults),
        Err(error) => verified.add(error)?,
    }
    if let Err(error) = rows(connection, &mut verified) {
        verified.add(error)?;
    }
    Ok(verified)
}

/// What SQLite says of its own pages.
fn pages(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = format!("PRAGMA integrity_check({MAX_FAULTS})");
    let mut statement = connection.prepare(&sql)?;
    let found: Vec<String> = statement.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(found.into_iter().filter(|fault| fault != "ok").collect())
}

fn rows(connection: &mut Connection, verified: &mut Verified) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare(&format!("SELECT {COLUMNS} FROM events e ORDER BY e.place"))?;
    let mut rows = statement.query(())?;
    let mut names = EpochNames::default();
    while let Some(row) = rows.next()? {
        let raw = Raw::read(row)?;
        match names.of(&transaction, raw.epoch).and_then(|epoch| raw.stored(epoch)) {
            Ok(_) => verified.events += 1,
            Err(error) if verified.faults.len() < MAX_FAULTS as usize => verified.faults.push(error.to_string()),
            Err(_) => {}
        }
    }
    Ok(())
}

impl Verified {
    /// Adds what stopped the reading, unless it is no damage.
    fn add(&mut self, error: rusqlite::Error) -> Result<(), StoreError> {
        let is_busy = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
        match failure::of("reading the store", error) {
            error @ StoreError::Unavailable { .. } if is_busy => Err(error),
            error => {
                self.faults.push(error.to_string());
                Ok(())
            }
        }
    }
}

//! An event as a row, and back.

use std::{collections::HashMap, sync::Arc};

use agent_runtime::{
    event::Event,
    store::{Position, StoreError, StoredEvent},
    stream::Epoch,
};
use rusqlite::{Connection, OptionalExtension as _, Row};
use uuid::Uuid;

use super::failure;

/// The columns that [`Raw`] is read from.
pub(super) const COLUMNS: &str = "e.place, e.epoch, e.offset, e.checksum, e.body";

/// A row as it is stored.
pub(super) struct Raw {
    pub(super) place: i64,
    pub(super) epoch: i64,
    pub(super) offset: i64,
    checksum: i64,
    body: Vec<u8>,
}

/// The names of epochs by their numbers.
#[derive(Default)]
pub(super) struct EpochNames(HashMap<i64, Epoch>);

impl Raw {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        // As bytes: what is damaged may be no text, and the checksum says so.
        let body = row.get_ref(4)?.as_bytes().map_err(rusqlite::Error::from)?.to_vec();
        Ok(Self { place: row.get(0)?, epoch: row.get(1)?, offset: row.get(2)?, checksum: row.get(3)?, body })
    }

    /// The event, if the row is as it was written.
    pub(super) fn event(&self) -> Result<Event, StoreError> {
        let is_whole = checksum(self.epoch, self.offset, &self.body) == self.checksum;
        let event = is_whole.then(|| serde_json::from_slice::<Event>(&self.body).ok()).flatten();
        event.filter(|event| event.offset == u64::try_from(self.offset).ok()).ok_or_else(|| {
            failure::damaged(&format!(
                "the event at place {} (offset {}) is not as it was written",
                self.place, self.offset
            ))
        })
    }

    /// The event with its position.
    pub(super) fn stored(&self, epoch: Epoch) -> Result<StoredEvent, StoreError> {
        let event = self.event()?;
        Ok(StoredEvent::new(Position::new(epoch, event.offset.unwrap_or_default()), Arc::new(event)))
    }
}

impl EpochNames {
    /// The name of an epoch.
    pub(super) fn of(&mut self, connection: &Connection, id: i64) -> Result<Epoch, StoreError> {
        if let Some(epoch) = self.0.get(&id) {
            return Ok(*epoch);
        }
        let mut statement = connection.prepare_cached("SELECT epoch FROM epochs WHERE id = ?").map_err(reading)?;
        let found = statement.query_row([id], |row| row.get::<_, Uuid>(0)).optional().map_err(reading)?;
        let epoch =
            found.map(Epoch::from_uuid).ok_or_else(|| failure::damaged("an event is of an epoch without a name"))?;
        self.0.insert(id, epoch);
        Ok(epoch)
    }
}

/// What changes if anything of a row does.
pub(super) fn checksum(epoch: i64, offset: i64, body: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&epoch.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(body);
    i64::from(hasher.finalize())
}

pub(super) fn reading(error: rusqlite::Error) -> StoreError {
    failure::of("reading the store", error)
}

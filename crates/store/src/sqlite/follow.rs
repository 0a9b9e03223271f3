//! Waiting for what is stored next, here or by another process.

use std::time::Duration;

use agent_runtime::store::{Cursor, StoreError};
use rusqlite::Connection;
use tokio::{sync::watch, time::timeout};

use super::{read::start_of, row::reading, worker::Worker};

/// How often a follower looks for what another process has stored; SQLite has nothing to be woken by.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until there is an event behind a cursor.
pub(super) async fn changed(
    reader: &Worker,
    mut stored: watch::Receiver<u64>,
    since: Cursor,
) -> Result<(), StoreError> {
    // What this handle stores after the look is not slept through: the receiver was made before.
    while !reader.call(move |connection| has_more(connection, since)).await? {
        // Nothing of this handle for that long: another process may have stored something.
        timeout(POLL_INTERVAL, stored.changed()).await.ok();
    }
    Ok(())
}

fn has_more(connection: &mut Connection, since: Cursor) -> Result<bool, StoreError> {
    let transaction = connection.transaction().map_err(reading)?;
    let start = start_of(&transaction, since)?;
    let sql = "SELECT EXISTS (SELECT 1 FROM events WHERE place >= ?)";
    transaction
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([start], |row| row.get(0)))
        .map_err(reading)
}

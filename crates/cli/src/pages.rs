//! A store read to its end.

use agent_runtime::store::{Cursor, EventStore, Query, StoreError, StoredEvent};

/// How many events are read at once.
const PAGE_SIZE: usize = 1_024;

/// Calls a function with each event that passes.
pub(crate) async fn each(
    store: &dyn EventStore,
    from: Cursor,
    query: &Query,
    mut see: impl FnMut(StoredEvent),
) -> Result<(), StoreError> {
    let mut cursor = from;
    loop {
        let page = store.read(cursor, query, PAGE_SIZE).await?;
        page.events.into_iter().for_each(&mut see);
        cursor = page.next;
        if page.is_last {
            return Ok(());
        }
    }
}

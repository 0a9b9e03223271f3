//! Events into stores and out of them.

use std::sync::Arc;

use agent_runtime::{
    event::Event,
    store::{Batch, Cursor, EventStore, Query, StoreError, StoredEvent},
    stream::Epoch,
};

pub(crate) async fn append(store: &dyn EventStore, epoch: Epoch, events: &[Arc<Event>]) -> Result<(), StoreError> {
    let mut batch = Batch::new(epoch);
    events.iter().try_for_each(|event| batch.push(Arc::clone(event)))?;
    store.append(&batch).await
}

pub(crate) async fn read_all(store: &dyn EventStore) -> Result<Vec<StoredEvent>, StoreError> {
    let (mut cursor, mut all) = (Cursor::Beginning, Vec::new());
    loop {
        let page = store.read(cursor, &Query::default(), 1_000).await?;
        all.extend(page.events);
        cursor = page.next;
        if page.is_last {
            return Ok(all);
        }
    }
}

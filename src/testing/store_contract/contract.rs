//! All that the contract asks for, in one call.

use std::sync::Arc;

use super::{appending, epochs, fixture::Stores, following, reading, trimming};
use crate::store::EventStore;

/// Asserts that an engine does what [`EventStore`] asks for, on a Tokio runtime.
///
/// `open` returns a new handle to the store of a number, as another process would have it: the first for a number makes an
/// empty store, a later one opens the same.
///
/// ```
/// use std::{collections::HashMap, sync::{Arc, Mutex}};
///
/// use agent_runtime::{store::MemoryStore, testing::assert_store_contract};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let stores = Mutex::new(HashMap::<u32, MemoryStore>::new());
/// assert_store_contract(async |number| {
///     let mut stores = stores.lock().unwrap();
///     // The first handle is kept, so it owns nothing.
///     Arc::new(stores.entry(number).or_default().reopen())
/// })
/// .await;
/// # });
/// ```
///
/// # Panics
///
/// If it does something else.
pub async fn assert_store_contract<S: EventStore + 'static>(open: impl AsyncFn(u32) -> Arc<S>) {
    let stores = Stores::new(async |number| {
        let store: Arc<dyn EventStore> = open(number).await;
        store
    });
    appending::check(&stores).await;
    reading::check(&stores).await;
    epochs::check(&stores).await;
    following::check(&stores).await;
    trimming::check(&stores).await;
}

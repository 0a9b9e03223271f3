//! Who is alive: a handle of this process is known; one of another renews an object.

use std::{
    collections::HashSet,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use agent_runtime::store::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::{sync::oneshot, time};
use uuid::Uuid;

use super::{format::Life, objects::Objects};

/// How often a lease is renewed while it lasts once.
const RENEWALS: u32 = 4;

/// The handles of this process that are alive.
static ALIVE: Mutex<Option<HashSet<Uuid>>> = Mutex::new(None);

/// A handle's life, as the others see it.
#[derive(Debug)]
pub(super) struct Owner {
    id: Uuid,
    objects: Objects,
    lease: Duration,
    /// Once there is a lease, what ends its renewal when it is dropped.
    renewal: Mutex<Option<oneshot::Sender<()>>>,
}

/// This process, among all that ever were.
pub(super) fn process() -> Uuid {
    static PROCESS: OnceLock<Uuid> = OnceLock::new();
    *PROCESS.get_or_init(Uuid::now_v7)
}

fn name_of(owner: Uuid) -> String {
    format!("owners/{owner}")
}

impl Owner {
    pub(super) fn new(objects: Objects, lease: Duration) -> Self {
        let id = Uuid::now_v7();
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(id);
        Self { id, objects, lease, renewal: Mutex::default() }
    }

    pub(super) const fn id(&self) -> Uuid {
        self.id
    }

    /// Sees to it that other processes know this handle for alive before it owns anything.
    pub(super) async fn announce(&self) -> Result<(), StoreError> {
        let is_announced = || self.renewal.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_announced() {
            return Ok(());
        }
        self.objects.replace(&name_of(self.id), Vec::new()).await?;
        let (end, mut ended) = oneshot::channel();
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if renewal.is_some() {
            return Ok(());
        }
        *renewal = Some(end);
        let (objects, name, pause) = (self.objects.clone(), name_of(self.id), self.lease / RENEWALS);
        tokio::spawn(async move {
            while time::timeout(pause, &mut ended).await.is_err() {
                // One that fails is tried again; what comes too late is seen by others as an end, and refused by the chain.
                objects.replace(&name, Vec::new()).await.ok();
            }
            objects.delete(&name).await.ok();
        });
        Ok(())
    }

    /// Whether the owner of an epoch is alive.
    pub(super) async fn is_alive(&self, life: &Life) -> Result<bool, StoreError> {
        if life.process == process() {
            return Ok(is_of_this_process(life.owner));
        }
        let Some((_, renewed)) = self.objects.head(&name_of(life.owner)).await? else { return Ok(false) };
        let lease = TimeDelta::from_std(self.lease).unwrap_or(TimeDelta::MAX);
        Ok(self.now().await? - renewed < lease)
    }

    /// A handle of any process that has a lease which lasts.
    pub(super) async fn any_alive(&self) -> Result<bool, StoreError> {
        let lease = TimeDelta::from_std(self.lease).unwrap_or(TimeDelta::MAX);
        for name in self.objects.list("owners").await? {
            let Ok(id) = Uuid::try_parse(&name) else { continue };
            let Some((_, renewed)) = self.objects.head(&name_of(id)).await? else { continue };
            if is_of_this_process(id) || self.now().await? - renewed < lease {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what a dead owner left.
    pub(super) async fn forget(&self, owner: Uuid) {
        // One that stays does no harm: nobody renews it.
        self.objects.delete(&name_of(owner)).await.ok();
    }

    /// The time by the clock that stamps the leases.
    async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        let name = format!("owners/now-{}", self.id);
        self.objects.replace(&name, Vec::new()).await?;
        let now = self.objects.head(&name).await?.map_or_else(Utc::now, |(_, now)| now);
        self.objects.delete(&name).await?;
        Ok(now)
    }
}

fn is_of_this_process(owner: Uuid) -> bool {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|alive| alive.contains(&owner))
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(alive) = ALIVE.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            alive.remove(&self.id);
        }
    }
}

//! Whose an epoch is.

use std::collections::HashMap;

use agent_runtime::{
    store::{EpochRecord, EpochState, Gap, StoreError},
    stream::Epoch,
};
use chrono::Utc;

use super::{
    append::MAX_CONFLICTS,
    format::{Header, Life},
    lease::{Owner, process},
    log::{Log, busy},
};

pub(super) async fn open(log: &mut Log, epoch: Epoch, owner: &Owner) -> Result<u64, StoreError> {
    owner.announce().await?;
    for _ in 0..MAX_CONFLICTS {
        log.sync().await?;
        let life = match log.index.life(epoch) {
            Ok(life) if life.owner != owner.id() => return Err(StoreError::not_owner(epoch)),
            Ok(life) if !life.is_closed => return Ok(life.next_offset),
            Ok(life) => Life { is_closed: false, ..life },
            Err(_) => Life {
                epoch,
                owner: owner.id(),
                process: process(),
                is_closed: false,
                opened_at: Utc::now(),
                opened: log.index.next_place,
                next_offset: 0,
            },
        };
        if push_life(log, life).await? {
            return Ok(life.next_offset);
        }
    }
    Err(busy())
}

pub(super) async fn close(log: &mut Log, epoch: Epoch, owner: &Owner) -> Result<(), StoreError> {
    for _ in 0..MAX_CONFLICTS {
        log.sync().await?;
        let life = log.index.life(epoch).ok().filter(|life| life.owner == owner.id());
        let life = life.ok_or(StoreError::not_owner(epoch))?;
        // A put that was answered by an error may have been done all the same.
        if life.is_closed {
            return Ok(());
        }
        if push_life(log, Life { is_closed: true, ..life }).await? {
            return Ok(());
        }
    }
    Err(busy())
}

pub(super) async fn adopt(log: &mut Log, epoch: Epoch, owner: &Owner) -> Result<bool, StoreError> {
    for _ in 0..MAX_CONFLICTS {
        log.sync().await?;
        let life = log.index.life(epoch)?;
        if !life.is_closed && life.owner == owner.id() {
            return Ok(true);
        }
        if life.is_closed || owner.is_alive(&life).await? {
            return Ok(false);
        }
        owner.announce().await?;
        if push_life(log, Life { owner: owner.id(), process: process(), ..life }).await? {
            if log.index.lives.iter().all(|other| other.is_closed || other.owner != life.owner) {
                owner.forget(life.owner).await;
            }
            return Ok(true);
        }
    }
    Err(busy())
}

pub(super) async fn list(lives: &[Life], owner: &Owner) -> Result<Vec<EpochRecord>, StoreError> {
    let mut owners = HashMap::new();
    let mut records = Vec::with_capacity(lives.len());
    for life in lives {
        let state = if life.is_closed {
            EpochState::Closed
        } else {
            let is_alive = match owners.get(&life.owner) {
                Some(is_alive) => *is_alive,
                None => owner.is_alive(life).await?,
            };
            owners.insert(life.owner, is_alive);
            if is_alive { EpochState::Open } else { EpochState::Abandoned }
        };
        records.push(EpochRecord::new(life.epoch, state, life.opened_at, life.next_offset));
    }
    Ok(records)
}

pub(super) fn gaps(log: &Log, epoch: Epoch) -> Result<Vec<Gap>, StoreError> {
    log.index.life(epoch)?;
    Ok(log.index.gaps.get(&epoch).cloned().unwrap_or_default())
}

async fn push_life(log: &mut Log, life: Life) -> Result<bool, StoreError> {
    let header = Header { life: Some(life), ..log.index.header() };
    log.push(header, Vec::new()).await
}

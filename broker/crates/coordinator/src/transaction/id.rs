//! The transactional id, and the identity that it gives to a producer.

use thalweg_types::{ProducerEpoch, ProducerId};

use crate::names::name;

name!(
    /// Name that a transactional producer keeps over its restarts (`transactional.id`).
    TransactionalId
);

/// Who a producer is: of all with one id, the one with the newest epoch may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerIdAndEpoch {
    /// The id.
    pub id: ProducerId,
    /// The epoch.
    pub epoch: ProducerEpoch,
}

impl ProducerIdAndEpoch {
    /// Nobody.
    pub const NONE: Self = Self {
        id: ProducerId::NONE,
        epoch: ProducerEpoch::NONE,
    };
}

/// Reports whether an epoch is the last one that a client may be given: the next one is kept for fencing, and a new id
/// follows.
pub(crate) fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch.get() >= i16::MAX - 1
}

/// Returns the epoch after this one. Ids are changed before their epochs run out, so it saturates only on a damaged
/// log.
pub(crate) fn next_epoch(epoch: ProducerEpoch) -> ProducerEpoch {
    ProducerEpoch(epoch.get().saturating_add(1))
}

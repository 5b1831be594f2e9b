//! What the APIs of transactional producers share: who asks, and the codes that older clients understand.

use kafka_protocol::messages::ProducerId as WireProducerId;
use thalweg_coordinator::transaction::{ProducerIdAndEpoch, TransactionError, TransactionVersion};
use thalweg_types::{ErrorCode, ProducerEpoch, ProducerId};

use super::errors::ToErrorCode;

/// Takes a producer off the wire.
pub(super) fn producer(id: WireProducerId, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch {
        id: ProducerId(id.0),
        epoch: ProducerEpoch(epoch),
    }
}

/// Returns the code of a refusal. Clients before `fenced_since` know only the older word for a fenced producer.
pub(super) fn code_in_version(error: TransactionError, version: i16, fenced_since: i16) -> ErrorCode {
    match error.error_code() {
        ErrorCode::ProducerFenced if version < fenced_since => ErrorCode::InvalidProducerEpoch,
        code => code,
    }
}

/// The protocol of a client whose request is of `version`: KIP-890 came with version `second_since` of each API.
pub(super) fn protocol_of(version: i16, second_since: i16) -> TransactionVersion {
    if version >= second_since {
        TransactionVersion::V2
    } else {
        TransactionVersion::V0
    }
}

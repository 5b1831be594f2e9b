//! Why a request was refused, and why a stored record could not be loaded.

use thalweg_types::Offset;

/// Why the coordinator refused a request, or a part of it.
///
/// One variant for each of Kafka's error codes of the same name, except the two that say otherwise; the broker's
/// error table turns them into codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GroupError {
    /// The shard still replays its log.
    #[error("the groups of this partition are still being loaded; retry")]
    CoordinatorLoadInProgress,
    /// The shard was unloaded.
    #[error("this broker no longer coordinates the group; look the coordinator up again")]
    NotCoordinator,
    /// The coordinator could not make an id for the member, or the group is being removed.
    #[error("the coordinator cannot serve the group at the moment; retry")]
    CoordinatorNotAvailable,
    /// Empty, or longer than a record can hold.
    #[error("the group id is empty or longer than 32767 bytes")]
    InvalidGroupId,
    /// There is no such group.
    #[error("there is no such group")]
    GroupIdNotFound,
    /// The group still has members.
    #[error("the group still has members")]
    NonEmptyGroup,
    /// A live member subscribes to the topic.
    #[error("a member of the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    /// The group has `group.max.size` members, or one more would not fit its record.
    #[error("the group has reached its largest size")]
    GroupMaxSizeReached,
    /// The shard holds as many groups as its limit allows. Kafka has no such limit; POLICY_VIOLATION fits.
    #[error("the broker holds as many groups as its limit allows")]
    GroupsMaxReached,
    /// The member id is not one of the group.
    #[error("the member id is not known to the group; join again")]
    UnknownMemberId,
    /// The member must join again with the id in this reply (KIP-394).
    #[error("the member must join again with the member id in this reply")]
    MemberIdRequired,
    /// Another process took over the instance id (KIP-345).
    #[error("another process uses the same group.instance.id")]
    FencedInstanceId,
    /// The generation is not the group's.
    #[error("the generation is not the group's; join again")]
    IllegalGeneration,
    /// The group rebalances.
    #[error("the group rebalances; join again")]
    RebalanceInProgress,
    /// The protocol type or every protocol name differs from what the group's members support.
    #[error("the member shares no protocol with the group")]
    InconsistentGroupProtocol,
    /// Outside `group.min.session.timeout.ms` … `group.max.session.timeout.ms`.
    #[error("the session timeout is outside the bounds of the broker")]
    InvalidSessionTimeout,
    /// The commit metadata is longer than `offset.metadata.max.bytes`.
    #[error("the commit metadata is longer than offset.metadata.max.bytes")]
    OffsetMetadataTooLarge,
    /// A transaction on the partition is not decided yet (KIP-447).
    #[error("a transaction that commits this offset is not decided yet; retry")]
    UnstableOffsetCommit,
    /// The producer's transaction ended while it was asked whether it has the group's partition; INVALID_TXN_STATE.
    #[error("the transaction ended while its offsets were being committed")]
    TransactionEnded,
    /// A name or the member's protocol metadata is longer than the limits allow.
    #[error("a name or the protocol metadata of the member is longer than the limits allow")]
    InvalidRequest,
    /// The group's record would be longer than the log takes. Kafka answers UNKNOWN_SERVER_ERROR.
    #[error("the assignment makes the group's record longer than the offsets topic takes")]
    GroupRecordTooLarge,
}

/// Why a record of `__consumer_offsets` could not be loaded. The shard is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The record is cut or is not what its version says.
    #[error(
        "__consumer_offsets offset {offset}: the {part} is malformed: {cause}; dump the segment to see it"
    )]
    Malformed {
        /// Where the record is in the log.
        offset: Offset,
        /// `key` or `value`, with its type.
        part: &'static str,
        /// What is wrong with it.
        cause: crate::record::DecodeError,
    },
}

//! Kafka's error codes: number, name, whether a client may try again, and what each one means here.
//!
//! Owns the numbers only. Which failure of ours is told to a client as which code is decided in one place,
//! the broker's `api/errors.rs`. Invariant: codes, names and the retriable flag are those of Apache Kafka 4.3
//! (`tests/golden/error_codes.tsv`, printed from Kafka's own table); a number is never used for anything else.

/// Declares the codes: one row is variant, Kafka's name, number, may a client retry, text.
macro_rules! error_codes {
    ($($variant:ident, $name:literal, $code:literal, $retriable:ident, $text:literal;)*) => {
        /// One of Kafka's error codes. [`ErrorCode::None`] (0) means success.
        ///
        /// The discriminant is the number on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = $text] $variant = $code,)*
        }

        impl ErrorCode {
            /// Every code, in rising order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns Kafka's name of the code, as its tools and documentation spell it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Reports whether a client may send the same request again and expect another answer.
            ///
            /// Kafka's clients decide by this flag, so it is part of the protocol.
            #[must_use]
            pub const fn is_retriable(self) -> bool {
                match self { $(Self::$variant => retriable!($retriable),)* }
            }

            /// Returns one sentence for people, used where a reply has room for a message and nothing better
            /// is known.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Returns the code with this number, or `None` if Kafka 4.3 defines no such number.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

macro_rules! retriable {
    (retry) => {
        true
    };
    (fatal) => {
        false
    };
}

#[rustfmt::skip]
error_codes! {
    UnknownServerError, "UNKNOWN_SERVER_ERROR", -1, fatal, "The broker failed in a way it has no code for; its log says more.";
    None, "NONE", 0, fatal, "Success.";
    OffsetOutOfRange, "OFFSET_OUT_OF_RANGE", 1, fatal, "The offset lies before the log start or after the log end.";
    CorruptMessage, "CORRUPT_MESSAGE", 2, retry, "The record batch has a wrong checksum, a bad size or a bad structure.";
    UnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION", 3, retry, "This broker has no such topic or partition.";
    InvalidFetchSize, "INVALID_FETCH_SIZE", 4, fatal, "The fetch asks for an impossible number of bytes.";
    LeaderNotAvailable, "LEADER_NOT_AVAILABLE", 5, retry, "The partition has no leader at the moment.";
    NotLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER", 6, retry, "This broker does not lead the partition, or holds no copy of it.";
    RequestTimedOut, "REQUEST_TIMED_OUT", 7, retry, "The work did not finish within the time the request allowed.";
    BrokerNotAvailable, "BROKER_NOT_AVAILABLE", 8, fatal, "The broker asked for is not up.";
    ReplicaNotAvailable, "REPLICA_NOT_AVAILABLE", 9, retry, "The copy of the partition that was asked for is not here.";
    MessageTooLarge, "MESSAGE_TOO_LARGE", 10, fatal, "A record batch is larger than the topic's max.message.bytes.";
    StaleControllerEpoch, "STALE_CONTROLLER_EPOCH", 11, fatal, "The sender is no longer the controller.";
    OffsetMetadataTooLarge, "OFFSET_METADATA_TOO_LARGE", 12, fatal, "The text stored with the offset is longer than offset.metadata.max.bytes.";
    NetworkException, "NETWORK_EXCEPTION", 13, retry, "The connection ended before the reply came.";
    CoordinatorLoadInProgress, "COORDINATOR_LOAD_IN_PROGRESS", 14, retry, "The coordinator is still reading its log; try again shortly.";
    CoordinatorNotAvailable, "COORDINATOR_NOT_AVAILABLE", 15, retry, "There is no coordinator for this group or transaction at the moment.";
    NotCoordinator, "NOT_COORDINATOR", 16, retry, "This broker does not coordinate this group or transaction.";
    InvalidTopicException, "INVALID_TOPIC_EXCEPTION", 17, fatal, "The topic name is not allowed, or the topic does not allow this operation.";
    RecordListTooLarge, "RECORD_LIST_TOO_LARGE", 18, fatal, "The batches of the request do not fit into one segment (segment.bytes).";
    NotEnoughReplicas, "NOT_ENOUGH_REPLICAS", 19, retry, "Fewer copies are in sync than min.insync.replicas asks for; nothing was written.";
    NotEnoughReplicasAfterAppend, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", 20, retry, "The records were written, but to fewer copies than min.insync.replicas asks for.";
    InvalidRequiredAcks, "INVALID_REQUIRED_ACKS", 21, fatal, "acks must be -1 (all), 0 or 1.";
    IllegalGeneration, "ILLEGAL_GENERATION", 22, fatal, "The generation is not the group's present one.";
    InconsistentGroupProtocol, "INCONSISTENT_GROUP_PROTOCOL", 23, fatal, "The member shares no protocol with the group, or names none.";
    InvalidGroupId, "INVALID_GROUP_ID", 24, fatal, "The group id is empty or not allowed.";
    UnknownMemberId, "UNKNOWN_MEMBER_ID", 25, fatal, "The group has no member with this id.";
    InvalidSessionTimeout, "INVALID_SESSION_TIMEOUT", 26, fatal, "The session timeout is outside group.min.session.timeout.ms and group.max.session.timeout.ms.";
    RebalanceInProgress, "REBALANCE_IN_PROGRESS", 27, fatal, "The group is rebalancing; the member must join again.";
    InvalidCommitOffsetSize, "INVALID_COMMIT_OFFSET_SIZE", 28, fatal, "The offsets to commit do not fit into one batch.";
    TopicAuthorizationFailed, "TOPIC_AUTHORIZATION_FAILED", 29, fatal, "The principal may not do this with the topic.";
    GroupAuthorizationFailed, "GROUP_AUTHORIZATION_FAILED", 30, fatal, "The principal may not do this with the group.";
    ClusterAuthorizationFailed, "CLUSTER_AUTHORIZATION_FAILED", 31, fatal, "The principal may not do this with the cluster.";
    InvalidTimestamp, "INVALID_TIMESTAMP", 32, fatal, "A record's timestamp is further from the broker's clock than the topic allows.";
    UnsupportedSaslMechanism, "UNSUPPORTED_SASL_MECHANISM", 33, fatal, "The SASL mechanism is not enabled here.";
    IllegalSaslState, "ILLEGAL_SASL_STATE", 34, fatal, "The request does not belong at this point of the SASL exchange.";
    UnsupportedVersion, "UNSUPPORTED_VERSION", 35, fatal, "This broker does not serve this version of the API.";
    TopicAlreadyExists, "TOPIC_ALREADY_EXISTS", 36, fatal, "A topic of this name exists.";
    InvalidPartitions, "INVALID_PARTITIONS", 37, fatal, "The number of partitions is not allowed.";
    InvalidReplicationFactor, "INVALID_REPLICATION_FACTOR", 38, fatal, "The replication factor is below 1 or above the number of brokers.";
    InvalidReplicaAssignment, "INVALID_REPLICA_ASSIGNMENT", 39, fatal, "The assignment of copies to brokers is not possible.";
    InvalidConfig, "INVALID_CONFIG", 40, fatal, "A configuration key or value is not allowed.";
    NotController, "NOT_CONTROLLER", 41, retry, "This broker is not the controller.";
    InvalidRequest, "INVALID_REQUEST", 42, fatal, "The request contradicts itself or cannot be read.";
    UnsupportedForMessageFormat, "UNSUPPORTED_FOR_MESSAGE_FORMAT", 43, fatal, "The record format does not carry what the request needs.";
    PolicyViolation, "POLICY_VIOLATION", 44, fatal, "A policy of this cluster forbids the request.";
    OutOfOrderSequenceNumber, "OUT_OF_ORDER_SEQUENCE_NUMBER", 45, fatal, "The producer's sequence number does not follow the last one written.";
    DuplicateSequenceNumber, "DUPLICATE_SEQUENCE_NUMBER", 46, fatal, "The producer's sequence number was written before, too long ago to repeat the answer.";
    InvalidProducerEpoch, "INVALID_PRODUCER_EPOCH", 47, fatal, "The producer's epoch is older than the one the log knows.";
    InvalidTxnState, "INVALID_TXN_STATE", 48, fatal, "The transaction is not in a state that allows this.";
    InvalidProducerIdMapping, "INVALID_PRODUCER_ID_MAPPING", 49, fatal, "The producer id does not belong to this transactional id.";
    InvalidTransactionTimeout, "INVALID_TRANSACTION_TIMEOUT", 50, fatal, "The transaction timeout is not above 0 or is above transaction.max.timeout.ms.";
    ConcurrentTransactions, "CONCURRENT_TRANSACTIONS", 51, retry, "Another operation on this transaction has not finished.";
    TransactionCoordinatorFenced, "TRANSACTION_COORDINATOR_FENCED", 52, fatal, "A newer transaction coordinator has taken over.";
    TransactionalIdAuthorizationFailed, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", 53, fatal, "The principal may not use this transactional id.";
    SecurityDisabled, "SECURITY_DISABLED", 54, fatal, "This cluster runs without access control.";
    OperationNotAttempted, "OPERATION_NOT_ATTEMPTED", 55, fatal, "Nothing was tried, because another part of the request was refused.";
    KafkaStorageError, "KAFKA_STORAGE_ERROR", 56, retry, "The disk is full or failed; the broker's log says which.";
    LogDirNotFound, "LOG_DIR_NOT_FOUND", 57, fatal, "The broker has no such data directory.";
    SaslAuthenticationFailed, "SASL_AUTHENTICATION_FAILED", 58, fatal, "The credentials were not accepted.";
    UnknownProducerId, "UNKNOWN_PRODUCER_ID", 59, fatal, "The partition no longer knows this producer id.";
    ReassignmentInProgress, "REASSIGNMENT_IN_PROGRESS", 60, fatal, "The partition is being moved.";
    DelegationTokenAuthDisabled, "DELEGATION_TOKEN_AUTH_DISABLED", 61, fatal, "Delegation tokens are not enabled.";
    DelegationTokenNotFound, "DELEGATION_TOKEN_NOT_FOUND", 62, fatal, "There is no such delegation token.";
    DelegationTokenOwnerMismatch, "DELEGATION_TOKEN_OWNER_MISMATCH", 63, fatal, "The principal neither owns nor may renew this delegation token.";
    DelegationTokenRequestNotAllowed, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", 64, fatal, "Delegation tokens may not be asked for over this kind of connection.";
    DelegationTokenAuthorizationFailed, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", 65, fatal, "The principal may not do this with delegation tokens.";
    DelegationTokenExpired, "DELEGATION_TOKEN_EXPIRED", 66, fatal, "The delegation token has expired.";
    InvalidPrincipalType, "INVALID_PRINCIPAL_TYPE", 67, fatal, "This type of principal is not known.";
    NonEmptyGroup, "NON_EMPTY_GROUP", 68, fatal, "The group still has members.";
    GroupIdNotFound, "GROUP_ID_NOT_FOUND", 69, fatal, "There is no such group.";
    FetchSessionIdNotFound, "FETCH_SESSION_ID_NOT_FOUND", 70, retry, "The fetch session has been dropped; start a new one.";
    InvalidFetchSessionEpoch, "INVALID_FETCH_SESSION_EPOCH", 71, retry, "The fetch session expected another epoch; start a new one.";
    ListenerNotFound, "LISTENER_NOT_FOUND", 72, retry, "The leader has no listener of the kind this request came through.";
    TopicDeletionDisabled, "TOPIC_DELETION_DISABLED", 73, fatal, "Topics cannot be deleted while delete.topic.enable is false.";
    FencedLeaderEpoch, "FENCED_LEADER_EPOCH", 74, retry, "The request names an older leader epoch than the partition's.";
    UnknownLeaderEpoch, "UNKNOWN_LEADER_EPOCH", 75, retry, "The request names a newer leader epoch than the partition's.";
    UnsupportedCompressionType, "UNSUPPORTED_COMPRESSION_TYPE", 76, fatal, "This version of the API cannot carry this compression type.";
    StaleBrokerEpoch, "STALE_BROKER_EPOCH", 77, fatal, "The broker has registered again since.";
    OffsetNotAvailable, "OFFSET_NOT_AVAILABLE", 78, retry, "A new leader does not yet know which offsets are final.";
    MemberIdRequired, "MEMBER_ID_REQUIRED", 79, fatal, "Join again with the member id of this reply (KIP-394).";
    PreferredLeaderNotAvailable, "PREFERRED_LEADER_NOT_AVAILABLE", 80, retry, "The preferred leader cannot lead at the moment.";
    GroupMaxSizeReached, "GROUP_MAX_SIZE_REACHED", 81, fatal, "The group has as many members as its limit allows.";
    FencedInstanceId, "FENCED_INSTANCE_ID", 82, fatal, "Another member has joined with this group.instance.id.";
    EligibleLeadersNotAvailable, "ELIGIBLE_LEADERS_NOT_AVAILABLE", 83, retry, "No broker that may lead the partition is up.";
    ElectionNotNeeded, "ELECTION_NOT_NEEDED", 84, retry, "The partition already has the leader asked for.";
    NoReassignmentInProgress, "NO_REASSIGNMENT_IN_PROGRESS", 85, fatal, "The partition is not being moved.";
    GroupSubscribedToTopic, "GROUP_SUBSCRIBED_TO_TOPIC", 86, fatal, "The group's members are subscribed to the topic, so its offsets stay.";
    InvalidRecord, "INVALID_RECORD", 87, fatal, "A record breaks a rule of its topic, for example a missing key where cleanup.policy has compact.";
    UnstableOffsetCommit, "UNSTABLE_OFFSET_COMMIT", 88, retry, "An open transaction holds offsets that are not decided yet.";
    ThrottlingQuotaExceeded, "THROTTLING_QUOTA_EXCEEDED", 89, retry, "A quota is used up; try again after the throttle time.";
    ProducerFenced, "PRODUCER_FENCED", 90, fatal, "A newer producer uses this transactional id.";
    ResourceNotFound, "RESOURCE_NOT_FOUND", 91, fatal, "There is no such user, quota or other resource.";
    DuplicateResource, "DUPLICATE_RESOURCE", 92, fatal, "The request names one resource twice.";
    UnacceptableCredential, "UNACCEPTABLE_CREDENTIAL", 93, fatal, "The new credential does not meet the rules for credentials.";
    InconsistentVoterSet, "INCONSISTENT_VOTER_SET", 94, fatal, "Sender and receiver do not agree on who votes.";
    InvalidUpdateVersion, "INVALID_UPDATE_VERSION", 95, fatal, "The version of the update is not the one expected.";
    FeatureUpdateFailed, "FEATURE_UPDATE_FAILED", 96, fatal, "The feature levels could not be changed.";
    PrincipalDeserializationFailure, "PRINCIPAL_DESERIALIZATION_FAILURE", 97, fatal, "The principal of a forwarded request cannot be read.";
    SnapshotNotFound, "SNAPSHOT_NOT_FOUND", 98, fatal, "There is no such snapshot.";
    PositionOutOfRange, "POSITION_OUT_OF_RANGE", 99, fatal, "The position lies outside the snapshot.";
    UnknownTopicId, "UNKNOWN_TOPIC_ID", 100, retry, "This broker has no topic with this id.";
    DuplicateBrokerRegistration, "DUPLICATE_BROKER_REGISTRATION", 101, fatal, "Another broker runs under this node id.";
    BrokerIdNotRegistered, "BROKER_ID_NOT_REGISTERED", 102, fatal, "No broker is registered under this node id.";
    InconsistentTopicId, "INCONSISTENT_TOPIC_ID", 103, retry, "The topic has another id than the request says.";
    InconsistentClusterId, "INCONSISTENT_CLUSTER_ID", 104, fatal, "The request is meant for another cluster.";
    TransactionalIdNotFound, "TRANSACTIONAL_ID_NOT_FOUND", 105, fatal, "There is no such transactional id.";
    FetchSessionTopicIdError, "FETCH_SESSION_TOPIC_ID_ERROR", 106, retry, "The fetch session mixes topic names and topic ids.";
    IneligibleReplica, "INELIGIBLE_REPLICA", 107, fatal, "A copy may not join the in-sync set.";
    NewLeaderElected, "NEW_LEADER_ELECTED", 108, fatal, "The partition was changed and now has another leader.";
    OffsetMovedToTieredStorage, "OFFSET_MOVED_TO_TIERED_STORAGE", 109, fatal, "The offset is now only in the object store.";
    FencedMemberEpoch, "FENCED_MEMBER_EPOCH", 110, fatal, "The member's epoch is fenced; it must give up its partitions and join again (KIP-848).";
    UnreleasedInstanceId, "UNRELEASED_INSTANCE_ID", 111, fatal, "Another member of the group still holds this instance id.";
    UnsupportedAssignor, "UNSUPPORTED_ASSIGNOR", 112, fatal, "The group cannot use this assignor.";
    StaleMemberEpoch, "STALE_MEMBER_EPOCH", 113, fatal, "The member's epoch is old; try again after the next heartbeat.";
    MismatchedEndpointType, "MISMATCHED_ENDPOINT_TYPE", 114, fatal, "The request was sent to the wrong kind of endpoint.";
    UnsupportedEndpointType, "UNSUPPORTED_ENDPOINT_TYPE", 115, fatal, "This kind of endpoint is not served.";
    UnknownControllerId, "UNKNOWN_CONTROLLER_ID", 116, fatal, "There is no controller with this id.";
    UnknownSubscriptionId, "UNKNOWN_SUBSCRIPTION_ID", 117, fatal, "The client telemetry subscription is not the present one.";
    TelemetryTooLarge, "TELEMETRY_TOO_LARGE", 118, fatal, "The client telemetry is larger than telemetry.max.bytes.";
    InvalidRegistration, "INVALID_REGISTRATION", 119, fatal, "The broker's registration was refused.";
    TransactionAbortable, "TRANSACTION_ABORTABLE", 120, fatal, "The transaction must be aborted; the transactional id stays usable.";
    InvalidRecordState, "INVALID_RECORD_STATE", 121, fatal, "The record is in no state to be acknowledged (share groups).";
    ShareSessionNotFound, "SHARE_SESSION_NOT_FOUND", 122, retry, "The share session has been dropped; start a new one.";
    InvalidShareSessionEpoch, "INVALID_SHARE_SESSION_EPOCH", 123, retry, "The share session expected another epoch.";
    FencedStateEpoch, "FENCED_STATE_EPOCH", 124, fatal, "The share group's state has a newer epoch.";
    InvalidVoterKey, "INVALID_VOTER_KEY", 125, fatal, "The voter's key is not that of the receiver.";
    DuplicateVoter, "DUPLICATE_VOTER", 126, fatal, "The voter is already one.";
    VoterNotFound, "VOTER_NOT_FOUND", 127, fatal, "There is no such voter.";
    InvalidRegularExpression, "INVALID_REGULAR_EXPRESSION", 128, fatal, "The subscription's regular expression cannot be compiled.";
    RebootstrapRequired, "REBOOTSTRAP_REQUIRED", 129, fatal, "What the client knows of the cluster is too old; start from the bootstrap servers.";
    StreamsInvalidTopology, "STREAMS_INVALID_TOPOLOGY", 130, fatal, "The streams topology is not possible.";
    StreamsInvalidTopologyEpoch, "STREAMS_INVALID_TOPOLOGY_EPOCH", 131, fatal, "The epoch of the streams topology is not possible.";
    StreamsTopologyFenced, "STREAMS_TOPOLOGY_FENCED", 132, fatal, "The streams group has a newer topology.";
    ShareSessionLimitReached, "SHARE_SESSION_LIMIT_REACHED", 133, retry, "This broker holds as many share sessions as its limit allows.";
}

impl ErrorCode {
    /// Returns the number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Reports whether this is [`ErrorCode::None`].
    #[must_use]
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> Self {
        error.code()
    }
}

#[cfg(test)]
#[path = "error_code_test.rs"]
mod tests;

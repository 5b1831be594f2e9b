use std::any::type_name;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{self, ApiKey};
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request, VersionRange};

use super::*;
use crate::frame;
use crate::guard::GuardLimits;
use crate::sample::{Fill, Visitor, sample, visit_every_api};
use crate::walk;

const DIRECTIONS: [Direction; 2] = [Direction::Request, Direction::Response];

#[test]
fn the_table_has_the_api_keys_of_the_message_crate_and_no_others() {
    for api_key in -5..200i16 {
        let known = ApiKey::try_from(api_key).is_ok();
        for direction in DIRECTIONS {
            assert_eq!(
                message(direction, api_key).is_some(),
                known,
                "{direction} {api_key}"
            );
        }
    }
    assert!(message(Direction::Request, i16::MIN).is_none());
    assert!(message(Direction::Response, i16::MAX).is_none());
}

#[test]
fn header_versions_are_those_of_the_message_crate() {
    for (direction, api_key, schema) in schemas().api_messages() {
        let key = ApiKey::try_from(api_key).unwrap();
        for version in schema.versions.first..=schema.versions.last {
            let (ours, theirs) = match direction {
                Direction::Request => (
                    frame::request_header_version(api_key, version),
                    key.request_header_version(version),
                ),
                Direction::Response => (
                    frame::response_header_version(api_key, version),
                    key.response_header_version(version),
                ),
            };
            assert_eq!(ours, Some(theirs), "{direction} {} v{version}", schema.name);
        }
    }
}

/// Every element that an array may hold takes at least one byte, so that counts are bounded by the body.
#[test]
fn no_array_element_is_empty_on_the_wire() {
    fn check(schema: &StructSchema, message: &MessageSchema) {
        for field in &schema.fields {
            for version in field.versions.first..=field.versions.last {
                let size = field.element.size_min(version, message.encoding(version));
                assert!(size >= 1, "{} v{version} {}", message.name, field.name);
            }
            if let Element::Struct(nested) = &field.element {
                check(nested, message);
            }
        }
    }
    schemas()
        .api_messages()
        .for_each(|(_, _, message)| check(&message.root, message));
}

struct Compare;

impl Visitor for Compare {
    fn api<R: Request>(&mut self) {
        compare::<R>(Direction::Request, R::KEY);
        compare::<R::Response>(Direction::Response, R::KEY);
    }
}

fn compare<T: Message + Encodable + Decodable>(direction: Direction, api_key: i16) {
    let schema = message(direction, api_key).unwrap();
    let name = type_name::<T>();
    let here_only = |version: &i16| is_parsed_here_only(direction, api_key, *version);
    let versions = VersionRange {
        min: schema.versions.first,
        max: (schema.versions.first..=schema.versions.last)
            .take_while(|version| !here_only(version))
            .last()
            .unwrap(),
    };
    assert_eq!(versions, T::VERSIONS, "{name}");
    let limits = GuardLimits::default();
    for version in versions.min..=versions.max {
        for seed in 0..30 {
            let fill = if seed < 10 { Fill::Full } else { Fill::Random };
            let body = sample(schema, version, seed, fill).body;
            let context = format!("{name} v{version} seed {seed} {body:02x?}");
            walk::check(schema, version, &body, &limits).unwrap_or_else(|error| panic!("{context}: {error}"));
            let mut rest = Bytes::copy_from_slice(&body);
            let decoded =
                T::decode(&mut rest, version).unwrap_or_else(|error| panic!("{context}: {error:#}"));
            assert!(rest.is_empty(), "{context}: {} bytes left", rest.len());
            let mut again = BytesMut::new();
            decoded
                .encode(&mut again, version)
                .unwrap_or_else(|error| panic!("{context}: {error:#}"));
            assert_eq!(again, body, "{context}");
        }
    }
}

/// Random bodies made from the table: the guard takes them, the crate decodes all of them and writes the same bytes.
#[test]
fn the_table_describes_what_the_message_crate_reads_and_writes() {
    visit_every_api(&mut Compare);
}

#[test]
fn no_body_is_smaller_than_the_minimum_size() {
    for (_, _, schema) in schemas().api_messages() {
        for version in schema.versions.first..=schema.versions.last {
            for seed in 0..20 {
                let body = sample(schema, version, seed, Fill::Random).body;
                assert!(
                    body.len() >= schema.root.size_min(version),
                    "{} v{version}",
                    schema.name
                );
            }
        }
    }
}

macro_rules! structures {
    ($($direction:ident $api_key:literal $path:literal $($type:ident)::+;)*) => {
        /// Every decoded structure, its place in the table and its size in memory.
        const STRUCTURES: &[(Direction, i16, &str, usize)] = &[
            $((Direction::$direction, $api_key, $path, size_of::<messages::$($type)::+>()),)*
        ];

        fn default_bodies(api: (Direction, i16), version: i16) -> Option<Vec<u8>> {
            $(if $path.is_empty() && api == (Direction::$direction, $api_key) {
                let mut body = Vec::new();
                messages::$($type)::+::default().encode(&mut body, version).unwrap();
                return Some(body);
            })*
            None
        }
    };
}

#[test]
fn default_messages_pass() {
    for (direction, api_key, schema) in schemas().api_messages() {
        for version in schema.versions.first..=schema.versions.last {
            if is_parsed_here_only(direction, api_key, version) {
                continue;
            }
            let body = default_bodies((direction, api_key), version).unwrap();
            walk::check(schema, version, &body, &GuardLimits::default())
                .unwrap_or_else(|error| panic!("{direction} {error}"));
            assert!(body.len() >= schema.root.size_min(version));
        }
    }
}

/// What the guard counts for a structure is at least what the decoded structure takes.
#[test]
fn weights_are_not_below_the_sizes_in_memory() {
    for (direction, api_key, path, size) in STRUCTURES {
        let mut schema = &message(*direction, *api_key).unwrap().root;
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let field = schema.fields.iter().find(|field| field.name == name);
            let Some(Element::Struct(nested)) = field.map(|field| &field.element) else {
                panic!("{direction} {api_key} has no structure {path}");
            };
            schema = nested;
        }
        assert!(
            schema.weight >= *size,
            "{direction} {api_key} {path}: {} < {size}",
            schema.weight
        );
    }
}

#[rustfmt::skip]
structures! {
    Request 0 "" produce_request::ProduceRequest;
    Request 0 "topic_data" produce_request::TopicProduceData;
    Request 0 "topic_data.partition_data" produce_request::PartitionProduceData;
    Response 0 "" produce_response::ProduceResponse;
    Response 0 "responses" produce_response::TopicProduceResponse;
    Response 0 "responses.partition_responses" produce_response::PartitionProduceResponse;
    Response 0 "responses.partition_responses.record_errors" produce_response::BatchIndexAndErrorMessage;
    Response 0 "responses.partition_responses.current_leader" produce_response::LeaderIdAndEpoch;
    Response 0 "node_endpoints" produce_response::NodeEndpoint;
    Request 1 "" fetch_request::FetchRequest;
    Request 1 "topics" fetch_request::FetchTopic;
    Request 1 "topics.partitions" fetch_request::FetchPartition;
    Request 1 "forgotten_topics_data" fetch_request::ForgottenTopic;
    Request 1 "replica_state" fetch_request::ReplicaState;
    Response 1 "" fetch_response::FetchResponse;
    Response 1 "responses" fetch_response::FetchableTopicResponse;
    Response 1 "responses.partitions" fetch_response::PartitionData;
    Response 1 "responses.partitions.aborted_transactions" fetch_response::AbortedTransaction;
    Response 1 "responses.partitions.diverging_epoch" fetch_response::EpochEndOffset;
    Response 1 "responses.partitions.current_leader" fetch_response::LeaderIdAndEpoch;
    Response 1 "responses.partitions.snapshot_id" fetch_response::SnapshotId;
    Response 1 "node_endpoints" fetch_response::NodeEndpoint;
    Request 2 "" list_offsets_request::ListOffsetsRequest;
    Request 2 "topics" list_offsets_request::ListOffsetsTopic;
    Request 2 "topics.partitions" list_offsets_request::ListOffsetsPartition;
    Response 2 "" list_offsets_response::ListOffsetsResponse;
    Response 2 "topics" list_offsets_response::ListOffsetsTopicResponse;
    Response 2 "topics.partitions" list_offsets_response::ListOffsetsPartitionResponse;
    Request 3 "" metadata_request::MetadataRequest;
    Request 3 "topics" metadata_request::MetadataRequestTopic;
    Response 3 "" metadata_response::MetadataResponse;
    Response 3 "brokers" metadata_response::MetadataResponseBroker;
    Response 3 "topics" metadata_response::MetadataResponseTopic;
    Response 3 "topics.partitions" metadata_response::MetadataResponsePartition;
    Request 8 "" offset_commit_request::OffsetCommitRequest;
    Request 8 "topics" offset_commit_request::OffsetCommitRequestTopic;
    Request 8 "topics.partitions" offset_commit_request::OffsetCommitRequestPartition;
    Response 8 "" offset_commit_response::OffsetCommitResponse;
    Response 8 "topics" offset_commit_response::OffsetCommitResponseTopic;
    Response 8 "topics.partitions" offset_commit_response::OffsetCommitResponsePartition;
    Request 9 "" offset_fetch_request::OffsetFetchRequest;
    Request 9 "topics" offset_fetch_request::OffsetFetchRequestTopic;
    Request 9 "groups" offset_fetch_request::OffsetFetchRequestGroup;
    Request 9 "groups.topics" offset_fetch_request::OffsetFetchRequestTopics;
    Response 9 "" offset_fetch_response::OffsetFetchResponse;
    Response 9 "topics" offset_fetch_response::OffsetFetchResponseTopic;
    Response 9 "topics.partitions" offset_fetch_response::OffsetFetchResponsePartition;
    Response 9 "groups" offset_fetch_response::OffsetFetchResponseGroup;
    Response 9 "groups.topics" offset_fetch_response::OffsetFetchResponseTopics;
    Response 9 "groups.topics.partitions" offset_fetch_response::OffsetFetchResponsePartitions;
    Request 10 "" find_coordinator_request::FindCoordinatorRequest;
    Response 10 "" find_coordinator_response::FindCoordinatorResponse;
    Response 10 "coordinators" find_coordinator_response::Coordinator;
    Request 11 "" join_group_request::JoinGroupRequest;
    Request 11 "protocols" join_group_request::JoinGroupRequestProtocol;
    Response 11 "" join_group_response::JoinGroupResponse;
    Response 11 "members" join_group_response::JoinGroupResponseMember;
    Request 12 "" heartbeat_request::HeartbeatRequest;
    Response 12 "" heartbeat_response::HeartbeatResponse;
    Request 13 "" leave_group_request::LeaveGroupRequest;
    Request 13 "members" leave_group_request::MemberIdentity;
    Response 13 "" leave_group_response::LeaveGroupResponse;
    Response 13 "members" leave_group_response::MemberResponse;
    Request 14 "" sync_group_request::SyncGroupRequest;
    Request 14 "assignments" sync_group_request::SyncGroupRequestAssignment;
    Response 14 "" sync_group_response::SyncGroupResponse;
    Request 15 "" describe_groups_request::DescribeGroupsRequest;
    Response 15 "" describe_groups_response::DescribeGroupsResponse;
    Response 15 "groups" describe_groups_response::DescribedGroup;
    Response 15 "groups.members" describe_groups_response::DescribedGroupMember;
    Request 16 "" list_groups_request::ListGroupsRequest;
    Response 16 "" list_groups_response::ListGroupsResponse;
    Response 16 "groups" list_groups_response::ListedGroup;
    Request 17 "" sasl_handshake_request::SaslHandshakeRequest;
    Response 17 "" sasl_handshake_response::SaslHandshakeResponse;
    Request 18 "" api_versions_request::ApiVersionsRequest;
    Response 18 "" api_versions_response::ApiVersionsResponse;
    Response 18 "api_keys" api_versions_response::ApiVersion;
    Response 18 "supported_features" api_versions_response::SupportedFeatureKey;
    Response 18 "finalized_features" api_versions_response::FinalizedFeatureKey;
    Request 19 "" create_topics_request::CreateTopicsRequest;
    Request 19 "topics" create_topics_request::CreatableTopic;
    Request 19 "topics.assignments" create_topics_request::CreatableReplicaAssignment;
    Request 19 "topics.configs" create_topics_request::CreatableTopicConfig;
    Response 19 "" create_topics_response::CreateTopicsResponse;
    Response 19 "topics" create_topics_response::CreatableTopicResult;
    Response 19 "topics.configs" create_topics_response::CreatableTopicConfigs;
    Request 20 "" delete_topics_request::DeleteTopicsRequest;
    Request 20 "topics" delete_topics_request::DeleteTopicState;
    Response 20 "" delete_topics_response::DeleteTopicsResponse;
    Response 20 "responses" delete_topics_response::DeletableTopicResult;
    Request 21 "" delete_records_request::DeleteRecordsRequest;
    Request 21 "topics" delete_records_request::DeleteRecordsTopic;
    Request 21 "topics.partitions" delete_records_request::DeleteRecordsPartition;
    Response 21 "" delete_records_response::DeleteRecordsResponse;
    Response 21 "topics" delete_records_response::DeleteRecordsTopicResult;
    Response 21 "topics.partitions" delete_records_response::DeleteRecordsPartitionResult;
    Request 22 "" init_producer_id_request::InitProducerIdRequest;
    Response 22 "" init_producer_id_response::InitProducerIdResponse;
    Request 23 "" offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
    Request 23 "topics" offset_for_leader_epoch_request::OffsetForLeaderTopic;
    Request 23 "topics.partitions" offset_for_leader_epoch_request::OffsetForLeaderPartition;
    Response 23 "" offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;
    Response 23 "topics" offset_for_leader_epoch_response::OffsetForLeaderTopicResult;
    Response 23 "topics.partitions" offset_for_leader_epoch_response::EpochEndOffset;
    Request 24 "" add_partitions_to_txn_request::AddPartitionsToTxnRequest;
    Request 24 "transactions" add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
    Request 24 "transactions.topics" add_partitions_to_txn_request::AddPartitionsToTxnTopic;
    Request 24 "v3_and_below_topics" add_partitions_to_txn_request::AddPartitionsToTxnTopic;
    Response 24 "" add_partitions_to_txn_response::AddPartitionsToTxnResponse;
    Response 24 "results_by_transaction" add_partitions_to_txn_response::AddPartitionsToTxnResult;
    Response 24 "results_by_transaction.topic_results" add_partitions_to_txn_response::AddPartitionsToTxnTopicResult;
    Response 24 "results_by_transaction.topic_results.results_by_partition" add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult;
    Response 24 "results_by_topic_v3_and_below" add_partitions_to_txn_response::AddPartitionsToTxnTopicResult;
    Response 24 "results_by_topic_v3_and_below.results_by_partition" add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult;
    Request 25 "" add_offsets_to_txn_request::AddOffsetsToTxnRequest;
    Response 25 "" add_offsets_to_txn_response::AddOffsetsToTxnResponse;
    Request 26 "" end_txn_request::EndTxnRequest;
    Response 26 "" end_txn_response::EndTxnResponse;
    Request 27 "" write_txn_markers_request::WriteTxnMarkersRequest;
    Request 27 "markers" write_txn_markers_request::WritableTxnMarker;
    Request 27 "markers.topics" write_txn_markers_request::WritableTxnMarkerTopic;
    Response 27 "" write_txn_markers_response::WriteTxnMarkersResponse;
    Response 27 "markers" write_txn_markers_response::WritableTxnMarkerResult;
    Response 27 "markers.topics" write_txn_markers_response::WritableTxnMarkerTopicResult;
    Response 27 "markers.topics.partitions" write_txn_markers_response::WritableTxnMarkerPartitionResult;
    Request 28 "" txn_offset_commit_request::TxnOffsetCommitRequest;
    Request 28 "topics" txn_offset_commit_request::TxnOffsetCommitRequestTopic;
    Request 28 "topics.partitions" txn_offset_commit_request::TxnOffsetCommitRequestPartition;
    Response 28 "" txn_offset_commit_response::TxnOffsetCommitResponse;
    Response 28 "topics" txn_offset_commit_response::TxnOffsetCommitResponseTopic;
    Response 28 "topics.partitions" txn_offset_commit_response::TxnOffsetCommitResponsePartition;
    Request 29 "" describe_acls_request::DescribeAclsRequest;
    Response 29 "" describe_acls_response::DescribeAclsResponse;
    Response 29 "resources" describe_acls_response::DescribeAclsResource;
    Response 29 "resources.acls" describe_acls_response::AclDescription;
    Request 30 "" create_acls_request::CreateAclsRequest;
    Request 30 "creations" create_acls_request::AclCreation;
    Response 30 "" create_acls_response::CreateAclsResponse;
    Response 30 "results" create_acls_response::AclCreationResult;
    Request 31 "" delete_acls_request::DeleteAclsRequest;
    Request 31 "filters" delete_acls_request::DeleteAclsFilter;
    Response 31 "" delete_acls_response::DeleteAclsResponse;
    Response 31 "filter_results" delete_acls_response::DeleteAclsFilterResult;
    Response 31 "filter_results.matching_acls" delete_acls_response::DeleteAclsMatchingAcl;
    Request 32 "" describe_configs_request::DescribeConfigsRequest;
    Request 32 "resources" describe_configs_request::DescribeConfigsResource;
    Response 32 "" describe_configs_response::DescribeConfigsResponse;
    Response 32 "results" describe_configs_response::DescribeConfigsResult;
    Response 32 "results.configs" describe_configs_response::DescribeConfigsResourceResult;
    Response 32 "results.configs.synonyms" describe_configs_response::DescribeConfigsSynonym;
    Request 33 "" alter_configs_request::AlterConfigsRequest;
    Request 33 "resources" alter_configs_request::AlterConfigsResource;
    Request 33 "resources.configs" alter_configs_request::AlterableConfig;
    Response 33 "" alter_configs_response::AlterConfigsResponse;
    Response 33 "responses" alter_configs_response::AlterConfigsResourceResponse;
    Request 34 "" alter_replica_log_dirs_request::AlterReplicaLogDirsRequest;
    Request 34 "dirs" alter_replica_log_dirs_request::AlterReplicaLogDir;
    Request 34 "dirs.topics" alter_replica_log_dirs_request::AlterReplicaLogDirTopic;
    Response 34 "" alter_replica_log_dirs_response::AlterReplicaLogDirsResponse;
    Response 34 "results" alter_replica_log_dirs_response::AlterReplicaLogDirTopicResult;
    Response 34 "results.partitions" alter_replica_log_dirs_response::AlterReplicaLogDirPartitionResult;
    Request 35 "" describe_log_dirs_request::DescribeLogDirsRequest;
    Request 35 "topics" describe_log_dirs_request::DescribableLogDirTopic;
    Response 35 "" describe_log_dirs_response::DescribeLogDirsResponse;
    Response 35 "results" describe_log_dirs_response::DescribeLogDirsResult;
    Response 35 "results.topics" describe_log_dirs_response::DescribeLogDirsTopic;
    Response 35 "results.topics.partitions" describe_log_dirs_response::DescribeLogDirsPartition;
    Request 36 "" sasl_authenticate_request::SaslAuthenticateRequest;
    Response 36 "" sasl_authenticate_response::SaslAuthenticateResponse;
    Request 37 "" create_partitions_request::CreatePartitionsRequest;
    Request 37 "topics" create_partitions_request::CreatePartitionsTopic;
    Request 37 "topics.assignments" create_partitions_request::CreatePartitionsAssignment;
    Response 37 "" create_partitions_response::CreatePartitionsResponse;
    Response 37 "results" create_partitions_response::CreatePartitionsTopicResult;
    Request 38 "" create_delegation_token_request::CreateDelegationTokenRequest;
    Request 38 "renewers" create_delegation_token_request::CreatableRenewers;
    Response 38 "" create_delegation_token_response::CreateDelegationTokenResponse;
    Request 39 "" renew_delegation_token_request::RenewDelegationTokenRequest;
    Response 39 "" renew_delegation_token_response::RenewDelegationTokenResponse;
    Request 40 "" expire_delegation_token_request::ExpireDelegationTokenRequest;
    Response 40 "" expire_delegation_token_response::ExpireDelegationTokenResponse;
    Request 41 "" describe_delegation_token_request::DescribeDelegationTokenRequest;
    Request 41 "owners" describe_delegation_token_request::DescribeDelegationTokenOwner;
    Response 41 "" describe_delegation_token_response::DescribeDelegationTokenResponse;
    Response 41 "tokens" describe_delegation_token_response::DescribedDelegationToken;
    Response 41 "tokens.renewers" describe_delegation_token_response::DescribedDelegationTokenRenewer;
    Request 42 "" delete_groups_request::DeleteGroupsRequest;
    Response 42 "" delete_groups_response::DeleteGroupsResponse;
    Response 42 "results" delete_groups_response::DeletableGroupResult;
    Request 43 "" elect_leaders_request::ElectLeadersRequest;
    Request 43 "topic_partitions" elect_leaders_request::TopicPartitions;
    Response 43 "" elect_leaders_response::ElectLeadersResponse;
    Response 43 "replica_election_results" elect_leaders_response::ReplicaElectionResult;
    Response 43 "replica_election_results.partition_result" elect_leaders_response::PartitionResult;
    Request 44 "" incremental_alter_configs_request::IncrementalAlterConfigsRequest;
    Request 44 "resources" incremental_alter_configs_request::AlterConfigsResource;
    Request 44 "resources.configs" incremental_alter_configs_request::AlterableConfig;
    Response 44 "" incremental_alter_configs_response::IncrementalAlterConfigsResponse;
    Response 44 "responses" incremental_alter_configs_response::AlterConfigsResourceResponse;
    Request 45 "" alter_partition_reassignments_request::AlterPartitionReassignmentsRequest;
    Request 45 "topics" alter_partition_reassignments_request::ReassignableTopic;
    Request 45 "topics.partitions" alter_partition_reassignments_request::ReassignablePartition;
    Response 45 "" alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;
    Response 45 "responses" alter_partition_reassignments_response::ReassignableTopicResponse;
    Response 45 "responses.partitions" alter_partition_reassignments_response::ReassignablePartitionResponse;
    Request 46 "" list_partition_reassignments_request::ListPartitionReassignmentsRequest;
    Request 46 "topics" list_partition_reassignments_request::ListPartitionReassignmentsTopics;
    Response 46 "" list_partition_reassignments_response::ListPartitionReassignmentsResponse;
    Response 46 "topics" list_partition_reassignments_response::OngoingTopicReassignment;
    Response 46 "topics.partitions" list_partition_reassignments_response::OngoingPartitionReassignment;
    Request 47 "" offset_delete_request::OffsetDeleteRequest;
    Request 47 "topics" offset_delete_request::OffsetDeleteRequestTopic;
    Request 47 "topics.partitions" offset_delete_request::OffsetDeleteRequestPartition;
    Response 47 "" offset_delete_response::OffsetDeleteResponse;
    Response 47 "topics" offset_delete_response::OffsetDeleteResponseTopic;
    Response 47 "topics.partitions" offset_delete_response::OffsetDeleteResponsePartition;
    Request 48 "" describe_client_quotas_request::DescribeClientQuotasRequest;
    Request 48 "components" describe_client_quotas_request::ComponentData;
    Response 48 "" describe_client_quotas_response::DescribeClientQuotasResponse;
    Response 48 "entries" describe_client_quotas_response::EntryData;
    Response 48 "entries.entity" describe_client_quotas_response::EntityData;
    Response 48 "entries.values" describe_client_quotas_response::ValueData;
    Request 49 "" alter_client_quotas_request::AlterClientQuotasRequest;
    Request 49 "entries" alter_client_quotas_request::EntryData;
    Request 49 "entries.entity" alter_client_quotas_request::EntityData;
    Request 49 "entries.ops" alter_client_quotas_request::OpData;
    Response 49 "" alter_client_quotas_response::AlterClientQuotasResponse;
    Response 49 "entries" alter_client_quotas_response::EntryData;
    Response 49 "entries.entity" alter_client_quotas_response::EntityData;
    Request 50 "" describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest;
    Request 50 "users" describe_user_scram_credentials_request::UserName;
    Response 50 "" describe_user_scram_credentials_response::DescribeUserScramCredentialsResponse;
    Response 50 "results" describe_user_scram_credentials_response::DescribeUserScramCredentialsResult;
    Response 50 "results.credential_infos" describe_user_scram_credentials_response::CredentialInfo;
    Request 51 "" alter_user_scram_credentials_request::AlterUserScramCredentialsRequest;
    Request 51 "deletions" alter_user_scram_credentials_request::ScramCredentialDeletion;
    Request 51 "upsertions" alter_user_scram_credentials_request::ScramCredentialUpsertion;
    Response 51 "" alter_user_scram_credentials_response::AlterUserScramCredentialsResponse;
    Response 51 "results" alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
    Request 52 "" vote_request::VoteRequest;
    Request 52 "topics" vote_request::TopicData;
    Request 52 "topics.partitions" vote_request::PartitionData;
    Response 52 "" vote_response::VoteResponse;
    Response 52 "topics" vote_response::TopicData;
    Response 52 "topics.partitions" vote_response::PartitionData;
    Response 52 "node_endpoints" vote_response::NodeEndpoint;
    Request 53 "" begin_quorum_epoch_request::BeginQuorumEpochRequest;
    Request 53 "topics" begin_quorum_epoch_request::TopicData;
    Request 53 "topics.partitions" begin_quorum_epoch_request::PartitionData;
    Request 53 "leader_endpoints" begin_quorum_epoch_request::LeaderEndpoint;
    Response 53 "" begin_quorum_epoch_response::BeginQuorumEpochResponse;
    Response 53 "topics" begin_quorum_epoch_response::TopicData;
    Response 53 "topics.partitions" begin_quorum_epoch_response::PartitionData;
    Response 53 "node_endpoints" begin_quorum_epoch_response::NodeEndpoint;
    Request 54 "" end_quorum_epoch_request::EndQuorumEpochRequest;
    Request 54 "topics" end_quorum_epoch_request::TopicData;
    Request 54 "topics.partitions" end_quorum_epoch_request::PartitionData;
    Request 54 "topics.partitions.preferred_candidates" end_quorum_epoch_request::ReplicaInfo;
    Request 54 "leader_endpoints" end_quorum_epoch_request::LeaderEndpoint;
    Response 54 "" end_quorum_epoch_response::EndQuorumEpochResponse;
    Response 54 "topics" end_quorum_epoch_response::TopicData;
    Response 54 "topics.partitions" end_quorum_epoch_response::PartitionData;
    Response 54 "node_endpoints" end_quorum_epoch_response::NodeEndpoint;
    Request 55 "" describe_quorum_request::DescribeQuorumRequest;
    Request 55 "topics" describe_quorum_request::TopicData;
    Request 55 "topics.partitions" describe_quorum_request::PartitionData;
    Response 55 "" describe_quorum_response::DescribeQuorumResponse;
    Response 55 "topics" describe_quorum_response::TopicData;
    Response 55 "topics.partitions" describe_quorum_response::PartitionData;
    Response 55 "topics.partitions.current_voters" describe_quorum_response::ReplicaState;
    Response 55 "topics.partitions.observers" describe_quorum_response::ReplicaState;
    Response 55 "nodes" describe_quorum_response::Node;
    Response 55 "nodes.listeners" describe_quorum_response::Listener;
    Request 56 "" alter_partition_request::AlterPartitionRequest;
    Request 56 "topics" alter_partition_request::TopicData;
    Request 56 "topics.partitions" alter_partition_request::PartitionData;
    Request 56 "topics.partitions.new_isr_with_epochs" alter_partition_request::BrokerState;
    Response 56 "" alter_partition_response::AlterPartitionResponse;
    Response 56 "topics" alter_partition_response::TopicData;
    Response 56 "topics.partitions" alter_partition_response::PartitionData;
    Request 57 "" update_features_request::UpdateFeaturesRequest;
    Request 57 "feature_updates" update_features_request::FeatureUpdateKey;
    Response 57 "" update_features_response::UpdateFeaturesResponse;
    Response 57 "results" update_features_response::UpdatableFeatureResult;
    Request 58 "" envelope_request::EnvelopeRequest;
    Response 58 "" envelope_response::EnvelopeResponse;
    Request 59 "" fetch_snapshot_request::FetchSnapshotRequest;
    Request 59 "topics" fetch_snapshot_request::TopicSnapshot;
    Request 59 "topics.partitions" fetch_snapshot_request::PartitionSnapshot;
    Request 59 "topics.partitions.snapshot_id" fetch_snapshot_request::SnapshotId;
    Response 59 "" fetch_snapshot_response::FetchSnapshotResponse;
    Response 59 "topics" fetch_snapshot_response::TopicSnapshot;
    Response 59 "topics.partitions" fetch_snapshot_response::PartitionSnapshot;
    Response 59 "topics.partitions.snapshot_id" fetch_snapshot_response::SnapshotId;
    Response 59 "topics.partitions.current_leader" fetch_snapshot_response::LeaderIdAndEpoch;
    Response 59 "node_endpoints" fetch_snapshot_response::NodeEndpoint;
    Request 60 "" describe_cluster_request::DescribeClusterRequest;
    Response 60 "" describe_cluster_response::DescribeClusterResponse;
    Response 60 "brokers" describe_cluster_response::DescribeClusterBroker;
    Request 61 "" describe_producers_request::DescribeProducersRequest;
    Request 61 "topics" describe_producers_request::TopicRequest;
    Response 61 "" describe_producers_response::DescribeProducersResponse;
    Response 61 "topics" describe_producers_response::TopicResponse;
    Response 61 "topics.partitions" describe_producers_response::PartitionResponse;
    Response 61 "topics.partitions.active_producers" describe_producers_response::ProducerState;
    Request 62 "" broker_registration_request::BrokerRegistrationRequest;
    Request 62 "listeners" broker_registration_request::Listener;
    Request 62 "features" broker_registration_request::Feature;
    Response 62 "" broker_registration_response::BrokerRegistrationResponse;
    Request 63 "" broker_heartbeat_request::BrokerHeartbeatRequest;
    Response 63 "" broker_heartbeat_response::BrokerHeartbeatResponse;
    Request 64 "" unregister_broker_request::UnregisterBrokerRequest;
    Response 64 "" unregister_broker_response::UnregisterBrokerResponse;
    Request 65 "" describe_transactions_request::DescribeTransactionsRequest;
    Response 65 "" describe_transactions_response::DescribeTransactionsResponse;
    Response 65 "transaction_states" describe_transactions_response::TransactionState;
    Response 65 "transaction_states.topics" describe_transactions_response::TopicData;
    Request 66 "" list_transactions_request::ListTransactionsRequest;
    Response 66 "" list_transactions_response::ListTransactionsResponse;
    Response 66 "transaction_states" list_transactions_response::TransactionState;
    Request 67 "" allocate_producer_ids_request::AllocateProducerIdsRequest;
    Response 67 "" allocate_producer_ids_response::AllocateProducerIdsResponse;
    Request 68 "" consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
    Request 68 "topic_partitions" consumer_group_heartbeat_request::TopicPartitions;
    Response 68 "" consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
    Response 68 "assignment" consumer_group_heartbeat_response::Assignment;
    Response 68 "assignment.topic_partitions" consumer_group_heartbeat_response::TopicPartitions;
    Request 69 "" consumer_group_describe_request::ConsumerGroupDescribeRequest;
    Response 69 "" consumer_group_describe_response::ConsumerGroupDescribeResponse;
    Response 69 "groups" consumer_group_describe_response::DescribedGroup;
    Response 69 "groups.members" consumer_group_describe_response::Member;
    Response 69 "groups.members.assignment" consumer_group_describe_response::Assignment;
    Response 69 "groups.members.assignment.topic_partitions" consumer_group_describe_response::TopicPartitions;
    Response 69 "groups.members.target_assignment" consumer_group_describe_response::Assignment;
    Response 69 "groups.members.target_assignment.topic_partitions" consumer_group_describe_response::TopicPartitions;
    Request 70 "" controller_registration_request::ControllerRegistrationRequest;
    Request 70 "listeners" controller_registration_request::Listener;
    Request 70 "features" controller_registration_request::Feature;
    Response 70 "" controller_registration_response::ControllerRegistrationResponse;
    Request 71 "" get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequest;
    Response 71 "" get_telemetry_subscriptions_response::GetTelemetrySubscriptionsResponse;
    Request 72 "" push_telemetry_request::PushTelemetryRequest;
    Response 72 "" push_telemetry_response::PushTelemetryResponse;
    Request 73 "" assign_replicas_to_dirs_request::AssignReplicasToDirsRequest;
    Request 73 "directories" assign_replicas_to_dirs_request::DirectoryData;
    Request 73 "directories.topics" assign_replicas_to_dirs_request::TopicData;
    Request 73 "directories.topics.partitions" assign_replicas_to_dirs_request::PartitionData;
    Response 73 "" assign_replicas_to_dirs_response::AssignReplicasToDirsResponse;
    Response 73 "directories" assign_replicas_to_dirs_response::DirectoryData;
    Response 73 "directories.topics" assign_replicas_to_dirs_response::TopicData;
    Response 73 "directories.topics.partitions" assign_replicas_to_dirs_response::PartitionData;
    Request 74 "" list_config_resources_request::ListConfigResourcesRequest;
    Response 74 "" list_config_resources_response::ListConfigResourcesResponse;
    Response 74 "config_resources" list_config_resources_response::ConfigResource;
    Request 75 "" describe_topic_partitions_request::DescribeTopicPartitionsRequest;
    Request 75 "topics" describe_topic_partitions_request::TopicRequest;
    Request 75 "cursor" describe_topic_partitions_request::Cursor;
    Response 75 "" describe_topic_partitions_response::DescribeTopicPartitionsResponse;
    Response 75 "topics" describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
    Response 75 "topics.partitions" describe_topic_partitions_response::DescribeTopicPartitionsResponsePartition;
    Response 75 "next_cursor" describe_topic_partitions_response::Cursor;
    Request 76 "" share_group_heartbeat_request::ShareGroupHeartbeatRequest;
    Response 76 "" share_group_heartbeat_response::ShareGroupHeartbeatResponse;
    Response 76 "assignment" share_group_heartbeat_response::Assignment;
    Response 76 "assignment.topic_partitions" share_group_heartbeat_response::TopicPartitions;
    Request 77 "" share_group_describe_request::ShareGroupDescribeRequest;
    Response 77 "" share_group_describe_response::ShareGroupDescribeResponse;
    Response 77 "groups" share_group_describe_response::DescribedGroup;
    Response 77 "groups.members" share_group_describe_response::Member;
    Response 77 "groups.members.assignment" share_group_describe_response::Assignment;
    Response 77 "groups.members.assignment.topic_partitions" share_group_describe_response::TopicPartitions;
    Request 78 "" share_fetch_request::ShareFetchRequest;
    Request 78 "topics" share_fetch_request::FetchTopic;
    Request 78 "topics.partitions" share_fetch_request::FetchPartition;
    Request 78 "topics.partitions.acknowledgement_batches" share_fetch_request::AcknowledgementBatch;
    Request 78 "forgotten_topics_data" share_fetch_request::ForgottenTopic;
    Response 78 "" share_fetch_response::ShareFetchResponse;
    Response 78 "responses" share_fetch_response::ShareFetchableTopicResponse;
    Response 78 "responses.partitions" share_fetch_response::PartitionData;
    Response 78 "responses.partitions.current_leader" share_fetch_response::LeaderIdAndEpoch;
    Response 78 "responses.partitions.acquired_records" share_fetch_response::AcquiredRecords;
    Response 78 "node_endpoints" share_fetch_response::NodeEndpoint;
    Request 79 "" share_acknowledge_request::ShareAcknowledgeRequest;
    Request 79 "topics" share_acknowledge_request::AcknowledgeTopic;
    Request 79 "topics.partitions" share_acknowledge_request::AcknowledgePartition;
    Request 79 "topics.partitions.acknowledgement_batches" share_acknowledge_request::AcknowledgementBatch;
    Response 79 "" share_acknowledge_response::ShareAcknowledgeResponse;
    Response 79 "responses" share_acknowledge_response::ShareAcknowledgeTopicResponse;
    Response 79 "responses.partitions" share_acknowledge_response::PartitionData;
    Response 79 "responses.partitions.current_leader" share_acknowledge_response::LeaderIdAndEpoch;
    Response 79 "node_endpoints" share_acknowledge_response::NodeEndpoint;
    Request 80 "" add_raft_voter_request::AddRaftVoterRequest;
    Request 80 "listeners" add_raft_voter_request::Listener;
    Response 80 "" add_raft_voter_response::AddRaftVoterResponse;
    Request 81 "" remove_raft_voter_request::RemoveRaftVoterRequest;
    Response 81 "" remove_raft_voter_response::RemoveRaftVoterResponse;
    Request 82 "" update_raft_voter_request::UpdateRaftVoterRequest;
    Request 82 "listeners" update_raft_voter_request::Listener;
    Request 82 "k_raft_version_feature" update_raft_voter_request::KRaftVersionFeature;
    Response 82 "" update_raft_voter_response::UpdateRaftVoterResponse;
    Response 82 "current_leader" update_raft_voter_response::CurrentLeader;
    Request 83 "" initialize_share_group_state_request::InitializeShareGroupStateRequest;
    Request 83 "topics" initialize_share_group_state_request::InitializeStateData;
    Request 83 "topics.partitions" initialize_share_group_state_request::PartitionData;
    Response 83 "" initialize_share_group_state_response::InitializeShareGroupStateResponse;
    Response 83 "results" initialize_share_group_state_response::InitializeStateResult;
    Response 83 "results.partitions" initialize_share_group_state_response::PartitionResult;
    Request 84 "" read_share_group_state_request::ReadShareGroupStateRequest;
    Request 84 "topics" read_share_group_state_request::ReadStateData;
    Request 84 "topics.partitions" read_share_group_state_request::PartitionData;
    Response 84 "" read_share_group_state_response::ReadShareGroupStateResponse;
    Response 84 "results" read_share_group_state_response::ReadStateResult;
    Response 84 "results.partitions" read_share_group_state_response::PartitionResult;
    Response 84 "results.partitions.state_batches" read_share_group_state_response::StateBatch;
    Request 85 "" write_share_group_state_request::WriteShareGroupStateRequest;
    Request 85 "topics" write_share_group_state_request::WriteStateData;
    Request 85 "topics.partitions" write_share_group_state_request::PartitionData;
    Request 85 "topics.partitions.state_batches" write_share_group_state_request::StateBatch;
    Response 85 "" write_share_group_state_response::WriteShareGroupStateResponse;
    Response 85 "results" write_share_group_state_response::WriteStateResult;
    Response 85 "results.partitions" write_share_group_state_response::PartitionResult;
    Request 86 "" delete_share_group_state_request::DeleteShareGroupStateRequest;
    Request 86 "topics" delete_share_group_state_request::DeleteStateData;
    Request 86 "topics.partitions" delete_share_group_state_request::PartitionData;
    Response 86 "" delete_share_group_state_response::DeleteShareGroupStateResponse;
    Response 86 "results" delete_share_group_state_response::DeleteStateResult;
    Response 86 "results.partitions" delete_share_group_state_response::PartitionResult;
    Request 87 "" read_share_group_state_summary_request::ReadShareGroupStateSummaryRequest;
    Request 87 "topics" read_share_group_state_summary_request::ReadStateSummaryData;
    Request 87 "topics.partitions" read_share_group_state_summary_request::PartitionData;
    Response 87 "" read_share_group_state_summary_response::ReadShareGroupStateSummaryResponse;
    Response 87 "results" read_share_group_state_summary_response::ReadStateSummaryResult;
    Response 87 "results.partitions" read_share_group_state_summary_response::PartitionResult;
    Request 90 "" describe_share_group_offsets_request::DescribeShareGroupOffsetsRequest;
    Request 90 "groups" describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
    Request 90 "groups.topics" describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestTopic;
    Response 90 "" describe_share_group_offsets_response::DescribeShareGroupOffsetsResponse;
    Response 90 "groups" describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup;
    Response 90 "groups.topics" describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseTopic;
    Response 90 "groups.topics.partitions" describe_share_group_offsets_response::DescribeShareGroupOffsetsResponsePartition;
    Request 91 "" alter_share_group_offsets_request::AlterShareGroupOffsetsRequest;
    Request 91 "topics" alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic;
    Request 91 "topics.partitions" alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition;
    Response 91 "" alter_share_group_offsets_response::AlterShareGroupOffsetsResponse;
    Response 91 "responses" alter_share_group_offsets_response::AlterShareGroupOffsetsResponseTopic;
    Response 91 "responses.partitions" alter_share_group_offsets_response::AlterShareGroupOffsetsResponsePartition;
    Request 92 "" delete_share_group_offsets_request::DeleteShareGroupOffsetsRequest;
    Request 92 "topics" delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
    Response 92 "" delete_share_group_offsets_response::DeleteShareGroupOffsetsResponse;
    Response 92 "responses" delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
}

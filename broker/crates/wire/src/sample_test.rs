//! Valid message bodies made from the schema table, for the tests of this crate.

use kafka_protocol::messages;
use kafka_protocol::protocol::Request;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::schema::{Element, Encoding, FieldSchema, MessageSchema, Shape, StructSchema};

/// Something to do for the types of every API.
pub(crate) trait Visitor {
    fn api<R: Request>(&mut self);
}

/// What is put into a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Arrays of one element at least, no nulls, every known tag: every field of the version is in the body.
    Full,
    /// Nulls, empty arrays, missing and unknown tags by chance.
    Random,
}

/// A body, and where its lengths are.
pub(crate) struct Sample {
    pub body: Vec<u8>,
    pub counts: Vec<CountAt>,
}

/// The place of an array count.
#[derive(Clone, Debug)]
pub(crate) struct CountAt {
    pub field: &'static str,
    pub position: usize,
    /// Bytes the count takes.
    pub len: usize,
    pub encoding: Encoding,
    pub nullable: bool,
    /// Inside the value of a tagged field, whose size also counts it.
    pub in_tag: bool,
}

pub(crate) fn sample(schema: &'static MessageSchema, version: i16, seed: u64, fill: Fill) -> Sample {
    let mut maker = Maker {
        rng: StdRng::seed_from_u64(seed),
        version,
        encoding: schema.encoding(version),
        fill,
        in_tag: false,
        sample: Sample {
            body: Vec::new(),
            counts: Vec::new(),
        },
    };
    maker.structure(&schema.root);
    maker.sample
}

pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

struct Maker {
    rng: StdRng,
    version: i16,
    encoding: Encoding,
    fill: Fill,
    in_tag: bool,
    sample: Sample,
}

impl Maker {
    fn structure(&mut self, schema: &'static StructSchema) {
        for field in schema.plain_fields(self.version) {
            self.field(field);
        }
        if self.encoding == Encoding::Flexible {
            self.tags(schema);
        }
    }

    fn tags(&mut self, schema: &'static StructSchema) {
        let mut known: Vec<&'static FieldSchema> = schema
            .fields
            .iter()
            .filter(|field| field.tag.is_some() && field.versions.contains(self.version))
            .filter(|_| self.fill == Fill::Full || self.rng.random_bool(0.5))
            .collect();
        known.sort_by_key(|field| field.tag);
        let unknown = if self.fill == Fill::Full || self.rng.random_bool(0.8) {
            0
        } else {
            self.rng.random_range(1..4u32)
        };
        put_varint(
            &mut self.sample.body,
            u32::try_from(known.len()).unwrap() + unknown,
        );
        for field in known {
            let start = self.sample.body.len();
            let first_count = self.sample.counts.len();
            let (outer_fill, outer_tag) = (self.fill, self.in_tag);
            // Default values would not be written again by the encoder.
            self.fill = Fill::Full;
            self.in_tag = true;
            self.field(field);
            (self.fill, self.in_tag) = (outer_fill, outer_tag);
            let value = self.sample.body.split_off(start);
            put_varint(&mut self.sample.body, field.tag.unwrap());
            put_varint(&mut self.sample.body, u32::try_from(value.len()).unwrap());
            let shift = self.sample.body.len() - start;
            self.sample.body.extend(value);
            self.sample.counts[first_count..]
                .iter_mut()
                .for_each(|count| count.position += shift);
        }
        for index in 0..unknown {
            put_varint(&mut self.sample.body, 100 + 77 * index);
            let len = self.rng.random_range(0..5u32);
            put_varint(&mut self.sample.body, len);
            (0..len).for_each(|_| self.sample.body.push(self.rng.random()));
        }
    }

    fn field(&mut self, field: &'static FieldSchema) {
        let nullable = field.is_nullable(self.version);
        let null = nullable && self.fill == Fill::Random && self.rng.random_bool(0.3);
        if field.shape == Shape::One {
            return self.value(&field.element, nullable, null);
        }
        let count = match self.fill {
            Fill::Full => self.rng.random_range(1..3usize),
            Fill::Random => self.rng.random_range(0..3usize),
        };
        let position = self.sample.body.len();
        self.count((!null).then_some(count));
        self.sample.counts.push(CountAt {
            field: field.name,
            position,
            len: self.sample.body.len() - position,
            encoding: self.encoding,
            nullable,
            in_tag: self.in_tag,
        });
        if !null {
            (0..count).for_each(|_| self.value(&field.element, false, false));
        }
    }

    fn value(&mut self, element: &'static Element, nullable: bool, null: bool) {
        match element {
            Element::Bool => self
                .sample
                .body
                .push(u8::from(self.in_tag || self.rng.random_bool(0.5))),
            Element::Fixed(size) => {
                // Never all zero, which could be a default.
                (1..*size).for_each(|_| self.sample.body.push(self.rng.random()));
                self.sample.body.push(self.rng.random_range(1..100));
            }
            Element::String => {
                let text: &str = ["", "a", "topic-1", "größe", "x.y_z"][self.rng.random_range(0..5)];
                let text = if text.is_empty() && self.in_tag { "t" } else { text };
                match self.encoding {
                    Encoding::Plain if null => self.sample.body.extend((-1i16).to_be_bytes()),
                    Encoding::Plain => self.sample.body.extend((text.len() as i16).to_be_bytes()),
                    Encoding::Flexible => self.count((!null).then_some(text.len())),
                }
                if !null {
                    self.sample.body.extend(text.as_bytes());
                }
            }
            Element::Bytes => {
                let len = self.rng.random_range(0..300usize);
                self.count((!null).then_some(len));
                if !null {
                    (0..len).for_each(|_| self.sample.body.push(self.rng.random()));
                }
            }
            Element::Struct(schema) => {
                if nullable {
                    self.sample.body.push(if null { 0xff } else { 1 });
                }
                if !null {
                    self.structure(schema);
                }
            }
        }
    }

    fn count(&mut self, count: Option<usize>) {
        match (self.encoding, count) {
            (Encoding::Plain, None) => self.sample.body.extend((-1i32).to_be_bytes()),
            (Encoding::Plain, Some(count)) => self.sample.body.extend((count as i32).to_be_bytes()),
            (Encoding::Flexible, None) => self.sample.body.push(0),
            (Encoding::Flexible, Some(count)) => put_varint(&mut self.sample.body, count as u32 + 1),
        }
    }
}

/// Calls the visitor for every API that the message crate has.
#[rustfmt::skip]
pub(crate) fn visit_every_api(visitor: &mut impl Visitor) {
    visitor.api::<messages::ProduceRequest>();
    visitor.api::<messages::FetchRequest>();
    visitor.api::<messages::ListOffsetsRequest>();
    visitor.api::<messages::MetadataRequest>();
    visitor.api::<messages::OffsetCommitRequest>();
    visitor.api::<messages::OffsetFetchRequest>();
    visitor.api::<messages::FindCoordinatorRequest>();
    visitor.api::<messages::JoinGroupRequest>();
    visitor.api::<messages::HeartbeatRequest>();
    visitor.api::<messages::LeaveGroupRequest>();
    visitor.api::<messages::SyncGroupRequest>();
    visitor.api::<messages::DescribeGroupsRequest>();
    visitor.api::<messages::ListGroupsRequest>();
    visitor.api::<messages::SaslHandshakeRequest>();
    visitor.api::<messages::ApiVersionsRequest>();
    visitor.api::<messages::CreateTopicsRequest>();
    visitor.api::<messages::DeleteTopicsRequest>();
    visitor.api::<messages::DeleteRecordsRequest>();
    visitor.api::<messages::InitProducerIdRequest>();
    visitor.api::<messages::OffsetForLeaderEpochRequest>();
    visitor.api::<messages::AddPartitionsToTxnRequest>();
    visitor.api::<messages::AddOffsetsToTxnRequest>();
    visitor.api::<messages::EndTxnRequest>();
    visitor.api::<messages::WriteTxnMarkersRequest>();
    visitor.api::<messages::TxnOffsetCommitRequest>();
    visitor.api::<messages::DescribeAclsRequest>();
    visitor.api::<messages::CreateAclsRequest>();
    visitor.api::<messages::DeleteAclsRequest>();
    visitor.api::<messages::DescribeConfigsRequest>();
    visitor.api::<messages::AlterConfigsRequest>();
    visitor.api::<messages::AlterReplicaLogDirsRequest>();
    visitor.api::<messages::DescribeLogDirsRequest>();
    visitor.api::<messages::SaslAuthenticateRequest>();
    visitor.api::<messages::CreatePartitionsRequest>();
    visitor.api::<messages::CreateDelegationTokenRequest>();
    visitor.api::<messages::RenewDelegationTokenRequest>();
    visitor.api::<messages::ExpireDelegationTokenRequest>();
    visitor.api::<messages::DescribeDelegationTokenRequest>();
    visitor.api::<messages::DeleteGroupsRequest>();
    visitor.api::<messages::ElectLeadersRequest>();
    visitor.api::<messages::IncrementalAlterConfigsRequest>();
    visitor.api::<messages::AlterPartitionReassignmentsRequest>();
    visitor.api::<messages::ListPartitionReassignmentsRequest>();
    visitor.api::<messages::OffsetDeleteRequest>();
    visitor.api::<messages::DescribeClientQuotasRequest>();
    visitor.api::<messages::AlterClientQuotasRequest>();
    visitor.api::<messages::DescribeUserScramCredentialsRequest>();
    visitor.api::<messages::AlterUserScramCredentialsRequest>();
    visitor.api::<messages::VoteRequest>();
    visitor.api::<messages::BeginQuorumEpochRequest>();
    visitor.api::<messages::EndQuorumEpochRequest>();
    visitor.api::<messages::DescribeQuorumRequest>();
    visitor.api::<messages::AlterPartitionRequest>();
    visitor.api::<messages::UpdateFeaturesRequest>();
    visitor.api::<messages::EnvelopeRequest>();
    visitor.api::<messages::FetchSnapshotRequest>();
    visitor.api::<messages::DescribeClusterRequest>();
    visitor.api::<messages::DescribeProducersRequest>();
    visitor.api::<messages::BrokerRegistrationRequest>();
    visitor.api::<messages::BrokerHeartbeatRequest>();
    visitor.api::<messages::UnregisterBrokerRequest>();
    visitor.api::<messages::DescribeTransactionsRequest>();
    visitor.api::<messages::ListTransactionsRequest>();
    visitor.api::<messages::AllocateProducerIdsRequest>();
    visitor.api::<messages::ConsumerGroupHeartbeatRequest>();
    visitor.api::<messages::ConsumerGroupDescribeRequest>();
    visitor.api::<messages::ControllerRegistrationRequest>();
    visitor.api::<messages::GetTelemetrySubscriptionsRequest>();
    visitor.api::<messages::PushTelemetryRequest>();
    visitor.api::<messages::AssignReplicasToDirsRequest>();
    visitor.api::<messages::ListConfigResourcesRequest>();
    visitor.api::<messages::DescribeTopicPartitionsRequest>();
    visitor.api::<messages::ShareGroupHeartbeatRequest>();
    visitor.api::<messages::ShareGroupDescribeRequest>();
    visitor.api::<messages::ShareFetchRequest>();
    visitor.api::<messages::ShareAcknowledgeRequest>();
    visitor.api::<messages::AddRaftVoterRequest>();
    visitor.api::<messages::RemoveRaftVoterRequest>();
    visitor.api::<messages::UpdateRaftVoterRequest>();
    visitor.api::<messages::InitializeShareGroupStateRequest>();
    visitor.api::<messages::ReadShareGroupStateRequest>();
    visitor.api::<messages::WriteShareGroupStateRequest>();
    visitor.api::<messages::DeleteShareGroupStateRequest>();
    visitor.api::<messages::ReadShareGroupStateSummaryRequest>();
    visitor.api::<messages::DescribeShareGroupOffsetsRequest>();
    visitor.api::<messages::AlterShareGroupOffsetsRequest>();
    visitor.api::<messages::DeleteShareGroupOffsetsRequest>();
}

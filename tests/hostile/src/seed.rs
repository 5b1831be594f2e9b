//! Valid inputs for every target: what a mutation starts from.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    self, create_topics_request, fetch_request, join_group_request, metadata_request,
};
use kafka_protocol::messages::{ApiKey, GroupId, TopicName};
use kafka_protocol::messages::{offset_commit_request, produce_request};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};
use std::collections::VecDeque;
use thalweg_coordinator::group::{GenerationId, InstanceId, MemberId};
use thalweg_coordinator::record::{GroupMetadataValue, MemberMetadata, OffsetCommitValue, RecordKey};
use thalweg_storage::log::epochs::Epochs;
use thalweg_storage::log::producers::{BatchRange, ProducerEntry};
use thalweg_storage::log::rows::{
    MirrorRow, PartitionRow, WalRow, WriteState, encode_partition, encode_segment, encode_wal, partition_key,
    segment_key, wal_key,
};
use thalweg_storage::log::transactions::{DurableTransactions, OpenTransaction};
use thalweg_storage::segment::Segment;
use thalweg_storage::segment::transaction_index::AbortedTransaction;
use thalweg_storage::wal::group::{
    BatchRun, EncodeRun, GroupHeader, LogEvent, Run, RunContent, encode, encoded_len,
};
use thalweg_storage::wal::ring::InventoryState;
use thalweg_storage::wal::{Slot, WalEnd, WalLocation};
use thalweg_types::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartitionId,
};
use thalweg_wire::compression::{Compression, compress};
use thalweg_wire::frame::{RequestHeader, encode_request};
use thalweg_wire::guard::{Direction, supported_versions};
use thalweg_wire::records::{BatchBuilder, BatchContent, BatchOptions, ProducerStamp, Transactionality};

use crate::wal_groups::INCARNATION;

const ID: TopicPartitionId = TopicPartitionId {
    topic_id: TopicId([5; 16]),
    partition: PartitionIndex(3),
};

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn header(api_key: i16, api_version: i16) -> RequestHeader {
    RequestHeader {
        api_key,
        api_version,
        correlation_id: 7,
        client_id: Some("client-1".to_owned()),
    }
}

fn framed<R: Request>(body: &R) -> Vec<Vec<u8>> {
    let (first, last) = supported_versions(Direction::Request, R::KEY).unwrap_or_default();
    let frames = (first..=last).filter_map(|version| encode_request(&header(R::KEY, version), body).ok());
    frames.map(|frame| frame.to_vec()).collect()
}

pub fn frames() -> Vec<Vec<u8>> {
    let mut all = framed(&messages::ApiVersionsRequest::default());
    all.extend(framed(&metadata(1)));
    all.extend(framed(&fetch()));
    all
}

/// As the targets that choose key and version by their first bytes expect it.
fn chosen<R: Request + Encodable>(body: &R, prefix: impl Fn(i16, i16) -> Vec<u8>) -> Vec<Vec<u8>> {
    let (first, last) = supported_versions(Direction::Request, R::KEY).unwrap_or_default();
    let mut all = Vec::new();
    for version in first..=last {
        let mut bytes = BytesMut::new();
        if body.encode(&mut bytes, version).is_ok() {
            all.push([prefix(first, version), bytes.to_vec()].concat());
        }
    }
    all
}

pub fn requests() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for key in 0..96u8 {
        for choice in [0, 2] {
            // Of many messages zeroes are a valid one: empty lists, empty or null strings.
            all.push([vec![choice, key, 255], vec![0; 48]].concat());
            all.push([vec![choice, key, 0], vec![0; 48]].concat());
        }
    }
    macro_rules! add {
        ($($body:expr),*) => {
            $(all.extend(chosen(&$body, |first, version| {
                let key = u8::try_from(key_of(&$body)).unwrap_or_default();
                vec![0, key, u8::try_from(version - first).unwrap_or_default()]
            }));)*
        };
    }
    add!(metadata(1), produce(), fetch(), join(), commit(), create());
    // The newest version of OffsetCommit and OffsetFetch, which have parsers of their own.
    for key in [8, 9] {
        all.push([vec![0, key, 9], vec![1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]].concat());
        all.push(vec![0, key, 9, 1, 1, 0]);
        all.push(vec![0, key, 8, 1, 1, 0]);
    }
    // So many elements that the guard's estimate is what counts.
    add!(metadata(4000));
    add!(
        messages::ApiVersionsRequest::default(),
        messages::ListOffsetsRequest::default(),
        messages::FindCoordinatorRequest::default(),
        messages::DescribeConfigsRequest::default()
    );
    all.push(
        [
            &[0xf0, 0, 0][..],
            &[0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0xff, 0, 0, 0, 0],
        ]
        .concat(),
    );
    all
}

fn key_of<R: Request>(_: &R) -> i16 {
    R::KEY
}

pub fn produce_and_fetch() -> Vec<Vec<u8>> {
    let version = |version| u8::try_from(version).unwrap_or_default();
    let mut all = chosen(&produce(), |_, v| vec![0, version(v)]);
    all.extend(chosen(&fetch(), |_, v| vec![1, version(v)]));
    debug_assert!(key_of(&produce()) == ApiKey::Produce as i16 && all.len() > 20);
    all
}

fn metadata(topics: usize) -> messages::MetadataRequest {
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(TopicName(text("t"))));
    messages::MetadataRequest::default().with_topics(Some(vec![topic; topics]))
}

fn produce() -> messages::ProduceRequest {
    let partition = |index: i32, records: Option<Bytes>| {
        produce_request::PartitionProduceData::default()
            .with_index(index)
            .with_records(records)
    };
    let batch = Bytes::from(batch(Compression::None, 2));
    let partitions = vec![
        partition(0, Some(batch)),
        partition(1, None),
        partition(2, Some(Bytes::new())),
    ];
    let topic = produce_request::TopicProduceData::default().with_partition_data(partitions);
    messages::ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

fn fetch() -> messages::FetchRequest {
    let partition = fetch_request::FetchPartition::default()
        .with_partition(1)
        .with_partition_max_bytes(1 << 20);
    let topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
    messages::FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_topics(vec![topic])
}

fn join() -> messages::JoinGroupRequest {
    let protocol = join_group_request::JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(&[
            0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff,
        ]));
    messages::JoinGroupRequest::default()
        .with_group_id(GroupId(text("readers")))
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn commit() -> messages::OffsetCommitRequest {
    let partition = offset_commit_request::OffsetCommitRequestPartition::default()
        .with_committed_offset(7)
        .with_committed_metadata(Some(text("m")));
    let topic = offset_commit_request::OffsetCommitRequestTopic::default().with_partitions(vec![partition]);
    messages::OffsetCommitRequest::default()
        .with_group_id(GroupId(text("readers")))
        .with_topics(vec![topic])
}

fn create() -> messages::CreateTopicsRequest {
    let config = create_topics_request::CreatableTopicConfig::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("-1")));
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(TopicName(text("events")))
        .with_num_partitions(3)
        .with_replication_factor(1)
        .with_configs(vec![config]);
    messages::CreateTopicsRequest::default().with_topics(vec![topic])
}

fn build(options: BatchOptions, records: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for index in 0..records {
        let key = (index % 2 == 0).then_some(&b"key"[..]);
        let value = b"a value, a value, a value".repeat(1 + index as usize);
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"1")), (b"", None)];
        let pushed = builder.push(
            TimestampMs(1000 + index),
            key,
            Some(&value),
            &headers[..index as usize % 3],
        );
        pushed.expect("a small record");
    }
    builder.build().expect("a small batch").to_vec()
}

fn batch(compression: Compression, records: i64) -> Vec<u8> {
    build(
        BatchOptions {
            compression,
            ..BatchOptions::default()
        },
        records,
    )
}

pub fn record_batches() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Compression::ALL.map(|codec| batch(codec, 5)).to_vec();
    let producer = ProducerStamp {
        id: ProducerId(7),
        epoch: ProducerEpoch(1),
        base_sequence: 9,
    };
    let transactional = BatchOptions {
        producer: Some(producer),
        transactionality: Transactionality::Transactional,
        ..BatchOptions::default()
    };
    all.push(build(transactional, 3));
    all.push(build(
        BatchOptions {
            content: BatchContent::Control,
            ..transactional
        },
        1,
    ));
    all.push([batch(Compression::None, 1), batch(Compression::Zstd, 2)].concat());
    let signed = all.clone().into_iter().map(|batch| [vec![1], batch].concat());
    let plain = all.iter().map(|batch| [&[0], &batch[..]].concat());
    plain.chain(signed).collect()
}

pub fn compressed() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (input, choice) in [
        (b"abc".repeat(100), 0xff),
        (vec![0; 100_000], 0x0f),
        (vec![7; 300], 0x12),
        // Far beyond both limits.
        (vec![0; 4 << 20], 0x00),
        (vec![0; 4 << 20], 0x0f),
    ] {
        for codec in Compression::ALL {
            let stored = compress(codec, None, &input).expect("an encoder of a small input works");
            // Codec ids and places in the list of all are the same numbers.
            all.push([&[codec.id(), choice], &stored[..stored.len().min(20_000)]].concat());
        }
    }
    // Snappy without the frames of the Java library; an empty gzip member.
    all.push([&[Compression::Snappy.id(), 0xff][..], &[3, 8, b'a', b'b', b'c']].concat());
    all
}

fn event(event: LogEvent) -> Run {
    Run {
        id: ID,
        content: RunContent::Event(event),
    }
}

pub fn wal_groups() -> Vec<Vec<u8>> {
    let records = Bytes::from(batch(Compression::None, 2));
    let batches = Run {
        id: ID,
        content: RunContent::Batches(BatchRun {
            leader_epoch: LeaderEpoch(1),
            base_offset: Offset(10),
            last_offset: Offset(11),
            max_timestamp: TimestampMs(1001),
            position: 0,
            len: 0,
        }),
    };
    let offset = Offset(12);
    let events = [
        LogEvent::LogStart(offset),
        LogEvent::TruncateTo(offset, LeaderEpoch(2)),
        LogEvent::JumpTo(offset),
        LogEvent::ProducerReset,
        LogEvent::SealedAt(offset),
        LogEvent::Unsealed,
        LogEvent::OwnedByLink,
        LogEvent::EpochStart(LeaderEpoch(3), offset),
        LogEvent::Session(4),
    ];
    let group = |runs: &[(Run, &[Bytes])]| {
        let runs: Vec<_> = runs
            .iter()
            .map(|(run, parts)| EncodeRun { run: *run, parts })
            .collect();
        let payload: usize = runs.iter().flat_map(|run| run.parts).map(Bytes::len).sum();
        let mut out = vec![0; encoded_len(payload, runs.len())];
        let header = GroupHeader {
            incarnation: INCARNATION,
            slot: Slot(4),
            put_id: 5,
            previous_crc: 6,
        };
        encode(&header, &runs, &mut out);
        out
    };
    let parts = [records.clone(), records];
    let mut mixed: Vec<(Run, &[Bytes])> = events.iter().map(|e| (event(*e), &[][..])).collect();
    mixed.push((batches, &parts));
    let all = [
        group(&[]),
        group(&mixed),
        group(&[(batches, &parts[..1]), (batches, &parts)]),
    ];
    all.iter()
        .flat_map(|group| [0, 1].map(|choice| [&[choice], &group[..]].concat()))
        .collect()
}

/// Lists of edits, see `edits`.
pub fn edits() -> Vec<Vec<u8>> {
    let mut all = vec![vec![0], vec![1], vec![0x51]];
    for kind in 0..8u8 {
        for step in [0, 2, 4] {
            for (file, place) in [(0, [0, 0]), (1, [0x20, 0]), (2, [0xff, 0xf0]), (5, [0x80, 1])] {
                let choice = kind & 1;
                all.push([&[choice, step << 4 | kind, file][..], &place, &[3, 1, 2, 3, 4, 5]].concat());
            }
        }
    }
    all
}

pub fn rows() -> Vec<Vec<u8>> {
    let with_key = |key: Vec<u8>, value: Vec<u8>| {
        [vec![u8::try_from(key.len()).unwrap_or(u8::MAX)], key, value].concat()
    };
    let clean_end = WalEnd {
        next_slot: Slot(9),
        location: WalLocation {
            file: 2,
            position: 8192,
        },
        last_crc: 77,
    };
    let wal = WalRow {
        incarnation: INCARNATION,
        replay_from: Slot(9),
        clean_end: Some(clean_end),
        list: InventoryState::Written,
    };
    let range = BatchRange {
        base_sequence: 0,
        last_sequence: 4,
        base_offset: Offset(10),
        last_offset: Offset(14),
        timestamp: TimestampMs(1000),
    };
    let entry = ProducerEntry {
        epoch: ProducerEpoch(1),
        batches: VecDeque::from([range; 3]),
        last_seen: TimestampMs(1000),
        coordinator_epoch: 4,
        is_fresh: false,
    };
    let partition = PartitionRow {
        covered: Some(Slot(8)),
        log_start: Offset(3),
        log_end: Offset(15),
        write_state: WriteState::SealedAt(Offset(15)),
        epochs: Epochs::restore(vec![(LeaderEpoch(0), Offset(3)), (LeaderEpoch(2), Offset(12))]),
        producers: vec![(ProducerId(7), entry)],
        transactions: DurableTransactions {
            open: vec![OpenTransaction {
                producer_id: ProducerId(7),
                epoch: ProducerEpoch(2),
                first_offset: Offset(11),
                started: TimestampMs(990),
            }],
            aborted: vec![AbortedTransaction {
                producer_id: ProducerId(8),
                first_offset: Offset(5),
                last_offset: Offset(9),
                last_stable_offset: Offset(10),
            }],
        },
        settled: Offset(5),
        mirror: MirrorRow {
            session: 3,
            leader_epoch: LeaderEpoch(1_000_001),
        },
    };
    let segment = Segment {
        size: 500,
        next_offset: Offset(15),
        ..Segment::new(Offset(3), TimestampMs(1000))
    };
    vec![
        with_key(wal_key(), encode_wal(&wal)),
        with_key(
            wal_key(),
            encode_wal(&WalRow {
                clean_end: None,
                ..wal
            }),
        ),
        with_key(partition_key(ID), encode_partition(&partition)),
        with_key(segment_key(ID, segment.base_offset), encode_segment(&segment)),
    ]
}

pub fn settings() -> Vec<Vec<u8>> {
    [
        "# a comment\n! another\nlog.retention.ms=-1\n  num.partitions : 3\r\nlistener\\\n  s=PLAINTEXT://127.0.0.1:9092\n",
        "log.dirs=/var/lib/data\nnode.id=7\nbroker.id=7\nmessage.max.bytes 1000000\ncompression.type=zstd\n",
        "log.cleanup.policy=delete,compact\nauto.create.topics.enable=FALSE\nlog.message.timestamp.type=LogAppendTime\n",
        "key\\ with\\ space=tab\\there\\u00e9 \\ud83d\\ude00\n\\=\\:=x\\\\\n\\\n#not a key\n",
        "log.cleaner.min.cleanable.ratio=0.5\nquota.window.num=11\nlog.segment.bytes=1073741824\nlisteners=\n",
        "wal.max.bytes=1073741824\nwal.file.bytes=67108864\nwal.tail.memory.bytes=1\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Records as [`crate::coordinator_record`] takes them.
fn record(key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let value_len = value.map_or(u16::MAX, |value| u16::try_from(value.len()).unwrap_or(u16::MAX));
    let key_len = u8::try_from(key.len()).unwrap_or(u8::MAX);
    [
        &[key_len][..],
        &value_len.to_be_bytes(),
        key,
        value.unwrap_or_default(),
    ]
    .concat()
}

pub fn coordinator_records() -> Vec<Vec<u8>> {
    let member = MemberMetadata {
        member_id: MemberId::from("client-1-abc"),
        instance_id: Some(InstanceId::from("one")),
        client_id: "client-1".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 10_000,
        subscription: Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff]),
        assignment: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    };
    let group = GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: GenerationId(3),
        protocol_name: Some("range".to_owned()),
        leader: Some(member.member_id.clone()),
        state_timestamp: Some(TimestampMs(1000)),
        members: vec![
            member.clone(),
            MemberMetadata {
                instance_id: None,
                ..member
            },
        ],
    };
    let offset = OffsetCommitValue {
        offset: Offset(7),
        leader_epoch: LeaderEpoch(1),
        metadata: "m".to_owned(),
        commit_timestamp: TimestampMs(1000),
        expire_timestamp: None,
        topic_id: None,
    };
    let expiring = OffsetCommitValue {
        expire_timestamp: Some(TimestampMs(2000)),
        ..offset.clone()
    };
    // Version 4 of both values, which is read and not written.
    let flexible_offset = [
        &[0, 4][..],
        &7i64.to_be_bytes(),
        &[0, 0, 0, 1, 2, b'm'],
        &1000i64.to_be_bytes(),
        &[0],
    ]
    .concat();
    let flexible_group = [
        &[0, 4, 9][..],
        b"consumer",
        &[0, 0, 0, 3, 6],
        b"range",
        &[0],
        &[0; 8],
        &[2, 2, b'a', 0, 2, b'c', 2, b'h'],
        &[0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0],
    ]
    .concat();
    // A string that version 3 could not hold.
    let long_offset = [
        &[0, 4][..],
        &7i64.to_be_bytes(),
        &[0, 0, 0, 1, 0xc1, 0xb8, 2],
        &[b'm'; 40_000],
        &1000i64.to_be_bytes(),
        &[0],
    ]
    .concat();
    let offset_key = RecordKey::encode_offset("readers", "events", PartitionIndex(1));
    let group_key = RecordKey::encode_group("readers");
    let records = [
        record(&offset_key, Some(&offset.encode())),
        record(&offset_key, Some(&expiring.encode())),
        record(&offset_key, Some(&flexible_offset)),
        record(&offset_key, Some(&long_offset)),
        record(&group_key, Some(&group.encode())),
        record(&group_key, Some(&flexible_group)),
        record(&offset_key, None),
        record(&group_key, None),
    ];
    let all = records.concat();
    records.into_iter().chain([all]).collect()
}

//! Consumer groups with librdkafka: joining, leaving, static members, committed offsets.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use thalweg_tests::Broker;
use thalweg_tests::clients::librdkafka::{
    CALL, Member, Producer, Record, admin, admin_options, create_topic, reader, serve_until,
};
use thalweg_tests::wait::answer;

fn numbered(count: i32, partitions: i32) -> Vec<Record> {
    (0..count)
        .map(|number| Record::new("k", number.to_string()).to_partition(number % partitions))
        .collect()
}

/// True once the members own every partition of `0..partitions` exactly once, and each has a share.
fn shared(members: &[&Member], partitions: i32) -> bool {
    let shares: Vec<BTreeSet<i32>> = members.iter().map(|member| member.assignment()).collect();
    let all: Vec<i32> = shares.iter().flatten().copied().collect();
    let whole: BTreeSet<i32> = all.iter().copied().collect();
    shares.iter().all(|share| !share.is_empty())
        && i32::try_from(all.len()) == Ok(partitions)
        && whole == (0..partitions).collect()
}

#[test]
fn members_share_the_partitions_and_read_each_record_once() {
    let broker = Broker::start();
    create_topic(&broker, "shared", 6, &[]);
    let first = Member::join(&broker, "readers", "shared", &[]);
    serve_until(&[&first], "the first member owns all", |_| shared(&[&first], 6));
    let second = Member::join(&broker, "readers", "shared", &[]);
    let third = Member::join(&broker, "readers", "shared", &[]);
    let members = [&first, &second, &third];
    serve_until(&members, "three members share six partitions", |_| {
        shared(&members, 6)
    });
    Producer::new(&broker, &[]).send_all("shared", &numbered(600, 6));
    let read = serve_until(&members, "600 records are read", |read| read.len() >= 600);
    let mut values: Vec<i32> = read
        .iter()
        .map(|record| record.text().parse().expect("a number"))
        .collect();
    values.sort_unstable();
    assert_eq!(values, (0..600).collect::<Vec<i32>>());
    for member in members {
        member.commit().expect("commit");
    }
    drop(third);
    let left = [&first, &second];
    serve_until(&left, "two members own what the third left", |_| shared(&left, 6));
}

#[test]
fn rule_06_members_that_join_at_the_same_time_are_all_served() {
    let broker = Broker::start();
    create_topic(&broker, "crowd", 8, &[]);
    let members: Vec<Member> = (0..8)
        .map(|_| Member::join(&broker, "crowd", "crowd", &[]))
        .collect();
    let members: Vec<&Member> = members.iter().collect();
    serve_until(&members, "eight members own one partition each", |_| {
        shared(&members, 8)
    });
}

#[test]
fn cooperative_members_keep_what_they_own() {
    let broker = Broker::start();
    create_topic(&broker, "sticky", 4, &[]);
    let strategy = [("partition.assignment.strategy", "cooperative-sticky")];
    let first = Member::join(&broker, "sticky", "sticky", &strategy);
    serve_until(&[&first], "the first member owns all", |_| shared(&[&first], 4));
    let second = Member::join(&broker, "sticky", "sticky", &strategy);
    let members = [&first, &second];
    serve_until(&members, "two members share four partitions", |_| {
        shared(&members, 4)
    });
    Producer::new(&broker, &[]).send_all("sticky", &numbered(40, 4));
    let read = serve_until(&members, "40 records are read", |read| read.len() >= 40);
    assert_eq!(read.len(), 40);
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let broker = Broker::start();
    create_topic(&broker, "static", 4, &[]);
    let long = ("session.timeout.ms", "30000");
    let join = |id: &str| Member::join(&broker, "static", "static", &[("group.instance.id", id), long]);
    let first = join("one");
    let second = join("two");
    let members = [&first, &second];
    serve_until(&members, "two members share four partitions", |_| {
        shared(&members, 4)
    });
    let (share, rebalances) = (second.assignment(), first.rebalances());
    drop(second);
    let again = join("two");
    let members = [&first, &again];
    serve_until(&members, "the second member is back", |_| {
        !again.assignment().is_empty()
    });
    // Time for a rebalance that should not come: several heartbeats of the first member.
    let mut rounds = 0;
    serve_until(&members, "several heartbeats have passed", |_| {
        rounds += 1;
        rounds > 50
    });
    assert_eq!(again.assignment(), share, "the same share as before");
    assert_eq!(first.rebalances(), rebalances, "the first member saw nothing");
}

#[test]
fn a_second_process_with_the_same_instance_id_fences_the_first() {
    let broker = Broker::start();
    create_topic(&broker, "fenced", 1, &[]);
    let id = [("group.instance.id", "only")];
    let first = Member::join(&broker, "fenced", "fenced", &id);
    serve_until(&[&first], "the first member owns the partition", |_| {
        shared(&[&first], 1)
    });
    let second = Member::join(&broker, "fenced", "fenced", &id);
    serve_until(&[&second], "the second member owns the partition", |_| {
        shared(&[&second], 1)
    });
    let fenced = thalweg_tests::wait::poll(thalweg_tests::wait::PATIENCE, || {
        match first.consumer().poll(Duration::from_millis(50)) {
            Some(Err(error)) => Some(error),
            _ => None,
        }
    });
    let fatal = first.consumer().client().fatal_error();
    let codes = (
        fenced.and_then(|error| error.rdkafka_error_code()),
        fatal.map(|(code, _)| code),
    );
    assert_eq!(codes.1, Some(RDKafkaErrorCode::FencedInstanceId), "{codes:?}");
}

#[test]
fn a_group_goes_on_where_it_committed() {
    let broker = Broker::start();
    create_topic(&broker, "resumed", 1, &[]);
    Producer::new(&broker, &[]).send_all("resumed", &numbered(100, 1));
    let member = Member::join(&broker, "resumed", "resumed", &[]);
    let mut seen = 0;
    while seen < 40 {
        seen += usize::from(member.poll(Duration::from_secs(1)).is_some());
    }
    member.commit().expect("commit");
    drop(member);
    let member = Member::join(&broker, "resumed", "resumed", &[]);
    let rest = serve_until(&[&member], "the rest is read", |read| read.len() >= 60);
    assert_eq!((rest[0].offset, rest.len()), (40, 60));
}

#[test]
fn rule_19_an_offset_is_kept_with_its_metadata() {
    let broker = Broker::start();
    create_topic(&broker, "noted", 2, &[]);
    let consumer = reader(&broker, &[("group.id", "noted")]);
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset("noted", 0, Offset::Offset(7))
        .expect("a valid offset");
    offsets
        .find_partition("noted", 0)
        .expect("just added")
        .set_metadata("checked by hand ✓");
    consumer.commit(&offsets, CommitMode::Sync).expect("commit");
    let mut asked = TopicPartitionList::new();
    asked.add_partition("noted", 0);
    asked.add_partition("noted", 1);
    let found = consumer.committed_offsets(asked, CALL).expect("offset fetch");
    let first = found.find_partition("noted", 0).expect("asked for");
    assert_eq!(
        (first.offset(), first.metadata()),
        (Offset::Offset(7), "checked by hand ✓")
    );
    let second = found.find_partition("noted", 1).expect("asked for");
    assert_eq!(second.offset(), Offset::Invalid, "nothing was committed");
}

#[test]
fn rule_02_the_offsets_of_an_unknown_group_are_no_error() {
    let broker = Broker::start();
    create_topic(&broker, "lonely", 1, &[]);
    let consumer = reader(&broker, &[("group.id", "never seen")]);
    let mut asked = TopicPartitionList::new();
    asked.add_partition("lonely", 0);
    let found = consumer.committed_offsets(asked, CALL).expect("offset fetch");
    found.elements()[0].error().expect("no error for the partition");
    assert_eq!(found.elements()[0].offset(), Offset::Invalid);
}

#[test]
fn a_group_is_listed_described_and_deleted() {
    let broker = Broker::start();
    create_topic(&broker, "visible", 2, &[]);
    let member = Member::join(&broker, "visible", "visible", &[("client.id", "seen")]);
    serve_until(&[&member], "the member owns all", |_| shared(&[&member], 2));
    member
        .consumer()
        .commit(&one_offset("visible"), CommitMode::Sync)
        .expect("commit");
    let asking = reader(&broker, &[]);
    let state = || {
        let groups = asking
            .fetch_group_list(Some("visible"), CALL)
            .expect("describe groups");
        let group = groups.groups().first().expect("the group is known");
        let clients: Vec<String> = group
            .members()
            .iter()
            .map(|member| member.client_id().to_owned())
            .collect();
        (
            group.state().to_owned(),
            group.protocol_type().to_owned(),
            clients,
        )
    };
    assert_eq!(
        state(),
        (
            "Stable".to_owned(),
            "consumer".to_owned(),
            vec!["seen".to_owned()]
        )
    );
    let delete =
        || answer(admin(&broker).delete_groups(&["visible"], &admin_options())).expect("delete groups");
    assert_eq!(
        delete(),
        [Err(("visible".to_owned(), RDKafkaErrorCode::NonEmptyGroup))]
    );
    drop(member);
    thalweg_tests::wait::until("the group is empty", || state().0 == "Empty");
    assert_eq!(delete(), [Ok("visible".to_owned())]);
    let groups = asking.fetch_group_list(None, CALL).expect("list groups");
    assert!(
        groups.groups().iter().all(|group| group.name() != "visible"),
        "it is gone"
    );
}

fn one_offset(topic: &str) -> TopicPartitionList {
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(topic, 0, Offset::Offset(0))
        .expect("a valid offset");
    offsets
}

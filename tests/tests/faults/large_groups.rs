//! Many members and many groups: a classic group of a thousand members forms, forms anew and outlives a kill -9; ten
//! thousand groups commit, and nothing of it is lost.

use thalweg_tests::clients::librdkafka::create_topic;
use thalweg_tests::group_requests::{
    Joined, NONE, REBALANCE_IN_PROGRESS, commit, committed, find, heartbeat, join, leave, list, read_commit,
    read_committed, read_error, read_find, read_join, read_list, read_sync, sync,
};
use thalweg_tests::memory;
use thalweg_tests::raw::{Heard, Raw};
use thalweg_tests::{Broker, BrokerConfig, Product, wait};

use crate::witnesses::bounded;

const GROUP: &str = "thousand";
const TOPIC: &str = "shared";
const MEMBERS: usize = 1_000;
const GROUPS: i64 = 10_000;
/// Requests of one connection that wait for their answers together.
const PIPELINED: usize = 500;
/// Among so many groups each partition of the internal topic has one.
const SAMPLE: i64 = 40;
/// A member is not missed while the machine is busy with something else.
const SESSION_MS: i32 = 120_000;
const REBALANCE_MS: i32 = 60_000;
/// Memory that a thousand members or ten thousand groups may take.
const SLACK: u64 = 64 << 20;

fn start() -> Broker {
    BrokerConfig::default()
        .set("group.initial.rebalance.delay.ms", 2_000)
        .set("group.max.session.timeout.ms", 300_000)
        .start()
}

struct Member {
    connection: Raw,
    id: String,
}

impl Member {
    fn connect(broker: &Broker, id: &str) -> Member {
        Member {
            connection: Raw::connect(broker.bootstrap()).expect("the broker takes connections"),
            id: id.to_owned(),
        }
    }

    #[track_caller]
    fn hear<T>(&mut self, what: &str, read: impl Fn(&[u8]) -> Option<T>) -> T {
        hear(&mut self.connection, what, read)
    }
}

#[track_caller]
fn hear<T>(connection: &mut Raw, what: &str, read: impl Fn(&[u8]) -> Option<T>) -> T {
    match connection.hear(wait::PATIENCE) {
        Heard::Frame(frame) => read(&frame).unwrap_or_else(|| panic!("{what}: no answer is {frame:02x?}")),
        other => panic!("{what}: {other:?}"),
    }
}

/// Everybody joins; returns the generation once each has its own assignment.
#[track_caller]
fn form(members: &mut [Member]) -> i32 {
    for member in &mut *members {
        let request = join(GROUP, &member.id, SESSION_MS, REBALANCE_MS);
        member.connection.send(&request);
    }
    let joined: Vec<Joined> = members
        .iter_mut()
        .map(|member| member.hear("join", read_join))
        .collect();
    let generation = joined[0].generation;
    for (member, one) in members.iter_mut().zip(&joined) {
        assert_eq!((one.error, one.generation), (NONE, generation), "{one:?}");
        assert_eq!(one.leader, joined[0].leader, "all know the same leader");
        member.id.clone_from(&one.member);
    }
    let leaders: Vec<&Joined> = joined.iter().filter(|one| one.leader == one.member).collect();
    assert_eq!(leaders.len(), 1, "one member leads");
    let mut ids = leaders[0].members.clone();
    ids.sort();
    let mut expected: Vec<String> = members.iter().map(|member| member.id.clone()).collect();
    expected.sort();
    assert_eq!(ids, expected, "the leader knows all members");
    let assignments: Vec<_> = ids
        .iter()
        .map(|id| (id.clone(), id.clone().into_bytes()))
        .collect();
    let leader = leaders[0].leader.clone();
    for member in &mut *members {
        let sent: &[_] = if member.id == leader { &assignments } else { &[] };
        let request = sync(GROUP, generation, &member.id, sent);
        member.connection.send(&request);
    }
    for member in members {
        let (error, assignment) = member.hear("sync", read_sync);
        assert_eq!((error, assignment), (NONE, member.id.clone().into_bytes()));
    }
    generation
}

/// Everybody's heartbeat is answered with `expected`.
#[track_caller]
fn beat(members: &mut [Member], generation: i32, expected: i16) {
    for member in &mut *members {
        let request = heartbeat(GROUP, generation, &member.id);
        member.connection.send(&request);
    }
    for member in members {
        assert_eq!(member.hear("heartbeat", read_error), expected, "{}", member.id);
    }
}

/// Waits until each partition of the internal topic is there and loaded.
#[track_caller]
fn wait_for_coordinators(broker: &Broker) {
    let mut connection = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
    for number in 0..SAMPLE {
        let group = group_name(number);
        let ready = wait::poll(wait::PATIENCE, || {
            connection.send(&find(&group));
            let found = hear(&mut connection, "find", read_find);
            connection.send(&committed(&group, TOPIC, 0));
            let (loaded, _) = hear(&mut connection, "committed", read_committed);
            (found == NONE && loaded == NONE).then_some(())
        });
        assert!(ready.is_some(), "{group} has no coordinator");
    }
}

#[test]
fn a_group_of_a_thousand_members_forms_anew_and_outlives_a_kill() {
    let mut broker = start();
    create_topic(&broker, TOPIC, 1, &[]);
    wait_for_coordinators(&broker);
    let before = memory::of(broker.pid()).resident;
    let mut members: Vec<Member> = (0..MEMBERS).map(|_| Member::connect(&broker, "")).collect();
    let first = form(&mut members);
    beat(&mut members, first, NONE);
    for (offset, member) in (1..).zip(&mut members) {
        let request = commit(GROUP, (first, &member.id), (TOPIC, 0), offset);
        member.connection.send(&request);
    }
    for member in &mut members {
        assert_eq!(member.hear("commit", read_commit), NONE, "{}", member.id);
    }

    let mut gone = members.pop().expect("a thousand");
    gone.connection.send(&leave(GROUP, &gone.id));
    assert_eq!(gone.hear("leave", read_error), NONE);
    beat(&mut members, first, REBALANCE_IN_PROGRESS);
    let second = form(&mut members);
    assert!(second > first);
    if broker.product() == Product::Thalweg {
        bounded(&broker, before, "a thousand members", SLACK);
    }

    broker.kill_nine();
    broker.start_again();
    for member in &mut members {
        *member = Member::connect(&broker, &member.id);
    }
    wait_for_coordinators(&broker);
    beat(&mut members, second, NONE);
}

fn group_name(number: i64) -> String {
    format!("group-{number:05}")
}

#[test]
fn ten_thousand_groups_commit_and_lose_nothing_over_a_kill() {
    let mut broker = start();
    create_topic(&broker, TOPIC, 1, &[]);
    wait_for_coordinators(&broker);
    let before = memory::of(broker.pid()).resident;
    let mut connection = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
    let offset_of = |number: i64| number * 3 + 1;
    for start in (0..GROUPS).step_by(PIPELINED) {
        for number in (start..GROUPS).take(PIPELINED) {
            connection.send(&commit(
                &group_name(number),
                (-1, ""),
                (TOPIC, 0),
                offset_of(number),
            ));
        }
        for number in (start..GROUPS).take(PIPELINED) {
            let error = hear(&mut connection, "commit", read_commit);
            assert_eq!(error, NONE, "{}", group_name(number));
        }
    }
    if broker.product() == Product::Thalweg {
        bounded(&broker, before, "ten thousand groups", SLACK);
    }

    broker.kill_nine();
    broker.start_again();
    let mut connection = Raw::connect(broker.bootstrap()).expect("the broker takes connections");
    let count = wait::poll(wait::PATIENCE, || {
        connection.send(&list());
        let (error, count) = hear(&mut connection, "list", read_list);
        (error == NONE && i64::from(count) == GROUPS).then_some(count)
    });
    assert!(count.is_some(), "not all groups are listed");
    for start in (0..GROUPS).step_by(PIPELINED) {
        for number in (start..GROUPS).take(PIPELINED) {
            connection.send(&committed(&group_name(number), TOPIC, 0));
        }
        for number in (start..GROUPS).take(PIPELINED) {
            let answer = hear(&mut connection, "committed", read_committed);
            assert_eq!(answer, (NONE, offset_of(number)), "{}", group_name(number));
        }
    }
}

//! Topics that come and go all along, again and again under the same names, each time with other content.
//!
//! A call that a killed broker did not answer is repeated. Then "exists already" and "is not there" mean that the
//! first call was heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::producers::StampingProducer;
use super::{Actor, Stop, Theatre, Topic, check_topic};
use crate::chance::Chance;
use crate::clients::librdkafka::config_at;
use crate::history::Promise;
use crate::wait::answer;

const CALL: Duration = Duration::from_secs(5);
/// How long one call may be repeated.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the actor has done so far.
#[derive(Debug, Default)]
pub struct ChurnCount {
    /// Topics made.
    pub created: AtomicU64,
    /// Topics deleted.
    pub deleted: AtomicU64,
    /// Readings of a topic that was made anew under an old name.
    pub checked: AtomicU64,
}

impl ChurnCount {
    /// Topics read and judged so far.
    pub fn checks(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }
}

/// Starts an actor that makes, fills, checks and deletes topics under `names` names that start with `prefix`.
pub fn start_churn(
    theatre: &Theatre,
    prefix: &str,
    names: usize,
    counted: &Arc<ChurnCount>,
    mut chance: Chance,
) -> Actor {
    let (theatre, prefix, counted) = (theatre.clone(), prefix.to_owned(), counted.clone());
    Actor::start(&format!("churn of {prefix}"), move |stop| {
        let admin: AdminClient<DefaultClientContext> = config_at(&theatre.bootstrap, &[])
            .create()
            .expect("the settings are librdkafka's");
        let mut living: Vec<Option<Topic>> = vec![None; names];
        while !stop.is_asked() {
            let slot = chance.index(names);
            if let Some(old) = living[slot].take() {
                // It lived through whatever came since it was made.
                check(&theatre, &old, &counted);
                if !delete(&theatre, &admin, &old, stop) {
                    return;
                }
                counted.deleted.fetch_add(1, Ordering::Relaxed);
            }
            let partitions = i32::try_from(chance.between(1, 3)).unwrap_or(1);
            let topic = theatre.new_topic(&format!("{prefix}-{slot}"), partitions);
            if !create(&theatre, &admin, &topic, stop) {
                return;
            }
            counted.created.fetch_add(1, Ordering::Relaxed);
            fill(&theatre, &topic, &mut chance, stop);
            if chance.one_in(2) {
                check(&theatre, &topic, &counted);
            }
            living[slot] = Some(topic);
        }
        for topic in living.into_iter().flatten() {
            check(&theatre, &topic, &counted);
        }
    })
}

fn check(theatre: &Theatre, topic: &Topic, counted: &ChurnCount) {
    for violation in check_topic(theatre, topic) {
        theatre
            .history()
            .breach(format!("{} (number {}): {violation:?}", topic.name, topic.number));
    }
    counted.checked.fetch_add(1, Ordering::Relaxed);
}

fn fill(theatre: &Theatre, topic: &Topic, chance: &mut Chance, stop: &Stop) {
    let mut producer = StampingProducer::new(theatre, topic, Promise::Once, &[]);
    for _ in 0..chance.between(1, 150) {
        let partition = i32::try_from(chance.between(0, 2)).unwrap_or(0) % topic.partitions;
        let size = usize::try_from(chance.between(30, 2_000)).unwrap_or(30);
        if !producer.send(partition, size, stop) {
            break;
        }
    }
    producer.flush();
}

/// Why a call did not succeed.
enum Failure {
    /// It may or may not have been heard: to be repeated.
    Unheard(String),
    /// An answer that must not be.
    Wrong(String),
}

/// Makes the topic; false if the actor is to end.
fn create(theatre: &Theatre, admin: &AdminClient<DefaultClientContext>, topic: &Topic, stop: &Stop) -> bool {
    let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(1));
    let new = new.set("retention.ms", "-1");
    repeat(theatre, &format!("create {}", topic.name), stop, |is_repeated| {
        let told = answer(admin.create_topics([&new], &options())).map_err(unheard)?;
        match told.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err((_, code @ RDKafkaErrorCode::TopicAlreadyExists))) => heard_before(is_repeated, code),
            other => Err(unheard(format!("{other:?}"))),
        }
    })
}

/// Deletes the topic; false if the actor is to end.
fn delete(theatre: &Theatre, admin: &AdminClient<DefaultClientContext>, topic: &Topic, stop: &Stop) -> bool {
    repeat(theatre, &format!("delete {}", topic.name), stop, |is_repeated| {
        let told = answer(admin.delete_topics(&[&topic.name], &options())).map_err(unheard)?;
        match told.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err((_, code @ RDKafkaErrorCode::UnknownTopicOrPartition))) => {
                heard_before(is_repeated, code)
            }
            other => Err(unheard(format!("{other:?}"))),
        }
    })
}

fn unheard(why: impl ToString) -> Failure {
    Failure::Unheard(why.to_string())
}

/// An answer that is right only if an earlier call was heard.
fn heard_before(is_repeated: bool, code: RDKafkaErrorCode) -> Result<(), Failure> {
    if is_repeated {
        return Ok(());
    }
    Err(Failure::Wrong(format!("{code:?} at the first call")))
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(CALL))
        .operation_timeout(Some(CALL))
}

/// Repeats a call until it succeeds; the argument says whether an earlier one may have been heard. False if the actor
/// is to end first, or went wrong.
fn repeat(
    theatre: &Theatre,
    what: &str,
    stop: &Stop,
    mut call: impl FnMut(bool) -> Result<(), Failure>,
) -> bool {
    let patience = theatre.standstill.patience(PATIENCE);
    let mut is_repeated = false;
    loop {
        let why = match call(is_repeated) {
            Ok(()) => return true,
            Err(Failure::Wrong(why)) => why,
            Err(Failure::Unheard(why)) if patience.is_over() => why,
            Err(Failure::Unheard(_)) if stop.is_asked() => return false,
            Err(Failure::Unheard(_)) => {
                is_repeated = true;
                stop.pause(Duration::from_millis(50));
                continue;
            }
        };
        theatre.history().breach(format!("{what}: {why}"));
        return false;
    }
}

//! The reading of everything, when no client writes any more: that it can be done is itself a promise, because a
//! transaction that nobody ends must not hold readers back longer than its timeout.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::pollers::{config, note};
use super::{GROUP, INPUT, PARTITIONS, Stage, places};
use crate::transactions::{Event, Isolation, Place};
use crate::wait::PATIENCE;
use crate::watchdog::Retiring;

const CALL: Duration = Duration::from_secs(5);

/// Waits until no transaction is open and reads every partition twice, as committed and as it is.
///
/// A partition in which readers of committed records do not come to the end within a minute is a breach.
pub fn read_everything(stage: &Stage) {
    // One reader of each kind for all partitions: transactions and inputs with their outputs reach over them.
    let kinds = [Isolation::Committed, Isolation::Uncommitted];
    let readers = kinds.map(|isolation| (stage.book.new_consumer(isolation), isolation));
    for place in places() {
        let read = wait_until_stable(stage, place).and_then(|end| {
            readers
                .iter()
                .try_for_each(|reader| read(stage, place, *reader, end))
        });
        if let Err(why) = read {
            stage.book.note(Event::Breach(format!(
                "{}-{}: {why}",
                place.name(),
                place.partition
            )));
        }
    }
}

/// The end of the log, once committed records end where all records do.
fn wait_until_stable(stage: &Stage, place: Place) -> Result<i64, String> {
    let client = |isolation| -> BaseConsumer {
        config(&stage.bootstrap, isolation)
            .create()
            .expect("the settings are librdkafka's")
    };
    let (committed, all) = (client(Isolation::Committed), client(Isolation::Uncommitted));
    let end = |client: &BaseConsumer| {
        let marks = client.fetch_watermarks(place.name(), place.partition, CALL);
        marks.map(|(_, end)| end).map_err(|error| error.to_string())
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (stable, high) = (end(&committed), end(&all));
        match (&stable, &high) {
            (Ok(stable), Ok(high)) if stable == high => return Ok(*high),
            _ if Instant::now() >= deadline => {
                return Err(format!(
                    "after {PATIENCE:?} a transaction is still open: committed records end at {stable:?}, all at {high:?}"
                ));
            }
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn read(stage: &Stage, place: Place, (number, isolation): (u32, Isolation), end: i64) -> Result<(), String> {
    let mut settings = config(&stage.bootstrap, isolation);
    settings.set("enable.partition.eof", "true");
    let consumer: BaseConsumer = settings.create().map_err(|error| error.to_string())?;
    let consumer = Retiring::from(consumer);
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(place.name(), place.partition, Offset::Beginning)
        .map_err(|error| error.to_string())?;
    consumer.assign(&assignment).map_err(|error| error.to_string())?;
    let mut deadline = Instant::now() + PATIENCE;
    let mut count = 0;
    loop {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                deadline = Instant::now() + PATIENCE;
                count += 1;
                note(stage, number, &message);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            other if Instant::now() >= deadline => {
                let last = other.map(|outcome| outcome.map(|_| ()));
                return Err(format!(
                    "{isolation:?}: {count} records of a log that ends at {end}, then nothing: {last:?}"
                ));
            }
            _ => {}
        }
    }
    stage.book.note(Event::ReadAll {
        consumer: number,
        place,
    });
    Ok(())
}

/// Asks what the processors have committed, waiting until no offset is pending.
pub fn read_committed_offsets(stage: &Stage) {
    let mut settings = config(&stage.bootstrap, Isolation::Committed);
    settings.set("group.id", GROUP);
    let consumer: BaseConsumer = settings.create().expect("the settings are librdkafka's");
    let consumer = Retiring::from(consumer);
    let mut asked = TopicPartitionList::new();
    let input = super::TOPICS[INPUT as usize];
    asked.add_partition_range(input, 0, PARTITIONS - 1);
    let deadline = Instant::now() + PATIENCE;
    let answer = loop {
        match consumer.committed_offsets(asked.clone(), CALL) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            other => break other,
        }
    };
    match answer {
        Ok(answer) => {
            for element in answer.elements() {
                let offset = match element.offset() {
                    Offset::Offset(offset) => offset,
                    _ => 0,
                };
                let place = Place {
                    topic: INPUT,
                    partition: element.partition(),
                };
                stage.book.note(Event::CommittedOffset { place, offset });
            }
        }
        Err(error) => stage
            .book
            .note(Event::Breach(format!("no committed offsets of {GROUP}: {error}"))),
    }
}

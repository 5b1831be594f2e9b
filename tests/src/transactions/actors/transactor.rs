//! A transactional producer that notes what it does and what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Message, TopicPartitionList};

use super::{Stage, TRANSACTION_TIMEOUT};
use crate::actors::Stop;
use crate::clients::librdkafka::config_at;
use crate::transactions::{Book, Event, Outcome, Place, Source, TransactionId, Value, Write};

/// How long one call into the client lasts before the actor looks at its orders.
const CALL: Duration = Duration::from_secs(1);
/// How long a transaction may take to end before its client gives it up.
const END: Duration = Duration::from_secs(30);

/// A transactional id: its number, and the count of its transactions, which goes on over all clients that use it.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub number: u32,
    next: Arc<AtomicU64>,
}

impl Identity {
    pub fn new(number: u32) -> Identity {
        Identity {
            number,
            next: Arc::default(),
        }
    }
}

/// Writes acknowledgements into the book.
pub(super) struct Reports {
    book: Book,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Write>;

    fn delivery(&self, result: &DeliveryResult<'_>, write: Box<Write>) {
        // A failure shows in the end of the transaction. A repetition is acknowledged without an offset.
        if let Ok(message) = result
            && message.offset() >= 0
        {
            self.book.note(Event::Delivered {
                write: *write,
                offset: message.offset(),
            });
        }
    }
}

/// Whether the client can begin another transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Usable,
    Broken,
}

/// The client, and its open transaction if there is one.
pub(super) struct Transactor {
    producer: ThreadedProducer<Reports>,
    book: Book,
    identity: Identity,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    id: TransactionId,
    writes: u32,
    is_commit_asked: bool,
}

impl Transactor {
    /// A new client for a transactional id, which ends what an earlier one has left. Tries until `stop` is asked for.
    pub fn connect(stage: &Stage, identity: &Identity, stop: &Stop) -> Option<Transactor> {
        let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
        let id = format!("transactional-{}", identity.number);
        let config: ClientConfig = config_at(
            &stage.bootstrap,
            &[
                ("transactional.id", &id),
                ("transaction.timeout.ms", &timeout),
                ("message.timeout.ms", &timeout),
                ("socket.timeout.ms", "3000"),
                ("linger.ms", "1"),
                ("retry.backoff.ms", "20"),
                ("topic.metadata.refresh.fast.interval.ms", "50"),
            ],
        );
        while !stop.is_asked() {
            let context = Reports {
                book: stage.book.clone(),
            };
            let producer: ThreadedProducer<Reports> = config
                .create_with_context(context)
                .expect("the settings are librdkafka's");
            if initialise(&producer, stop) {
                return Some(Transactor {
                    producer,
                    book: stage.book.clone(),
                    identity: identity.clone(),
                    open: None,
                });
            }
            stop.pause(Duration::from_millis(50));
        }
        None
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> Client {
        if self.producer.begin_transaction().is_err() {
            return Client::Broken;
        }
        let id = TransactionId {
            producer: self.identity.number,
            number: self.identity.next.fetch_add(1, Ordering::SeqCst),
        };
        self.open = Some(Open {
            id,
            writes: 0,
            is_commit_asked: false,
        });
        Client::Usable
    }

    /// Hands a record to the client; broken if it takes none, because the transaction has failed.
    pub fn write(&mut self, place: Place, source: Option<Source>, size: usize) -> Client {
        let Some(open) = &mut self.open else {
            return Client::Broken;
        };
        let write = Write {
            transaction: open.id,
            index: open.writes,
        };
        open.writes += 1;
        self.book.note(Event::Sent { write, place, source });
        let value = Value { write, place, source }.encode(size);
        let key = write.index.to_string();
        let mut record = BaseRecord::with_opaque_to(place.name(), Box::new(write))
            .partition(place.partition)
            .payload(&value)
            .key(&key);
        let deadline = Instant::now() + END;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Client::Usable,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned))
                    if Instant::now() < deadline =>
                {
                    record = returned;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(_) => {
                    self.book.note(Event::Refused(write));
                    return Client::Broken;
                }
            }
        }
    }

    /// Waits a moment for acknowledgements.
    pub fn flush(&self, within: Duration) {
        let _ = self.producer.flush(within);
    }

    /// Adds the positions of a group's member to the transaction; broken if it must be aborted.
    pub fn send_offsets(&self, positions: &TopicPartitionList, member: &ConsumerGroupMetadata) -> Client {
        let deadline = Instant::now() + END;
        loop {
            match self.producer.send_offsets_to_transaction(positions, member, CALL) {
                Ok(()) => return Client::Usable,
                Err(error) if may_try_again(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(_) => return Client::Broken,
            }
        }
    }

    /// Commits, or aborts if the client says that it must. `stop` does not end it: the end of a transaction is awaited.
    pub fn commit(&mut self) -> Client {
        let Some(id) = self.ask_for_commit() else {
            return Client::Broken;
        };
        let deadline = Instant::now() + END;
        loop {
            match self.producer.commit_transaction(CALL) {
                Ok(()) => {
                    self.ended(id, Outcome::Committed);
                    return Client::Usable;
                }
                Err(error) if requires_abort(&error) => return self.abort(),
                Err(error) if may_try_again(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(_) => {
                    self.ended(id, Outcome::Unknown);
                    return Client::Broken;
                }
            }
        }
    }

    /// Asks for the commit and leaves without waiting for more than a moment.
    pub fn commit_and_leave(mut self, moment: Duration) {
        let Some(id) = self.ask_for_commit() else { return };
        let outcome = match self.producer.commit_transaction(moment) {
            Ok(()) => Outcome::Committed,
            Err(_) => Outcome::Unknown,
        };
        self.ended(id, outcome);
    }

    /// Aborts; a client that cannot is broken, and so is what it wrote if it never asked for a commit.
    ///
    /// A client that drops unanswered records is left afterwards. librdkafka 2.12 counts a record that waits to be sent
    /// again as never sent and gives its number to the next transaction; if the first attempt had arrived, the broker
    /// takes the next record for a repetition, as it must, and the record is lost. A new client has a new epoch.
    pub fn abort(&mut self) -> Client {
        let Some(open) = &self.open else {
            return Client::Broken;
        };
        let (id, is_commit_asked) = (open.id, open.is_commit_asked);
        let afterwards = match self.producer.in_flight_count() {
            0 => Client::Usable,
            _ => Client::Broken,
        };
        let deadline = Instant::now() + END;
        loop {
            match self.producer.abort_transaction(CALL) {
                Ok(()) => {
                    self.ended(id, Outcome::Aborted);
                    return afterwards;
                }
                Err(error) if may_try_again(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(_) => {
                    let outcome = if is_commit_asked {
                        Outcome::Unknown
                    } else {
                        Outcome::Aborted
                    };
                    self.ended(id, outcome);
                    return Client::Broken;
                }
            }
        }
    }

    /// Leaves an open transaction behind. Nobody asked for its commit, so it must come to nothing.
    pub fn leave(mut self) {
        if let Some(open) = &self.open {
            let id = open.id;
            self.ended(id, Outcome::Aborted);
        }
    }

    /// Goes on after another client has taken over the transactional id: writes and asks for a commit, which must fail.
    pub fn go_on_as_zombie(mut self, place: Place) {
        let Some(open) = &self.open else { return };
        let id = open.id;
        self.ended(id, Outcome::Aborted);
        self.open = Some(Open {
            id,
            writes: 1_000,
            is_commit_asked: false,
        });
        let _ = self.write(place, None, 10);
        let deadline = Instant::now() + 3 * CALL;
        loop {
            match self.producer.commit_transaction(CALL) {
                Ok(()) => {
                    let what = format!("{id:?}: a producer has committed after another one took its place");
                    self.book.note(Event::Breach(what));
                    return;
                }
                Err(error) if may_try_again(&error) && Instant::now() < deadline => {}
                Err(_) => return,
            }
        }
    }

    fn ask_for_commit(&mut self) -> Option<TransactionId> {
        let open = self.open.as_mut()?;
        open.is_commit_asked = true;
        self.book.note(Event::CommitAsked(open.id));
        Some(open.id)
    }

    fn ended(&mut self, transaction: TransactionId, outcome: Outcome) {
        self.open = None;
        self.book.note(Event::Ended { transaction, outcome });
    }
}

/// False if the client can never be used.
fn initialise(producer: &ThreadedProducer<Reports>, stop: &Stop) -> bool {
    while !stop.is_asked() {
        match producer.init_transactions(CALL) {
            Ok(()) => return true,
            Err(error) if may_try_again(&error) => {}
            Err(_) => return false,
        }
    }
    false
}

fn may_try_again(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable(),
        // The records were not all answered within the call.
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

fn requires_abort(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.txn_requires_abort())
}

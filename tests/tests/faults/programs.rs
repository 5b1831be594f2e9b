//! What the tests with Kafka Streams, Connect and Kafka's copier share: a broker for transactions, Java programs that are
//! killed and started again, and a reader of committed records that stays over it all.

use std::process::Command;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use thalweg_tests::clients::librdkafka::{Consumed, config};
use thalweg_tests::process::{Output, Server};
use thalweg_tests::{Broker, BrokerConfig, Product};

/// How long a program may need for what it has to do; a Java start on a busy machine takes a good part of it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A broker that looks often for transactions past their timeout.
pub fn start_broker() -> Broker {
    BrokerConfig::default()
        .set("transaction.abort.timed.out.transaction.cleanup.interval.ms", 500)
        .start()
}

/// Ends the broker by SIGKILL. Apache Kafka, which the tests are checked against, is stopped in order: after a kill it can
/// leave a prepared abort without its markers, and then the programs here rightly come to nothing (see `transactions`).
pub fn end_broker(broker: &mut Broker) {
    match broker.product() {
        Product::Thalweg => broker.kill_nine(),
        Product::ApacheKafka => {
            let _ = broker.terminate();
        }
    }
}

/// A Java program that can be killed and started again; killed when dropped.
pub struct Program {
    name: String,
    make: Box<dyn Fn() -> Command>,
    output: Output,
    server: Option<Server>,
}

impl Program {
    /// Starts what `make` makes, with its output in the broker's directory.
    pub fn start(broker: &Broker, name: &str, make: impl Fn() -> Command + 'static) -> Program {
        let mut program = Program {
            name: name.to_owned(),
            make: Box::new(make),
            output: Output {
                stdout: broker.directory().join(format!("{name}.out")),
                stderr: broker.directory().join(format!("{name}.err")),
            },
            server: None,
        };
        program.start_again();
        program
    }

    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "{} runs already", self.name);
        self.server = Some(Server::start((self.make)(), &self.output));
    }

    /// SIGKILL; on return nothing of it runs.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// The exit code, if it has ended by itself.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        let status = self.server.as_mut()?.exit_status()?;
        Some(status.code())
    }

    /// Panics if it has ended by itself.
    #[track_caller]
    pub fn must_run(&mut self) {
        if let Some(code) = self.ended() {
            self.fail(&format!("ended by itself: {code:?}"));
        }
    }

    /// What it printed in all its lives.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.output.stdout).unwrap_or_default()
    }

    #[track_caller]
    pub fn fail(&self, why: &str) -> ! {
        panic!("{}: {why}\n{}", self.name, self.output.tail());
    }
}

/// A consumer of committed records that reads a topic from its beginning and goes on over every fault.
pub struct Follower {
    consumer: BaseConsumer,
}

impl Follower {
    pub fn new(broker: &Broker, topic: &str, partitions: i32) -> Follower {
        let settings = [
            ("group.id", "unused"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("fetch.wait.max.ms", "50"),
        ];
        let consumer: BaseConsumer = config(broker, &settings)
            .create()
            .expect("the settings are librdkafka's");
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment
                .add_partition_offset(topic, partition, Offset::Beginning)
                .expect("a valid offset");
        }
        consumer.assign(&assignment).expect("assigning is local");
        Follower { consumer }
    }

    /// What has come within a moment.
    pub fn poll(&self) -> Vec<Consumed> {
        let mut records = Vec::new();
        // An error says that the broker is away: the client goes on by itself.
        while let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(50)) {
            records.push(Consumed::from_message(&message));
            if records.len() >= 10_000 {
                break;
            }
        }
        records
    }
}

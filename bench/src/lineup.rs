//! The brokers that are up during a comparison, warmed once, and the topic that fetch loads read.
//!
//! Both run at the same time, so that neither is cold when its turn comes; an account leaves the idle one's CPU time
//! out. A broker that a scenario broke is replaced by a new one.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::account;
use crate::admin::{Admin, Topics};
use crate::generate::{self, Produced};
use crate::perf_tools;
use crate::scenario::{Generator, Produce, Scale};
use crate::side::{Product, Served, Sizes};

/// How long a load at full speed may take; the slowest take a tenth.
pub const LOAD: Duration = Duration::from_secs(420);

/// The topic that fetch loads read and the cold reader of the latency load.
pub const FILLED_TOPIC: &str = "filled";
/// Its partitions.
pub const FILLED_PARTITIONS: i32 = 8;
/// The size of its records.
pub const FILLED_RECORD_BYTES: u64 = 1 << 10;
/// Bytes of payload in it. More than the write-ahead log and the tail in memory hold, so that its beginning is in
/// segments only.
const FILLED_BYTES: u64 = 2 << 30;
const FILLED_BYTES_MIN: u64 = 512 << 20;

/// Payload of the warm-up of a broker.
const WARM_UP_BYTES: u64 = 2 << 30;

/// The brokers that run.
#[derive(Debug)]
pub struct Lineup {
    scale: Scale,
    sizes: Sizes,
    served: BTreeMap<Product, Served>,
    filled: Vec<Product>,
}

impl Lineup {
    /// Starts nothing yet.
    pub fn new(scale: Scale) -> Lineup {
        Lineup {
            scale,
            sizes: usual_sizes(scale),
            served: BTreeMap::new(),
            filled: Vec::new(),
        }
    }

    /// The scale of the run.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Makes sure that Thalweg runs with the write-ahead log that a group of scenarios wants.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn prepare_for(&mut self, group: &str) -> Result<()> {
        let sizes = match group {
            // Sealed segments must be files, and not wait in the log.
            "latency" | "compact" => turnover_sizes(self.scale),
            _ => usual_sizes(self.scale),
        };
        if sizes != self.sizes {
            self.sizes = sizes;
            self.stop(Product::Thalweg)?;
        }
        Ok(())
    }

    /// The broker, started and warmed if it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn served(&mut self, product: Product) -> Result<&Served> {
        if !self.served.contains_key(&product) {
            eprintln!("  starting {} and warming it", product.name());
            let mut served = Served::prepare(product, self.sizes)?;
            served.start()?;
            warm(&served, self.scale)?;
            self.served.insert(product, served);
        }
        Ok(&self.served[&product])
    }

    /// Process ids of the brokers that run beside `product`.
    pub fn others(&self, product: Product) -> Vec<u32> {
        let others = self.served.iter().filter(|(other, _)| **other != product);
        others.filter_map(|(_, served)| served.pid().ok()).collect()
    }

    /// The broker, started and warmed if it does not run, and the process ids of those beside it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn beside(&mut self, product: Product) -> Result<(&Served, Vec<u32>)> {
        self.served(product)?;
        let others = self.others(product);
        Ok((&self.served[&product], others))
    }

    /// Fills the topic for fetch loads, once in the life of a broker; returns its topics and record count.
    ///
    /// # Errors
    /// When the broker does not take the records.
    pub fn filled(&mut self, product: Product) -> Result<(Topics, u64)> {
        let bytes = self.scale.bytes(FILLED_BYTES).max(FILLED_BYTES_MIN);
        let topics = Topics::spread(FILLED_TOPIC, FILLED_PARTITIONS);
        if !self.filled.contains(&product) {
            let served = self.served(product)?;
            served.admin()?.create(&topics, &[])?;
            let load = Produce {
                bytes,
                batch_bytes: 128 << 10,
                generator: Generator::Librdkafka,
                ..warm_load(Scale::Full)
            };
            produce_by_librdkafka(served.bootstrap(), &topics, &load)?;
            account::settle(served.pid()?, &served.data())?;
            self.filled.push(product);
        }
        Ok((topics, bytes / FILLED_RECORD_BYTES))
    }

    /// Stops one broker; its data is removed.
    ///
    /// # Errors
    /// When it had to be killed.
    pub fn stop(&mut self, product: Product) -> Result<()> {
        self.filled.retain(|filled| *filled != product);
        match self.served.remove(&product) {
            Some(mut served) => served.stop(),
            None => Ok(()),
        }
    }

    /// Kills a broker after a failure, and shows what it last said.
    pub fn give_up(&mut self, product: Product) {
        self.filled.retain(|filled| *filled != product);
        if let Some(served) = self.served.remove(&product) {
            eprintln!("{}", served.log_tail());
        }
    }

    /// Stops all brokers.
    ///
    /// # Errors
    /// When one had to be killed.
    pub fn stop_all(&mut self) -> Result<()> {
        for product in Product::ALL {
            self.stop(product)?;
        }
        Ok(())
    }
}

/// A quick run sends too little to fill the default log.
pub fn usual_sizes(scale: Scale) -> Sizes {
    match scale {
        Scale::Full => Sizes {
            wal_max_bytes: None,
            wal_file_bytes: None,
        },
        Scale::Quick => turnover_sizes(scale),
    }
}

/// A log that turns over several times within a minute at 20 MB/s.
pub fn turnover_sizes(scale: Scale) -> Sizes {
    let (max, file) = match scale {
        Scale::Full => (256 << 20, 16 << 20),
        Scale::Quick => (64 << 20, 8 << 20),
    };
    Sizes {
        wal_max_bytes: Some(max),
        wal_file_bytes: Some(file),
    }
}

fn warm_load(scale: Scale) -> Produce {
    Produce {
        generator: Generator::PerfTool,
        partitions: FILLED_PARTITIONS,
        record_bytes: 1 << 10,
        bytes: scale.bytes(WARM_UP_BYTES),
        seconds_max: 0.0,
        batch_bytes: 16 << 10,
        linger_ms: 5,
        codec: "none",
        payload: generate::Payload::Letters,
    }
}

/// Runs the paths once that will be measured: a virtual machine compiles them, files exist, memory is mapped.
fn warm(served: &Served, scale: Scale) -> Result<()> {
    let topics = Topics::spread("warm-up", FILLED_PARTITIONS);
    let admin = served.admin()?;
    admin.create(&topics, &[])?;
    let load = warm_load(scale);
    perf_tools::produce(served.bootstrap(), topics.first(), &load, None, LOAD)?;
    perf_tools::consume(served.bootstrap(), topics.first(), load.records(), LOAD)?;
    admin.delete(&topics)
}

/// Runs the librdkafka driver over `topics`.
///
/// # Errors
/// When it fails.
pub fn produce_by_librdkafka(bootstrap: &str, topics: &Topics, load: &Produce) -> Result<Produced> {
    let arguments = [
        format!("--bootstrap={bootstrap}"),
        format!("--topics={}", topics.names.join(",")),
        format!("--partitions={}", topics.partitions),
        format!("--record-bytes={}", load.record_bytes),
        format!("--batch-bytes={}", load.batch_bytes),
        format!("--linger-ms={}", load.linger_ms),
        format!("--codec={}", load.codec),
        format!(
            "--payload={}",
            if load.payload == generate::Payload::Json {
                "json"
            } else {
                "letters"
            }
        ),
        format!("--records={}", load.records()),
        format!("--seconds={}", load.seconds_max),
    ];
    generate::outcome("produce", &arguments, LOAD)
}

/// The number of records of a topic, as the broker counts them.
///
/// # Errors
/// Those of the calls.
pub fn count(admin: &Admin, topics: &Topics) -> Result<u64> {
    Ok(u64::try_from(admin.record_count(topics)?).unwrap_or(0))
}

/// Produces prepared batches by raw requests.
///
/// # Errors
/// When the broker refuses one, or the generator fails.
pub fn produce_prepared(bootstrap: &str, topics: &Topics, load: &Produce) -> Result<Produced> {
    let arguments = [
        format!("--bootstrap={bootstrap}"),
        format!("--topics={}", topics.names.join(",")),
        format!("--partitions={}", topics.partitions),
        format!("--record-bytes={}", load.record_bytes),
        format!("--batch-bytes={}", load.batch_bytes),
        format!("--records={}", load.records()),
        format!("--seconds={}", load.seconds_max),
    ];
    generate::outcome("prepared", &arguments, LOAD)
}

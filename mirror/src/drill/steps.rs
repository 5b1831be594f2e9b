//! The steps of a drill, in their order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use thalweg_client::{Cluster, NewTopic, TopicPartition, Validation};
use thalweg_types::Offset;
use thalweg_wire::batch::split_batches;
use thalweg_wire::mirror::{LinkId, Ownership};

use super::ledger::{Ledger, Tail, Verdict};
use super::machines::{Machine, PAUSE, Service, broker_program};
use super::readers::{Positions, Reader, Readers, ends, read_all, records_of};
use super::writers::{SharedLedger, Writers, locked, partitions};
use super::{GROUP_OF_COMMITS, GROUP_OF_MEMBERS, GROUP_OF_TRANSACTIONS, PARTITIONS, TOPIC};
use crate::operations::Operator;

/// How long a step may take.
const STEP: Duration = Duration::from_secs(60);
/// How long clients write to a source whose link is paused: what is lost with it.
const UNMIRRORED: Duration = Duration::from_millis(1_500);
/// Part of all records that the first time of writing takes, in percent; the second.
const FIRST: u64 = 45;
const SECOND: u64 = 75;

type Say<'a> = &'a mut dyn FnMut(&str);

pub(super) struct Drill {
    west: Machine,
    east: Machine,
    service: Service,
    ledger: SharedLedger,
    records: u64,
    folder: PathBuf,
    tails: Vec<Tail>,
    /// How far each group had read when its reader ended last.
    read: BTreeMap<&'static str, Positions>,
}

impl Drill {
    pub(super) fn new(folder: &Path, records: u64) -> Result<Self, String> {
        let program = broker_program()?;
        let west = Machine::new("west", &program, folder)?;
        let east = Machine::new("east", &program, folder)?;
        Ok(Self {
            service: Service::new(folder, (&west, &east))?,
            west,
            east,
            ledger: Arc::new(Mutex::new(Ledger::new(PARTITIONS))),
            records,
            folder: folder.to_owned(),
            tails: Vec::new(),
            read: BTreeMap::new(),
        })
    }

    pub(super) fn service_said(&self) -> String {
        self.service.said()
    }

    /// Plays all steps; returns the last line.
    pub(super) async fn play(&mut self, say: Say<'_>) -> Result<String, String> {
        self.west.start().await?;
        self.east.start().await?;
        let (west, east) = (self.west.cluster(), self.east.cluster());
        create_topic(&west).await?;
        self.service.start()?;
        say(&format!(
            "start: brokers west ({}) and east ({}), topic '{TOPIC}' with {PARTITIONS} partitions on west, links there and back",
            self.west.bootstrap(),
            self.east.bootstrap()
        ));
        let (writers, readers) = self.mirror(&west, &east, say).await?;
        let (writers, readers) = self.fail_over((writers, readers), &east, say).await?;
        self.fail_back(&west, say).await?;
        let (writers, readers) = self.promote((writers, readers), (&west, &east), say).await?;
        self.close_circle((writers, readers), (&west, &east), say).await?;
        self.judge((&west, &east), say).await
    }

    /// Writes to west while the service copies to east.
    async fn mirror(
        &mut self,
        west: &Cluster,
        east: &Cluster,
        say: Say<'_>,
    ) -> Result<(Writers, Readers), String> {
        let began = Instant::now();
        let writers = Writers::start(west, 1, &self.ledger);
        let readers = Readers::start(west);
        self.wait_for_records(self.records * FIRST / 100).await?;
        let seconds = began.elapsed().as_secs_f64();
        let partitions = self.service.partitions("there").await;
        let lag: i64 = partitions
            .iter()
            .filter_map(|found| found["lag_offsets"].as_i64())
            .sum();
        let (count, transactions) = self.written();
        say(&format!(
            "mirror: {count} records written to west in {seconds:.1} s, {transactions} transactions begun; east is {lag} offsets \
             behind, while they are written"
        ));
        self.verify("there", &["--behind-ok"], say).await?;
        for group in [GROUP_OF_MEMBERS, GROUP_OF_COMMITS, GROUP_OF_TRANSACTIONS] {
            until("the group's offsets reach east", async || {
                let found = east.fetch_group_offsets(group).await;
                Ok(found.is_ok_and(|found| found.len() == PARTITIONS))
            })
            .await
            .map_err(|why| format!("group {group}: {why}"))?;
        }
        say("groups: a member's, a commit-only and a transactional group's offsets are on east");
        Ok((writers, readers))
    }

    /// Loses west with records that east does not have, and goes on with east.
    async fn fail_over(
        &mut self,
        (writers, readers): (Writers, Readers),
        east: &Cluster,
        say: Say<'_>,
    ) -> Result<(Writers, Readers), String> {
        let before = self.written().0;
        self.service.must("pause", &["there"]).await?;
        tokio::time::sleep(UNMIRRORED).await;
        self.west.kill();
        let unmirrored = self.written().0 - before;
        let killed = Instant::now();
        let times = writers.stop().await?;
        self.take_readers(readers.stop().await?)?;
        say(&format!(
            "west is killed (SIGKILL); up to {unmirrored} of its records were acknowledged after the link was held"
        ));
        let writers = Writers::start(east, 2, &self.ledger);
        self.service.must("failover", &["there"]).await?;
        let readers = Readers::start(east);
        until("east takes records", async || Ok(writers.times().first.is_some())).await?;
        let pause = match (times.last, writers.times().first) {
            (Some(last), Some(first)) => first.saturating_duration_since(last),
            _ => killed.elapsed(),
        };
        say(&format!(
            "failover: east takes records {} ms after the last one of west, {} ms after the kill",
            pause.as_millis(),
            killed.elapsed().as_millis()
        ));
        self.wait_for_records(self.records * (FIRST + 10) / 100).await?;
        say(&format!("write: {} records in all, on east", self.written().0));
        Ok((writers, readers))
    }

    /// West comes back, is kept from taking records, and becomes east's mirror.
    async fn fail_back(&mut self, west: &Cluster, say: Say<'_>) -> Result<(), String> {
        let began = Instant::now();
        self.west.start().await?;
        let looks = Operator {
            cluster: west.clone(),
            link: LinkId::NONE,
        };
        until("west is sealed", async || {
            let found = looks
                .inspect(&partitions().collect::<Vec<TopicPartition>>(), STEP)
                .await;
            let found = found.map_err(|refused| refused.to_string())?;
            Ok(found.values().all(|report| report.ownership == Ownership::Sealed))
        })
        .await?;
        say(&format!(
            "west is back, and sealed {:.1} s after its start: it takes no records",
            began.elapsed().as_secs_f64()
        ));
        let (code, text) = self
            .service
            .command("failback", &["back", "--export", "tails"])
            .await?;
        if code != 3 {
            return Err(format!(
                "`failback` without a confirmation ended with code {code}, not 3:\n{text}"
            ));
        }
        self.tails = read_tails(&self.folder.join("tails"))?;
        let lost: usize = self.tails.iter().map(|tail| tail.records.len()).sum();
        let with_tail = self.tails.iter().filter(|tail| !tail.records.is_empty()).count();
        if with_tail == 0 {
            return Err("no partition has a tail, although the link was held before the kill".to_owned());
        }
        say(&format!(
            "fail back: west is a mirror of east; {lost} records in {with_tail} partitions were only on west, and are exported"
        ));
        let arguments = ["back", "--export", "tails", "--confirm-discard"];
        self.service.must("failback", &arguments).await?;
        let behind = self.wait_until_behind("back", 20_000).await?;
        let copied: u64 = behind
            .iter()
            .filter_map(|found| found["appended_bytes"].as_u64())
            .sum();
        let ends: i64 = behind
            .iter()
            .filter_map(|found| found["mirror_end"].as_i64())
            .sum();
        say(&format!(
            "fail back: the tails are cut off on confirmation; {copied} bytes were copied to {ends} offsets, the difference \
             alone; {:.1} s since west's start",
            began.elapsed().as_secs_f64()
        ));
        self.wait_for_records(self.records * SECOND / 100).await?;
        self.verify("back", &["--behind-ok"], say).await
    }

    /// West is promoted, planned: east is sealed, nothing is lost.
    async fn promote(
        &mut self,
        (writers, readers): (Writers, Readers),
        (west, east): (&Cluster, &Cluster),
        say: Say<'_>,
    ) -> Result<(Writers, Readers), String> {
        self.take_readers(readers.stop().await?)?;
        self.groups_agree((east, west), &[GROUP_OF_MEMBERS, GROUP_OF_COMMITS])
            .await?;
        say("groups: what the members and the commit-only reader committed on east is on west");
        let (began, before) = (Instant::now(), self.written().0);
        let fresh = Writers::start(west, 3, &self.ledger);
        self.service.must("promote", &["back"]).await?;
        let took = began.elapsed();
        let times = writers.stop().await?;
        let readers = Readers::start(west);
        until("west takes records", async || Ok(fresh.times().first.is_some())).await?;
        let pause = match (times.last, fresh.times().first) {
            (Some(last), Some(first)) => first.saturating_duration_since(last).as_millis().to_string(),
            _ => "?".to_owned(),
        };
        let looks = Operator {
            cluster: east.clone(),
            link: LinkId::NONE,
        };
        let sealed = looks
            .inspect(&partitions().collect::<Vec<TopicPartition>>(), STEP)
            .await;
        let sealed = sealed.map_err(|refused| refused.to_string())?;
        if let Some((of, report)) = sealed
            .iter()
            .find(|(_, report)| report.ownership != Ownership::Sealed)
        {
            return Err(format!(
                "{of} on east is {:?} after the promotion, not sealed",
                report.ownership
            ));
        }
        say(&format!(
            "promote: east is sealed, west took over in {:.1} s; writers were away for {pause} ms; {} records were \
             acknowledged meanwhile",
            took.as_secs_f64(),
            self.written().0 - before
        ));
        Ok((fresh, readers))
    }

    /// East becomes west's mirror again, without losing anything; then all stops.
    async fn close_circle(
        &mut self,
        (writers, readers): (Writers, Readers),
        (west, east): (&Cluster, &Cluster),
        say: Say<'_>,
    ) -> Result<(), String> {
        self.service
            .must("failback", &["there", "--export", "none"])
            .await?;
        self.wait_for_records(self.records).await?;
        writers.stop().await?;
        let ends = ends(west).await?;
        until("the readers are at the end", async || {
            let mut at_end = true;
            for group in [GROUP_OF_MEMBERS, GROUP_OF_COMMITS] {
                let found = west
                    .fetch_group_offsets(group)
                    .await
                    .map_err(|error| error.to_string())?;
                at_end &= partitions()
                    .zip(&ends)
                    .all(|(of, end)| found.get(&of).is_some_and(|found| found.offset == *end));
            }
            Ok(at_end)
        })
        .await?;
        self.take_readers(readers.stop().await?)?;
        let (count, transactions) = self.written();
        say(&format!(
            "write: {count} records in all, {transactions} transactions; the traffic stops, the readers are at the end"
        ));
        self.wait_until_behind("there", 0).await?;
        let groups = [GROUP_OF_MEMBERS, GROUP_OF_COMMITS, GROUP_OF_TRANSACTIONS];
        self.groups_agree((west, east), &groups).await?;
        say("groups: all offsets agree on west and east");
        self.verify("there", &[], say).await
    }

    /// Compares both sides with the ledger.
    async fn judge(&mut self, (west, east): (&Cluster, &Cluster), say: Say<'_>) -> Result<String, String> {
        let mut last = Verdict::default();
        let end = ends(west).await?;
        if ends(east).await? != end {
            return Err("west and east end at different offsets".to_owned());
        }
        for (name, cluster) in [("west", west), ("east", east)] {
            let read = read_all(cluster, &end).await?;
            let verdict = locked(&self.ledger).judge(&read, &self.tails);
            let line = format!(
                "{} records where they were acknowledged, {} beyond the cut and exported, {} of transactions that the cut went \
                 through, {} unacknowledged; {} lost, {} misplaced, {} double, {} that should not be read",
                verdict.kept,
                verdict.cut_off,
                verdict.cut_through,
                verdict.in_doubt,
                verdict.lost,
                verdict.misplaced,
                verdict.doubled,
                verdict.risen
            );
            say(&format!("{name}: {line}"));
            if !verdict.is_good() {
                return Err(format!(
                    "{name} does not agree with what was acknowledged: {line}"
                ));
            }
            last = verdict;
        }
        let (count, transactions) = self.written();
        if count < self.records {
            return Err(format!(
                "{count} records were written, fewer than {}",
                self.records
            ));
        }
        Ok(format!(
            "{count} records acknowledged, {transactions} transactions, 3 groups; {} records read at their offsets on both \
             sides, every record, offset and group agrees",
            last.kept
        ))
    }

    fn written(&self) -> (u64, usize) {
        let ledger = locked(&self.ledger);
        (ledger.acknowledged(), ledger.transactions())
    }

    async fn wait_for_records(&self, count: u64) -> Result<(), String> {
        until("enough records are written", async || {
            Ok(self.written().0 >= count)
        })
        .await
    }

    /// Waits until every partition of a link copies and all together are at most so many offsets behind.
    async fn wait_until_behind(&self, link: &str, offsets: i64) -> Result<Vec<Value>, String> {
        let last = Mutex::new(Vec::new());
        let outcome = until("the mirror catches up", async || {
            let found = self.service.partitions(link).await;
            let lags: Option<Vec<i64>> = found.iter().map(|found| found["lag_offsets"].as_i64()).collect();
            let copies = |found: &Value| matches!(found["state"].as_str(), Some("live" | "catching_up"));
            let is_near = found.len() == PARTITIONS
                && found.iter().all(copies)
                && lags.is_some_and(|lags| lags.into_iter().sum::<i64>() <= offsets);
            if let Ok(mut last) = last.lock() {
                *last = found;
            }
            Ok(is_near)
        })
        .await;
        let found = last.into_inner().unwrap_or_default();
        match outcome {
            Ok(()) => Ok(found),
            Err(why) => Err(format!("link {link}: {why}: {found:#?}")),
        }
    }

    async fn verify(&self, link: &str, more: &[&str], say: Say<'_>) -> Result<(), String> {
        let mut arguments = vec!["--link", link];
        arguments.extend_from_slice(more);
        let began = Instant::now();
        let text = self.service.must("verify", &arguments).await?;
        let last = text.trim_end().lines().last().unwrap_or_default().to_owned();
        say(&format!(
            "verify: {last} ({:.1} s)",
            began.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// Notes where readers ended, and that none began behind a record that its group had not read.
    fn take_readers(&mut self, readers: Vec<Reader>) -> Result<(), String> {
        for reader in readers {
            if let Some(before) = self.read.get(reader.group) {
                let skipped = before
                    .iter()
                    .zip(&reader.began)
                    .position(|(read, began)| began > read);
                if let Some(partition) = skipped {
                    return Err(format!(
                        "group {} began behind what it had read, in partition {partition}: records were skipped",
                        reader.group
                    ));
                }
            }
            self.read.insert(reader.group, reader.read);
        }
        Ok(())
    }

    /// Waits until the groups' offsets on `there` are those on `here`.
    async fn groups_agree(&self, (here, there): (&Cluster, &Cluster), groups: &[&str]) -> Result<(), String> {
        for group in groups {
            let seen = Mutex::new(String::new());
            let agreed = until("the group's offsets agree", async || {
                let offsets = async |cluster: &Cluster| {
                    let found = cluster
                        .fetch_group_offsets(group)
                        .await
                        .map_err(|error| error.to_string())?;
                    let found = partitions().map(|of| found.get(&of).map(|found| found.offset));
                    Ok::<Vec<Option<Offset>>, String>(found.collect())
                };
                let (here, there) = (offsets(here).await?, offsets(there).await?);
                if let Ok(mut seen) = seen.lock() {
                    *seen = format!("{here:?} and {there:?}");
                }
                Ok(here == there && here.iter().all(Option::is_some))
            })
            .await;
            let seen = seen.into_inner().unwrap_or_default();
            agreed.map_err(|why| format!("group {group}: {why}: {seen}"))?;
        }
        Ok(())
    }
}

async fn create_topic(cluster: &Cluster) -> Result<(), String> {
    let topic = NewTopic {
        name: TOPIC.to_owned(),
        partitions: i32::try_from(PARTITIONS).ok(),
        replication_factor: None,
        configs: Vec::new(),
    };
    let created = cluster.create_topics(&[topic], Validation::Apply).await;
    match created.map_err(|error| error.to_string())?.into_values().next() {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Waits for something; says what it waited for when a step's time is over.
async fn until(what: &str, mut look: impl AsyncFnMut() -> Result<bool, String>) -> Result<(), String> {
    let deadline = Instant::now() + STEP;
    loop {
        let found = look().await;
        match found {
            Ok(true) => return Ok(()),
            other if Instant::now() >= deadline => {
                let why = other.err().map(|why| format!(": {why}")).unwrap_or_default();
                return Err(format!("after {} s not yet: {what}{why}", STEP.as_secs()));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Reads what a failback exported, by partition. One without a tail was not cut.
fn read_tails(folder: &Path) -> Result<Vec<Tail>, String> {
    let mut tails = Vec::with_capacity(PARTITIONS);
    for of in partitions() {
        let mut tail = Tail {
            cut: Offset(i64::MAX),
            ..Tail::default()
        };
        let place = folder.join(of.to_string());
        for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let said = |why: String| format!("{}: {why}", path.display());
            let name = path
                .file_stem()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let cut = name
                .parse()
                .map_err(|_| said("its name is no offset".to_owned()))?;
            let bytes = Bytes::from(std::fs::read(&path).map_err(|error| said(error.to_string()))?);
            read_tail(&bytes, Offset(cut), &mut tail).map_err(said)?;
        }
        tails.push(tail);
    }
    Ok(tails)
}

fn read_tail(bytes: &Bytes, cut: Offset, tail: &mut Tail) -> Result<(), String> {
    tail.cut = cut;
    for batch in split_batches(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        if !batch.header.is_control() {
            records_of(batch.bytes, cut, &mut tail.records)?;
        } else if tail.first_marker.is_none() {
            tail.first_marker = Some(batch.header.base_offset);
        }
    }
    Ok(())
}

//! Mirror operations that a command sends by itself, for many partitions at a time, each to its leader.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use thalweg_client::{BrokerError, Cluster, MirrorCommand, TopicPartition};
use thalweg_types::{ErrorCode, Offset};
use thalweg_wire::mirror::{Command, Fence, LinkId, Operation, Report};

/// Commands in one request.
const COMMANDS_MAX: usize = 500;
/// How long a broker may take to make them durable.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Pause before a command is sent again.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a command of an operator's lasts without being renewed.
const LEASE_MS: i32 = 30_000;

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) partition: TopicPartition,
    pub(crate) why: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.partition, self.why)
    }
}

type Answers = BTreeMap<TopicPartition, (Result<(), BrokerError>, Option<Report>)>;

/// One link, as the operator's commands act in its name.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) cluster: Cluster,
    pub(crate) link: LinkId,
}

impl Operator {
    pub(crate) fn command(&self, operation: Operation, (session, expected_end): (i64, Offset)) -> Command {
        Command {
            fence: Fence {
                link: self.link,
                session,
                expected_end,
            },
            operation,
        }
    }

    /// Sends commands once. What is not in the answers was not answered.
    async fn send(&self, commands: &[(TopicPartition, Command)]) -> Result<Answers, String> {
        let said = |error: thalweg_client::ClientError| error.to_string();
        let partitions: Vec<TopicPartition> = commands.iter().map(|(of, _)| of.clone()).collect();
        let wanted: BTreeMap<&TopicPartition, Command> =
            commands.iter().map(|(of, command)| (of, *command)).collect();
        let mut answers = Answers::new();
        for (leader, led) in self.cluster.group_by_leader(&partitions).await.map_err(said)? {
            let connection = self.cluster.broker(leader).await.map_err(said)?;
            for part in led.chunks(COMMANDS_MAX) {
                let list = part.iter().filter_map(|of| {
                    Some(MirrorCommand {
                        partition: of.clone(),
                        command: *wanted.get(of)?,
                        records: bytes::Bytes::new(),
                    })
                });
                let found = connection.mirror(list.collect(), TIMEOUT).await.map_err(said)?;
                answers.extend(
                    found
                        .into_iter()
                        .map(|answer| (answer.partition, (answer.result, answer.report))),
                );
            }
        }
        Ok(answers)
    }

    /// Sends commands until each is done, or refused for good, or `within` is over. A claim that is refused waits for the
    /// lease of its holder.
    pub(crate) async fn run(
        &self,
        commands: Vec<(TopicPartition, Command)>,
        within: Duration,
    ) -> Result<BTreeMap<TopicPartition, Report>, Refused> {
        let deadline = Instant::now() + within;
        let mut left = commands;
        let mut reports = BTreeMap::new();
        while !left.is_empty() {
            let answers = self.send(&left).await;
            let mut again = Vec::new();
            let mut last = String::new();
            for (partition, command) in left {
                let answer = answers.as_ref().map_err(Clone::clone);
                let why = match answer.map(|answers| answers.get(&partition)) {
                    Ok(Some((Ok(()), Some(report)))) => {
                        reports.insert(partition, *report);
                        continue;
                    }
                    Ok(Some((Err(error), report))) if !may_pass(error.code, &command, report.as_ref()) => {
                        return Err(Refused {
                            partition,
                            why: error.to_string(),
                        });
                    }
                    Ok(Some((Err(error), _))) => error.to_string(),
                    Ok(Some((Ok(()), None)) | None) => "the broker's answer does not mention it".to_owned(),
                    Err(why) => why,
                };
                self.cluster.forget_topic(&partition.topic);
                again.push((partition, command));
                last = why;
            }
            if let (Some((partition, _)), true) = (again.first(), Instant::now() >= deadline) {
                let partition = partition.clone();
                return Err(Refused { partition, why: last });
            }
            left = again;
            if !left.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(reports)
    }

    /// Looks at partitions.
    pub(crate) async fn inspect(
        &self,
        partitions: &[TopicPartition],
        within: Duration,
    ) -> Result<BTreeMap<TopicPartition, Report>, Refused> {
        self.each(partitions, Operation::Inspect, within).await
    }

    /// Claims partitions.
    pub(crate) async fn claim(
        &self,
        partitions: &[TopicPartition],
        within: Duration,
    ) -> Result<BTreeMap<TopicPartition, Report>, Refused> {
        self.each(partitions, Operation::Claim { lease_ms: LEASE_MS }, within)
            .await
    }

    async fn each(
        &self,
        partitions: &[TopicPartition],
        operation: Operation,
        within: Duration,
    ) -> Result<BTreeMap<TopicPartition, Report>, Refused> {
        let command = self.command(operation, (0, Offset::UNKNOWN));
        let commands = partitions.iter().map(|of| (of.clone(), command));
        self.run(commands.collect(), within).await
    }
}

/// Whether time may change the answer.
fn may_pass(code: ErrorCode, command: &Command, report: Option<&Report>) -> bool {
    let waits_for_lease = matches!(command.operation, Operation::Claim { .. })
        && code == ErrorCode::FencedLeaderEpoch
        && report.is_some_and(|report| report.lease_left_ms > 0);
    let is_fence = matches!(
        code,
        ErrorCode::FencedLeaderEpoch | ErrorCode::OffsetOutOfRange | ErrorCode::PolicyViolation
    );
    waits_for_lease || (code.is_retriable() && !is_fence)
}

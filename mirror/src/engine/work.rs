//! What runs beside the engine: one fetch, one set of questions, one request of commands. Each ends with a [`Done`].

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_client::{
    BrokerError, ClientError, Cluster, Connection, EndedTransactions, FetchOptions, FetchTarget,
    FetchedPartition, Isolation, MirrorAnswer, MirrorCommand, OffsetQuery, TopicPartition,
};
use thalweg_types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

use super::LaneKey;
use crate::partition::{FetchFailure, Fetched, Place, Question, Refusal};

/// How long the target may take to make a command durable.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// A partition of the engine, by its place in the list, with what belongs to its answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) index: usize,
    pub(super) generation: u64,
}

/// A work that ended.
pub(super) enum Done {
    Fetch {
        lane: LaneKey,
        connection: Option<Connection>,
        /// Memory that was set aside.
        reserved: usize,
        answers: Vec<(Asked, Result<Fetched, FetchFailure>)>,
    },
    Places {
        broker: BrokerId,
        answers: Vec<(Asked, Result<Place, String>)>,
    },
    Commands {
        broker: BrokerId,
        answers: Vec<Answer>,
    },
    /// Of seals.
    SourceCommands {
        broker: BrokerId,
        answers: Vec<Answer>,
    },
    /// Of the source, for partitions that are sealed.
    TransactionsEnded(Result<EndedTransactions, String>),
}

/// What became of the command for a partition of the engine.
pub(super) type Answer = (usize, Result<(), Refusal>, Option<thalweg_wire::mirror::Report>);

/// One fetch request.
pub(super) struct FetchWork {
    pub(super) lane: LaneKey,
    pub(super) cluster: Cluster,
    pub(super) connection: Option<Connection>,
    pub(super) options: FetchOptions,
    pub(super) targets: Vec<(Asked, FetchTarget)>,
    pub(super) reserved: usize,
}

impl FetchWork {
    pub(super) async fn run(self) -> Done {
        let was_alone = self.targets.len() == 1;
        let (asked, targets): (Vec<Asked>, Vec<FetchTarget>) = self.targets.into_iter().unzip();
        let outcome = fetch(
            &self.cluster,
            self.connection,
            self.lane.broker,
            &targets,
            self.options,
        )
        .await;
        let (connection, mut found) = match outcome {
            Ok((connection, answers)) => (Some(connection), Ok(by_partition(answers))),
            Err(error) => (None, Err(error.to_string())),
        };
        let answers = asked.into_iter().zip(&targets).map(|(asked, target)| {
            let answer = match &mut found {
                Ok(found) => read(found.remove(&target.partition), was_alone),
                Err(reason) => Err(FetchFailure::Passing(reason.clone())),
            };
            (asked, answer)
        });
        Done::Fetch {
            lane: self.lane,
            connection,
            reserved: self.reserved,
            answers: answers.collect(),
        }
    }
}

async fn fetch(
    cluster: &Cluster,
    connection: Option<Connection>,
    broker: BrokerId,
    targets: &[FetchTarget],
    options: FetchOptions,
) -> Result<(Connection, Vec<FetchedPartition>), ClientError> {
    let connection = match connection.filter(|connection| !connection.is_closed()) {
        Some(connection) => connection,
        // A connection of the lane's own: on a shared one a long poll would hold up everything behind it.
        None => cluster.dial(broker).await?,
    };
    let answers = connection.fetch(targets, options).await?;
    Ok((connection, answers))
}

fn by_partition(answers: Vec<FetchedPartition>) -> BTreeMap<TopicPartition, FetchedPartition> {
    answers
        .into_iter()
        .map(|answer| (answer.partition.clone(), answer))
        .collect()
}

fn read(answer: Option<FetchedPartition>, was_alone: bool) -> Result<Fetched, FetchFailure> {
    match answer.map(|answer| answer.result) {
        Some(Ok(found)) => Ok(Fetched {
            log_start: found.log_start_offset,
            high_watermark: found.high_watermark,
            last_stable: found.last_stable_offset,
            records: found.records,
            was_alone,
        }),
        Some(Err(error)) if error.code == ErrorCode::OffsetOutOfRange => Err(FetchFailure::OutOfRange),
        Some(Err(error)) => Err(FetchFailure::Passing(error.to_string())),
        None => Err(FetchFailure::Passing(
            "the source's answer does not mention the partition".to_owned(),
        )),
    }
}

/// Asks a source broker where logs begin and end, and where epochs end.
pub(super) async fn places(
    cluster: Cluster,
    broker: BrokerId,
    isolation: Isolation,
    asked: Vec<(Asked, TopicPartition, Question)>,
) -> Done {
    let outcome = ask(&cluster, broker, isolation, &asked).await;
    let answers = match outcome {
        Ok(mut places) => asked
            .into_iter()
            .map(|(asked, partition, _)| {
                let place = places
                    .remove(&partition)
                    .unwrap_or_else(|| Err("the source's answer does not mention the partition".to_owned()));
                (asked, place)
            })
            .collect(),
        Err(error) => asked
            .into_iter()
            .map(|(asked, ..)| (asked, Err(error.to_string())))
            .collect(),
    };
    Done::Places { broker, answers }
}

type Places = BTreeMap<TopicPartition, Result<Place, String>>;

async fn ask(
    cluster: &Cluster,
    broker: BrokerId,
    isolation: Isolation,
    asked: &[(Asked, TopicPartition, Question)],
) -> Result<Places, ClientError> {
    let connection = cluster.broker(broker).await?;
    let query = |query: OffsetQuery| -> Vec<(TopicPartition, OffsetQuery)> {
        asked
            .iter()
            .map(|(_, partition, _)| (partition.clone(), query))
            .collect()
    };
    // The ends are asked for after the epochs: an epoch that ends later than the log would be taken for a rewind.
    let epochs: Vec<(TopicPartition, LeaderEpoch)> = asked
        .iter()
        .filter_map(|(_, partition, question)| Some((partition.clone(), question.epoch?)))
        .collect();
    let mut epoch_ends = match epochs.is_empty() {
        true => BTreeMap::new(),
        false => connection.epoch_ends(&epochs).await?,
    };
    let starts = connection
        .list_offsets(&query(OffsetQuery::Earliest), Isolation::ReadUncommitted)
        .await?;
    let ends = connection
        .list_offsets(&query(OffsetQuery::Latest), Isolation::ReadUncommitted)
        .await?;
    let stable = match isolation {
        Isolation::ReadCommitted => {
            connection
                .list_offsets(&query(OffsetQuery::Latest), isolation)
                .await?
        }
        Isolation::ReadUncommitted => ends.clone(),
    };
    let mut places = Places::new();
    for (_, partition, _) in asked {
        let offset_in =
            |listed: &BTreeMap<TopicPartition, Result<thalweg_client::ListedOffset, BrokerError>>| {
                match listed.get(partition) {
                    Some(Ok(found)) if found.offset >= Offset::ZERO => Ok(found.offset),
                    Some(Ok(_)) | None => Err("the source does not say where its log is".to_owned()),
                    Some(Err(error)) => Err(error.to_string()),
                }
            };
        let place = (|| {
            let epoch_end = epoch_ends.remove(partition).transpose();
            Ok(Place {
                start: offset_in(&starts)?,
                end: offset_in(&ends)?,
                stable_end: offset_in(&stable)?,
                epoch_end: epoch_end.map_err(|error| error.to_string())?,
            })
        })();
        places.insert(partition.clone(), place);
    }
    Ok(places)
}

/// Sends commands to a target broker.
pub(super) async fn commands(
    cluster: Cluster,
    broker: BrokerId,
    wanted: Vec<(usize, MirrorCommand)>,
) -> Done {
    let answers = command(&cluster, broker, wanted).await;
    Done::Commands { broker, answers }
}

/// Sends commands to a source broker.
pub(super) async fn source_commands(
    cluster: Cluster,
    broker: BrokerId,
    wanted: Vec<(usize, MirrorCommand)>,
) -> Done {
    let answers = command(&cluster, broker, wanted).await;
    Done::SourceCommands { broker, answers }
}

/// Ends the transactions that are open in partitions of the source.
pub(super) async fn end_transactions(cluster: Cluster, partitions: Vec<TopicPartition>) -> Done {
    let ended = cluster.abort_open_transactions(&partitions).await;
    Done::TransactionsEnded(ended.map_err(|error| error.to_string()))
}

async fn command(cluster: &Cluster, broker: BrokerId, wanted: Vec<(usize, MirrorCommand)>) -> Vec<Answer> {
    let (indexes, commands): (Vec<usize>, Vec<MirrorCommand>) = wanted.into_iter().unzip();
    let partitions: Vec<TopicPartition> = commands.iter().map(|command| command.partition.clone()).collect();
    let outcome = async {
        cluster
            .broker(broker)
            .await?
            .mirror(commands, COMMAND_TIMEOUT)
            .await
    }
    .await;
    let mut found: Result<BTreeMap<TopicPartition, MirrorAnswer>, String> = outcome
        .map(|answers| {
            answers
                .into_iter()
                .map(|answer| (answer.partition.clone(), answer))
                .collect()
        })
        .map_err(|error| error.to_string());
    indexes
        .into_iter()
        .zip(partitions)
        .map(|(index, partition)| match &mut found {
            Err(reason) => (index, Err(Refusal::Lost(reason.clone())), None),
            Ok(found) => match found.remove(&partition) {
                Some(answer) => {
                    let result = answer
                        .result
                        .map_err(|error| Refusal::Code(error.code, error.message));
                    (index, result, answer.report)
                }
                None => {
                    let said = "the target's answer does not mention the partition".to_owned();
                    (index, Err(Refusal::Lost(said)), None)
                }
            },
        })
        .collect()
}

//! Random histories of appends, deletions, checkpoints, stops and crashes against a model of a log.

use super::*;
use crate::log::TransactionOutcome;

/// What the model remembers of a partition: batches in order, with whether they were acknowledged.
#[derive(Default)]
struct Model {
    batches: Vec<(i64, i64, Bytes)>,
    acknowledged_end: i64,
    log_start: i64,
    next_sequence: i32,
}

pub(super) fn run_model(seed: u64, steps: usize) -> BTreeMap<CrashPoint, u64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let partitions = 3;
    let mut world = World::new(partitions);
    if rng.random_bool(0.3) {
        world.disk = world.disk.without_direct_writes();
    }
    let mut models: Vec<Model> = (0..partitions).map(|_| Model::default()).collect();
    let (mut engine, _) = world.open().unwrap();
    for step in 0..steps {
        let index = rng.random_range(0..partitions) as usize;
        let partition = log(&engine, index as i32);
        let model = &mut models[index];
        match rng.random_range(0..100) {
            0..12 => {
                let producer = 100 + rng.random_range(0..3);
                let (content, place) = if rng.random_bool(0.6) {
                    let header = transactions::transactional_header(&partition, producer, 2);
                    let filler = vec![5; rng.random_range(1..600)];
                    let content = Bytes::copy_from_slice(&with_header(header, &filler)[21..]);
                    let appended = transactions::append_transactional(&partition, header, &filler);
                    (content, appended.unwrap().place())
                } else {
                    let outcome = match rng.random_bool(0.5) {
                        true => TransactionOutcome::Abort,
                        false => TransactionOutcome::Commit,
                    };
                    let marker = transactions::marker(producer, 0, outcome);
                    let content = transactions::marker_content(&marker, TimestampMs(1));
                    (content, partition.append_marker(marker, TimestampMs(1)).unwrap())
                };
                model
                    .batches
                    .push((place.base_offset.0, place.last_offset.0, content));
                if rng.random_bool(0.6) {
                    place.ticket.unwrap().wait().unwrap();
                    model.acknowledged_end = place.last_offset.0 + 1;
                }
            }
            12..70 => {
                let count = rng.random_range(1..20);
                let filler: Vec<u8> = (0..rng.random_range(1..900)).map(|_| rng.random()).collect();
                let header = idempotent_header(index as i64, 0, model.next_sequence, count);
                let bytes = with_header(header, &filler);
                let content = Bytes::copy_from_slice(&bytes[21..]);
                let place = append(&partition, bytes).unwrap().place();
                model.next_sequence += count;
                model
                    .batches
                    .push((place.base_offset.0, place.last_offset.0, content));
                if rng.random_bool(0.6) {
                    place.ticket.unwrap().wait().unwrap();
                    model.acknowledged_end = place.last_offset.0 + 1;
                }
            }
            70..76 => {
                let hw = partition.offsets().high_watermark.0;
                let to = rng.random_range(model.log_start..=hw.max(model.log_start));
                if let (_, Some(ticket)) = partition.delete_records(Offset(to)).unwrap() {
                    ticket.wait().unwrap();
                    model.log_start = model.log_start.max(to);
                    model.acknowledged_end = model.acknowledged_end.max(to);
                }
            }
            76..82 => engine.checkpoint().unwrap(),
            82..85 => {
                partition.apply_retention(TimestampMs(0)).unwrap();
            }
            85..92 => check(&partition, model, step, seed),
            92..94 => {
                engine.close(Duration::from_secs(5));
                for (index, model) in models.iter_mut().enumerate() {
                    model.acknowledged_end = log(&engine, index as i32).offsets().log_end_offset.0;
                }
                drop((partition, engine));
                engine = world
                    .open()
                    .unwrap_or_else(|e| panic!("seed {seed} step {step}: {e}"))
                    .0;
            }
            _ => {
                if rng.random_bool(0.6) {
                    let point = CrashPoint::OF_LOGS[rng.random_range(0..CrashPoint::OF_LOGS.len())];
                    world.disk.crash_at(point, rng.random_range(1..4));
                    provoke(&engine, &mut models, &mut rng);
                }
                drop((partition, engine));
                let mut choices = StdRng::seed_from_u64(rng.random());
                world.disk.crash(&mut |n| choices.random_range(0..n));
                engine = reopen(&mut world, &mut rng, &format!("seed {seed} step {step}"));
                for (index, model) in models.iter_mut().enumerate() {
                    settle(&log(&engine, index as i32), model, step, seed);
                }
            }
        }
    }
    // Threads of an earlier life notice the crash in their own time.
    let fatal: Vec<String> = world
        .fatal
        .lock()
        .iter()
        .filter(|what| !what.contains("simulated machine crashed") && !what.contains("fenced by the test"))
        .cloned()
        .collect();
    assert!(fatal.is_empty(), "seed {seed}: {fatal:?}");
    world.disk.reached_counts()
}

/// Everything that passes crash points, whatever becomes of it.
fn provoke(engine: &Arc<LogEngine>, models: &mut [Model], rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..30) {
        let index = rng.random_range(0..models.len());
        let (partition, model) = (log(engine, index as i32), &mut models[index]);
        let count = rng.random_range(1..10);
        let filler: Vec<u8> = (0..rng.random_range(1..3000)).map(|_| rng.random()).collect();
        let header = idempotent_header(index as i64, 0, model.next_sequence, count);
        let bytes = with_header(header, &filler);
        let content = Bytes::copy_from_slice(&bytes[21..]);
        let Ok(appended) = append(&partition, bytes) else {
            return;
        };
        let place = appended.place();
        model.next_sequence += count;
        model
            .batches
            .push((place.base_offset.0, place.last_offset.0, content));
        if rng.random_bool(0.3) && place.ticket.unwrap().wait().is_ok() {
            model.acknowledged_end = place.last_offset.0 + 1;
        }
        if rng.random_bool(0.2) {
            let _ = engine.checkpoint();
        }
    }
    match rng.random_range(0..3) {
        0 => engine.close(Duration::from_secs(5)),
        1 => drop(engine.checkpoint()),
        _ => {}
    }
}

/// Opens after a crash; some starts crash themselves.
fn reopen(world: &mut World, rng: &mut StdRng, place: &str) -> Arc<LogEngine> {
    for _ in 0..rng.random_range(0..3) {
        let points = [
            CrashPoint::RecoverySegmentsCut,
            CrashPoint::RecoveryReplaying,
            CrashPoint::RecoveryReplayed,
            CrashPoint::WalFileFilled,
        ];
        world
            .disk
            .crash_at(points[rng.random_range(0..points.len())], rng.random_range(1..6));
        match world.open() {
            // The point lies beyond what this start does, or behind its end.
            Ok((engine, _)) => drop(engine),
            Err(error) => assert!(world.disk.is_dark(), "{place}: {error}"),
        }
        world.disk.crash(&mut |n| rng.random_range(0..n));
    }
    world.open().unwrap_or_else(|e| panic!("{place}: {e}")).0
}

/// After a crash: what was not acknowledged is there in a prefix, or not.
fn settle(partition: &PartitionLog, model: &mut Model, step: usize, seed: u64) {
    let offsets = partition.offsets();
    let end = offsets.log_end_offset.0;
    assert!(
        end >= model.acknowledged_end,
        "seed {seed} step {step}: end {end} < {}",
        model.acknowledged_end
    );
    assert_eq!(
        offsets.log_start_offset.0, model.log_start,
        "seed {seed} step {step}"
    );
    model.batches.retain(|(_, last, _)| *last < end);
    if let Some((_, last, _)) = model.batches.last() {
        assert_eq!(*last + 1, end, "seed {seed} step {step}");
    }
    let known = partition.transactions();
    let own = known
        .iter()
        .find(|known| known.producer_id.0 == i64::from(partition.id().partition.0));
    model.next_sequence = own.map_or(0, |known| known.last_sequence + 1);
    model.acknowledged_end = end;
    check(partition, model, step, seed);
}

fn check(partition: &PartitionLog, model: &Model, step: usize, seed: u64) {
    if let Some(ticket) = partition.last_ticket() {
        ticket.wait().unwrap();
    }
    let expected: Vec<(i64, Bytes)> = model
        .batches
        .iter()
        .filter(|(_, last, _)| *last >= model.log_start)
        .map(|(base, _, content)| (*base, content.clone()))
        .collect();
    let found = read_all(partition);
    let numbers = |all: &[(i64, Bytes)]| all.iter().map(|(offset, _)| *offset).collect::<Vec<_>>();
    assert_eq!(
        numbers(&found),
        numbers(&expected),
        "seed {seed} step {step} {partition:?}"
    );
    assert!(found == expected, "seed {seed} step {step}: bytes differ");
    // Appends of this thread alone: what was waited for is all there is.
    if let Err(what) = transactions::check(partition, &model.batches) {
        panic!("seed {seed} step {step} {partition:?}: {what}");
    }
}

#[test]
fn random_histories_with_crashes_agree_with_the_model() {
    let first: u64 = std::env::var("THALWEG_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    let count: u64 = std::env::var("THALWEG_SEEDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(25);
    let mut reached = BTreeMap::new();
    for seed in first..first + count {
        println!("THALWEG_SEED={seed}");
        for (point, count) in run_model(seed, 400) {
            *reached.entry(point).or_insert(0) += count;
        }
    }
    println!("crash points reached: {reached:?}");
    // Topics are deleted in other tests.
    for point in CrashPoint::OF_LOGS {
        let elsewhere = point == CrashPoint::DirectoryDoomed;
        assert!(
            elsewhere || reached.contains_key(&point),
            "{point} was never reached: {reached:?}"
        );
    }
}

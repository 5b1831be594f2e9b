//! Retention beside appends, drains and checkpoints: what is acknowledged stays, and the log start never goes back.

use super::*;

#[test]
fn retention_beside_drains_and_checkpoints_loses_nothing_and_never_goes_back() {
    for round in 0..6 {
        let mut world = World::new(1);
        let (engine, _) = world.open().unwrap();
        let partition = log(&engine, 0);
        // Everything but the newest segments may go, at any moment, the one being written included.
        partition.set_config(Arc::new(LogConfig {
            retention_ms: 50,
            ..config()
        }));
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for job in 0..2 {
            let (stop, engine, partition) = (stop.clone(), engine.clone(), partition.clone());
            threads.push(std::thread::spawn(move || {
                let mut last_start = Offset::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    if job == 0 {
                        engine.checkpoint().unwrap();
                    } else {
                        let now = TimestampMs(partition.offsets().log_end_offset.0 + 40);
                        partition.apply_retention(now).unwrap();
                        let start = partition.offsets().log_start_offset;
                        assert!(start >= last_start, "{start} after {last_start}");
                        last_start = start;
                    }
                }
            }));
        }
        // One record a batch, so that offset and timestamp are the same number.
        for index in 0..400 + round * 37 {
            append_durably(&partition, batch(1, index, &[3; 300]));
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
        let before = partition.offsets();
        let kept: Vec<i64> = read_all(&partition).iter().map(|(offset, _)| *offset).collect();
        let expected: Vec<i64> = (before.log_start_offset.0..before.high_watermark.0).collect();
        assert_eq!(kept, expected, "round {round}");
        assert!(world.fatal.lock().is_empty(), "{:?}", world.fatal.lock());
        drop((engine, partition));
        world.disk.crash(&mut |_| 0);
        let (engine, _) = world
            .open()
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        let after = log(&engine, 0).offsets();
        assert_eq!(after.log_start_offset, before.log_start_offset, "round {round}");
        let kept: Vec<i64> = read_all(&log(&engine, 0))
            .iter()
            .map(|(offset, _)| *offset)
            .collect();
        assert_eq!(kept, expected, "round {round}, after the crash");
    }
}

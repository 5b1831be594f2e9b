use super::*;

#[test]
fn the_gate_closes_at_the_high_mark_and_opens_below_the_low_one() {
    let gate = DiskGate::default();
    let marks = DiskMarks {
        high_percent: 95,
        low_percent: 90,
    };
    let space = |used: u64| DiskSpace {
        total: 1000,
        available: 1000 - used,
    };
    for (used, open) in [
        (949, true),
        (950, false),
        (920, false),
        (900, false),
        (899, true),
        (920, true),
    ] {
        assert_eq!(gate.observe(space(used), marks), open, "{used}");
        assert_eq!(gate.is_open(), open);
    }
}

use super::*;

const BLOCK: usize = BLOCK_SIZE as usize;

#[test]
fn ranges_are_cut_at_block_borders() {
    let cut = |range: Range<u64>| blocks_of(range).collect::<Vec<_>>();
    assert_eq!(cut(0..0), []);
    assert_eq!(cut(5000..5000), []);
    assert_eq!(cut(0..4096), [(0, 0..4096)]);
    assert_eq!(cut(4000..8193), [(0, 4000..4096), (4096, 0..4096), (8192, 0..1)]);
    assert_eq!(cut(u64::MAX - 1..u64::MAX).len(), 1);
}

#[test]
fn a_block_read_twice_must_be_the_same() {
    let checks = BlockChecks::default();
    let mut bytes = vec![3; 3 * BLOCK];
    assert_eq!(checks.read(4096, &bytes), Ok(()));
    assert_eq!(checks.read(4096, &bytes), Ok(()));
    bytes[2 * BLOCK] ^= 1;
    assert_eq!(checks.read(4096, &bytes), Err(3 * 4096));
    assert_eq!(checks.read(8192, &bytes[BLOCK..2 * BLOCK]), Ok(()));
}

#[test]
fn a_written_block_is_known_and_one_written_in_part_is_not() {
    let checks = BlockChecks::default();
    checks.written(0, &[1; 2 * BLOCK + 100]);
    assert_eq!(checks.read(0, &[2; BLOCK]), Err(0));
    assert_eq!(checks.read(0, &[1; 2 * BLOCK]), Ok(()));
    assert_eq!(
        checks.read(8192, &[9; BLOCK]),
        Ok(()),
        "nothing is known of its end"
    );
    checks.written(4096 + 10, &[5; 10]);
    assert_eq!(checks.read(4096, &[7; BLOCK]), Ok(()));
    assert_eq!(checks.read(4096, &[1; BLOCK]), Err(4096));
}

#[test]
fn forgotten_blocks_may_change() {
    let checks = BlockChecks::default();
    checks.written(0, &[1; 4 * BLOCK]);
    checks.forget(4097..3 * 4096);
    assert_eq!(checks.read(4096, &[2; 2 * BLOCK]), Ok(()));
    assert_eq!(checks.read(0, &[2; BLOCK]), Err(0));
    assert_eq!(checks.read(3 * 4096, &[2; BLOCK]), Err(3 * 4096));
    checks.forget(0..u64::MAX);
    assert_eq!(checks.read(0, &[9; 4 * BLOCK]), Ok(()));
}

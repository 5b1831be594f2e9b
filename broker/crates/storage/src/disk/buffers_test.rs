use super::*;

#[test]
fn a_buffer_that_came_back_is_lent_again() {
    let pool = Arc::new(BufferPool::default());
    let first = pool.take(5 * BLOCK);
    let address = first.as_ref().as_ptr();
    assert_eq!(address as usize % BLOCK, 0);
    drop(first);
    let again = pool.take(7 * BLOCK);
    assert_eq!(
        (again.as_ref().as_ptr(), again.as_ref().len()),
        (address, 7 * BLOCK)
    );
    let other = pool.take(BLOCK);
    assert_ne!(other.as_ref().as_ptr(), address, "that one is lent out");
}

#[test]
fn the_smallest_buffer_that_fits_is_lent() {
    let pool = Arc::new(BufferPool::default());
    let (large, small) = (pool.take(3 << 20), pool.take(BLOCK));
    let address = small.as_ref().as_ptr();
    drop((large, small));
    assert_eq!(pool.take(BLOCK).as_ref().as_ptr(), address);
}

#[test]
fn what_a_pool_keeps_is_bounded() {
    let pool = Arc::new(BufferPool::default());
    let many: Vec<_> = (0..64).map(|_| pool.take(1 << 20)).collect();
    drop(many);
    drop(pool.take(64 << 20));
    let kept: usize = pool.free.lock().iter().map(AlignedBuffer::capacity).sum();
    assert!(kept > 0 && kept <= KEPT_BYTES_MAX, "{kept}");
}

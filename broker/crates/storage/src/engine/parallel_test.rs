use super::*;

#[test]
fn results_come_in_the_order_of_the_items_whatever_the_number_of_threads() {
    for count in [0, 1, 2, 7, 8, 9, 100] {
        let items: Vec<usize> = (0..count).collect();
        for threads in [1, 2, 8, 200] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let expected: Vec<usize> = items.iter().map(|item| item * 3).collect();
            assert_eq!(map(&items, threads, |item| item * 3), expected);
        }
    }
}

#[test]
fn one_thread_is_the_callers() {
    let caller = std::thread::current().id();
    let all = map(&[1, 2, 3], NonZeroUsize::MIN, |_| std::thread::current().id());
    assert!(all.iter().all(|thread| *thread == caller));
}

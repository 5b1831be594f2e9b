use super::*;

const LINK: LinkId = LinkId([3; 16]);

fn traces() -> Vec<Trace> {
    let mark = |offset| {
        Some(Mark {
            offset: Offset(offset),
            text: 9,
        })
    };
    vec![
        Trace::default(),
        Trace {
            seen: mark(5),
            writing: mark(7),
            is_ours: true,
            is_gone: false,
        },
        Trace {
            seen: None,
            writing: mark(0),
            is_ours: false,
            is_gone: true,
        },
        Trace {
            seen: mark(i64::MAX),
            ..Trace::default()
        },
    ]
}

fn memory() -> Memory {
    let mut memory = Memory {
        owner: Some(Side::Target),
        ..Memory::default()
    };
    for (index, source) in (0..).zip(traces()) {
        for target in traces() {
            let at = TopicPartition::new("orders", PartitionIndex(index));
            memory.partitions.insert(at, Both { source, target });
        }
    }
    memory
}

#[test]
fn what_is_written_is_read_again() {
    let mut groups = BTreeMap::new();
    let (key, value) = (
        key(LINK, "billing", "orders"),
        value(&memory(), "orders").unwrap(),
    );
    assert!(recall(&mut groups, LINK, &key, Some(&value)));
    assert_eq!(groups.get("billing"), Some(&memory()));
    assert!(recall(&mut groups, LINK, &key, None));
    assert!(groups.is_empty());
    assert_eq!(super::value(&Memory::default(), "orders"), None);
}

#[test]
fn records_of_other_links_and_formats_are_left_alone() {
    let mut groups = BTreeMap::new();
    let (key, value) = (
        key(LINK, "billing", "orders"),
        value(&memory(), "orders").unwrap(),
    );
    assert!(!recall(&mut groups, LinkId([4; 16]), &key, Some(&value)));
    let mut newer = value.to_vec();
    newer[0] = 2;
    assert!(!recall(&mut groups, LINK, &key, Some(&newer)));
    assert!(groups.is_empty());
}

#[test]
fn a_cut_record_is_refused_and_does_not_panic() {
    let (key, value) = (
        key(LINK, "billing", "orders"),
        value(&memory(), "orders").unwrap(),
    );
    for size in 0..key.len() {
        assert_eq!(read_key(LINK, &key[..size]), None, "{size}");
    }
    for size in 0..value.len() {
        // A cut between two partitions is a shorter list.
        let _ = read_value(&value[..size]);
    }
    assert_eq!(read_value(&value[..3]), None);
}

//! Where the fields of each kind of file lie, for the table of damages.

use thalweg_types::TopicId;
use thalweg_wire::batch::{BatchError, split_batches};

/// Some bytes with a meaning.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) at: usize,
    pub(super) len: usize,
}

/// A commit group in a file of the write-ahead log.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) slot: u64,
    pub(super) fields: Vec<Field>,
}

const BLOCK: usize = 4096;
const GROUP_HEADER: usize = 64;
const RUN: usize = 72;

/// Fields that follow each other.
fn row(at: usize, fields: &[(&str, usize)]) -> Vec<Field> {
    let mut all = Vec::new();
    let mut at = at;
    for (name, len) in fields {
        all.push(Field {
            name: (*name).to_owned(),
            at,
            len: *len,
        });
        at += len;
    }
    all
}

/// The first, the one in the middle and the last.
pub(super) fn first_middle_last<T: Clone>(all: &[T]) -> Vec<T> {
    let mut wanted = vec![0, all.len() / 2, all.len().saturating_sub(1)];
    wanted.dedup();
    wanted
        .into_iter()
        .filter_map(|index| all.get(index).cloned())
        .collect()
}

/// The fields of each whole batch of a segment. A broker that was killed may have left a part of one at the end.
pub(super) fn batches(content: &[u8]) -> Vec<Vec<Field>> {
    let one = |at: usize, len: usize| {
        let header = [
            ("base offset", 8),
            ("batch length", 4),
            ("leader epoch", 4),
            ("magic", 1),
            ("crc", 4),
            ("attributes", 2),
            ("last offset delta", 4),
            ("base timestamp", 8),
            ("max timestamp", 8),
            ("producer id", 8),
            ("producer epoch", 2),
            ("base sequence", 4),
            ("record count", 4),
            ("records", len - 61),
        ];
        row(at, &header)
    };
    split_batches(content)
        .map_while(|batch| match batch {
            Err(BatchError::Truncated { .. }) => None,
            other => Some(other.expect("a sound segment")),
        })
        .map(|batch| one(batch.position, batch.bytes.len()))
        .collect()
}

/// Entries of fixed fields, to the end of the file.
pub(super) fn entries(name: &str, len: usize, fields: &[usize]) -> Vec<Field> {
    let entry: usize = fields.iter().sum();
    let mut all = Vec::new();
    for start in (0..len / entry).map(|index| index * entry) {
        let mut at = start;
        for field in fields {
            all.push(Field {
                name: format!("{name} {}", start / entry),
                at,
                len: *field,
            });
            at += field;
        }
    }
    all
}

/// Kafka's producer snapshot.
pub(super) fn snapshot(len: usize) -> Vec<Field> {
    let mut all = row(0, &[("version", 2), ("crc", 4), ("count", 4)]);
    let fields = [8, 2, 4, 8, 4, 8, 4, 8];
    let behind = entries("producer", len.saturating_sub(10), &fields);
    all.extend(behind.into_iter().map(|field| Field {
        at: field.at + 10,
        ..field
    }));
    all.retain(|field| field.at + field.len <= len);
    all
}

/// The words of a text: each is a field.
pub(super) fn lines(content: &[u8]) -> Vec<Field> {
    let text = String::from_utf8_lossy(content).into_owned();
    let mut all = Vec::new();
    let mut at = 0;
    for part in text.split_inclusive(['\n', '=', ' ', ':']) {
        all.push(Field {
            name: part.trim().to_owned(),
            at,
            len: part.len(),
        });
        at += part.len();
    }
    all
}

/// The header block of a file of the write-ahead log.
pub(super) fn file_header() -> Vec<Field> {
    row(
        0,
        &[
            ("file magic", 4),
            ("file version", 2),
            ("file unused", 2),
            ("incarnation", 16),
            ("number", 8),
            ("first slot", 8),
            ("unused", 4),
            ("file crc", 4),
        ],
    )
}

/// The groups of one file of the write-ahead log, in the order of their places.
pub(super) fn groups(content: &[u8]) -> Vec<Group> {
    let four = |at: usize| {
        let bytes = content[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    let mut all = Vec::new();
    let mut at = BLOCK;
    while at + GROUP_HEADER <= content.len() && content[at..].starts_with(b"TWG1") {
        let (payload, runs) = (four(at + 40), four(at + 44));
        let mut fields = row(
            at,
            &[
                ("magic", 4),
                ("version", 2),
                ("kind", 2),
                ("incarnation", 16),
                ("slot", 8),
                ("put id", 8),
                ("payload length", 4),
                ("run count", 4),
                ("body crc", 4),
                ("previous crc", 4),
                ("reserved", 4),
                ("header crc", 4),
            ],
        );
        if payload > 0 {
            fields.extend(row(at + GROUP_HEADER, &[("payload", payload)]));
        }
        for run in 0..runs {
            let start = at + GROUP_HEADER + payload + run * RUN;
            fields.extend(row(
                start,
                &[
                    ("run kind", 4),
                    ("run partition", 4),
                    ("run topic", 16),
                    ("run epoch", 4),
                    ("run position", 4),
                    ("run length", 4),
                    ("run unused", 4),
                    ("run base", 8),
                    ("run last", 8),
                    ("run timestamp", 8),
                    ("run reserved", 8),
                ],
            ));
        }
        let slot = content[at + 24..at + 32].try_into().expect("eight bytes");
        all.push(Group {
            slot: u64::from_le_bytes(slot),
            fields,
        });
        at += (GROUP_HEADER + payload + runs * RUN).next_multiple_of(BLOCK);
    }
    all
}

/// `wal/files`.
pub(super) fn wal_list(len: usize) -> Vec<Field> {
    let mut all = row(
        0,
        &[
            ("magic", 4),
            ("version", 2),
            ("unused", 2),
            ("incarnation", 16),
            ("count", 4),
        ],
    );
    for (index, at) in (28..len - 4).step_by(16).enumerate() {
        all.extend(row(at, &[("number", 8), ("length", 8)]));
        assert!(index < 100);
    }
    all.extend(row(len - 4, &[("crc", 4)]));
    all
}

/// The two slots in front of the database that say what was acknowledged.
pub(super) fn acknowledgement_slots() -> Vec<Field> {
    let fields = [
        ("slot magic", 8),
        ("slot format", 4),
        ("slot phase", 4),
        ("slot sequence", 8),
        ("slot revision", 8),
        ("slot rest", 32),
    ];
    [0, BLOCK].into_iter().flat_map(|at| row(at, &fields)).collect()
}

/// The header of the database itself: its magic, the flags and both commit slots.
pub(super) fn database_header() -> Vec<Field> {
    row(
        2 * BLOCK,
        &[
            ("database magic", 9),
            ("database flags", 3),
            ("page sizes", 20),
            ("unused", 32),
            ("commit slot 0", 128),
            ("commit slot 1", 128),
        ],
    )
}

/// The recovery points' rows: each field of their values, where they lie in the database's pages.
pub(super) fn recovery_rows(content: &[u8], topic: TopicId) -> Vec<Field> {
    let mut all = Vec::new();
    for kind in [b'p', b's'] {
        let mut key = vec![kind];
        key.extend_from_slice(&topic.0);
        let found = content
            .windows(key.len())
            .enumerate()
            .filter(|(_, bytes)| *bytes == key)
            .map(|(at, _)| at);
        for (index, at) in found.enumerate().take(6) {
            for (name, behind) in [
                ("key", 3),
                ("partition", 18),
                ("value", 30),
                ("value", 45),
                ("value", 70),
            ] {
                if at + behind + 8 <= content.len() {
                    all.extend(row(
                        at + behind,
                        &[(&*format!("row {} {index} {name}", kind as char), 8)],
                    ));
                }
            }
        }
    }
    assert!(!all.is_empty(), "no recovery point in the database");
    all
}

use super::*;
use crate::log::rows::{Row, decode};
use thalweg_types::{PartitionIndex, TopicId};

fn id() -> TopicPartitionId {
    TopicPartitionId {
        topic_id: TopicId([4; 16]),
        partition: PartitionIndex(11),
    }
}

#[test]
fn a_row_reads_back_as_written_and_damage_is_told() {
    for swapping in [vec![], vec![Offset(0), Offset(77)]] {
        let row = CleaningRow {
            first_dirty: Offset(900),
            swapping,
        };
        let bytes = encode_cleaning(&row);
        assert_eq!(decode(&cleaning_key(id()), &bytes), Ok(Row::Cleaning(id(), row)));
        for len in 0..bytes.len() {
            assert!(decode(&cleaning_key(id()), &bytes[..len]).is_err(), "{len}");
        }
        let mut newer = bytes.clone();
        newer[0] = 2;
        let error = decode(&cleaning_key(id()), &newer).unwrap_err();
        assert!(error.contains("newer"), "{error}");
    }
}

use super::*;
use crate::batch::verify_crc;

const PRODUCER: (ProducerId, ProducerEpoch) = (ProducerId(4711), ProducerEpoch(3));

#[test]
fn a_marker_reads_back_as_built() {
    for outcome in [TransactionOutcome::Commit, TransactionOutcome::Abort] {
        let marker = EndTransactionMarker {
            outcome,
            coordinator_epoch: 9,
        };
        let batch = marker.build(PRODUCER, TimestampMs(77)).unwrap();
        verify_crc(&batch).unwrap();
        let header = BatchHeader::parse(&batch).unwrap();
        assert!(header.is_control() && header.is_transactional());
        assert_eq!((header.producer_id, header.producer_epoch), PRODUCER);
        assert_eq!((header.base_sequence, header.record_count), (-1, 1));
        assert_eq!(EndTransactionMarker::of_batch(&batch), Some(marker));
    }
}

#[test]
fn a_marker_has_the_bytes_that_kafka_writes() {
    let marker = EndTransactionMarker {
        outcome: TransactionOutcome::Commit,
        coordinator_epoch: 5,
    };
    let batch = marker.build(PRODUCER, TimestampMs(0)).unwrap();
    // Kafka's batches with a marker take 78 bytes: header 61, record 17.
    assert_eq!(batch.len(), 78);
    assert_eq!(batch[21..23], [0, 0x30]);
    assert_eq!(batch[61..], [32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 5, 0]);
}

#[test]
fn what_is_no_marker_is_none_at_any_cut() {
    let marker = EndTransactionMarker {
        outcome: TransactionOutcome::Abort,
        coordinator_epoch: 0,
    };
    let mut batch = marker.build(PRODUCER, TimestampMs(0)).unwrap();
    for cut in 0..batch.len() {
        assert_eq!(EndTransactionMarker::of_batch(&batch[..cut]), None, "{cut}");
    }
    batch[69] = 7;
    assert_eq!(EndTransactionMarker::of_batch(&batch), None);
}

use super::*;
use proptest::prelude::*;

fn slot(sequence: u64) -> Slot {
    Slot {
        phase: Phase::Ready,
        sequence,
        summary: Summary {
            revision: Revision(sequence * 3),
            rows: 4,
            digest: 0x1234_5678_9abc_def0,
        },
    }
}

#[test]
fn a_slot_round_trips_at_its_own_position_only() {
    for sequence in 1..5 {
        let slot = slot(sequence);
        let other = SLOT_SIZE as u64 - slot.position();
        assert_eq!(
            Slot::decode(&slot.encode(), slot.position()),
            SlotBytes::Valid(slot)
        );
        assert_eq!(Slot::decode(&slot.encode(), other), SlotBytes::Invalid);
    }
}

#[test]
fn every_flipped_bit_of_the_record_is_noticed() {
    let good = slot(1).encode();
    for at in 0..RECORD_SIZE {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert_eq!(Slot::decode(&bad, 0), SlotBytes::Invalid, "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_later_format_is_named() {
    let mut bytes = slot(1).encode();
    bytes[8..12].copy_from_slice(&7u32.to_be_bytes());
    let crc = crc32fast::hash(&bytes[..CRC_AT]);
    bytes[CRC_AT..RECORD_SIZE].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(Slot::decode(&bytes, 0), SlotBytes::Newer(7));
}

#[test]
fn zeros_are_an_empty_slot() {
    assert_eq!(Slot::decode(&[0; SLOT_SIZE], 0), SlotBytes::Empty);
    assert_eq!(Slot::decode(&[], 0), SlotBytes::Empty);
    assert_eq!(Slot::decode(&[1], 0), SlotBytes::Invalid);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Slot::decode(&bytes, 0);
    }
}

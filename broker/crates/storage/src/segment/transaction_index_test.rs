use super::*;
use crate::disk::{Disk, OpenMode, SimulatedDisk};
use proptest::prelude::*;
use std::path::Path;

fn written(bytes: &[u8]) -> std::sync::Arc<dyn DiskFile> {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    let file = disk.open(Path::new("/d/x.txnindex"), OpenMode::Create).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn entry(number: i64) -> AbortedTransaction {
    AbortedTransaction {
        producer_id: ProducerId(number),
        first_offset: Offset(number * 10),
        last_offset: Offset(number * 10 + 5),
        last_stable_offset: Offset(number * 10 + 6),
    }
}

#[test]
fn an_index_reads_back_as_written_and_what_lies_behind_its_stamp_does_not_count() {
    let entries = vec![entry(1), entry(2), entry(3)];
    let mut bytes: Vec<u8> = entries.iter().flat_map(encode).collect();
    assert_eq!(bytes.len(), 3 * ENTRY_LEN);
    bytes.extend_from_slice(b"junk");
    let stamp = stamp_of(&entries);
    assert_eq!(read(&*written(&bytes), stamp).unwrap(), Some(entries));
}

#[test]
fn any_cut_or_flipped_bit_is_damage_and_never_no_aborts() {
    let entries = vec![entry(1), entry(2)];
    let bytes: Vec<u8> = entries.iter().flat_map(encode).collect();
    let stamp = stamp_of(&entries);
    for cut in 0..bytes.len() {
        assert_eq!(read(&*written(&bytes[..cut]), stamp).unwrap(), None, "{cut}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read(&*written(&flipped), stamp).unwrap(), None, "{bit}");
    }
    let mut newer = encode(&entry(1));
    newer[1] = 1;
    assert_eq!(
        read(&*written(&newer), IndexStamp::default().extended(&newer)).unwrap(),
        None
    );
}

proptest! {
    #[test]
    fn any_bytes_decode_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&*written(&bytes), IndexStamp::default().extended(&bytes)).unwrap();
    }

    #[test]
    fn decoding_inverts_encoding(numbers in any::<[i64; 4]>()) {
        let [producer_id, first, last, stable] = numbers;
        let entry = AbortedTransaction {
            producer_id: ProducerId(producer_id),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(stable),
        };
        prop_assert_eq!(decode(&encode(&entry)), Some(entry));
    }
}

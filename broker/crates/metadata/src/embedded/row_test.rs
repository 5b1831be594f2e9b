use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_row_round_trips(key: Vec<u8>, value: Vec<u8>, version: u64) {
        let (bytes, digest) = encode_row(&key, &value, Revision(version));
        let row = decode_row(&key, &bytes).unwrap();
        prop_assert_eq!((row.value, row.version, row.digest()), (&value[..], Revision(version), digest));
    }

    #[test]
    fn a_changed_row_is_noticed(key: Vec<u8>, value: Vec<u8>, version: u64, at: prop::sample::Index, bit in 0..8u8) {
        let (mut bytes, _) = encode_row(&key, &value, Revision(version));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode_row(&key, &bytes).is_err());
    }

    #[test]
    fn a_row_under_another_key_is_noticed(key: Vec<u8>, value: Vec<u8>, other: Vec<u8>) {
        prop_assume!(key != other);
        let (bytes, _) = encode_row(&key, &value, Revision(1));
        prop_assert!(decode_row(&other, &bytes).is_err());
    }

    #[test]
    fn random_bytes_never_panic(key: Vec<u8>, bytes: Vec<u8>) {
        let _ = decode_row(&key, &bytes);
        let _ = Summary::decode(&bytes);
    }

    #[test]
    fn a_summary_round_trips(revision: u64, rows: u64, digest: u64) {
        let summary = Summary { revision: Revision(revision), rows, digest };
        prop_assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
    }
}

#[test]
fn the_digest_depends_on_the_set_of_rows_and_not_on_their_order() {
    let rows: Vec<_> = (0..10u64)
        .map(|n| encode_row(&n.to_be_bytes(), b"v", Revision(n)).1)
        .collect();
    let mut forwards = Summary::default();
    rows.iter().for_each(|row| forwards.add(*row));
    let mut backwards = Summary::default();
    rows.iter().rev().for_each(|row| backwards.add(*row));
    assert_eq!(forwards, backwards);
    forwards.remove(rows[3]);
    assert_ne!(forwards.digest, backwards.digest);
    forwards.add(encode_row(&3u64.to_be_bytes(), b"v", Revision(2)).1);
    assert_eq!(forwards.rows, backwards.rows);
    assert_ne!(
        forwards.digest, backwards.digest,
        "an older version of one row must show"
    );
}

use super::*;

fn value(source: Option<Source>) -> Value {
    Value {
        write: Write {
            transaction: TransactionId {
                producer: 3,
                number: 77,
            },
            index: 2,
        },
        place: Place {
            topic: 1,
            partition: 0,
        },
        source,
    }
}

#[test]
fn a_value_comes_back_as_it_was_written() {
    let source = Source {
        place: Place {
            topic: 0,
            partition: 1,
        },
        offset: 12,
    };
    for source in [None, Some(source)] {
        for size in [0, 10, 40, 1_000] {
            let bytes = value(source).encode(size);
            assert!(bytes.len() >= size);
            assert_eq!(Value::decode(&bytes), Ok(value(source)));
        }
    }
}

#[test]
fn every_changed_byte_is_seen() {
    let bytes = value(None).encode(60);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_ne!(Value::decode(&changed), Ok(value(None)), "byte {at}");
        assert!(Value::decode(&bytes[..at]).is_err(), "cut at {at}");
    }
}

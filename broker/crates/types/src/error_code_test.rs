use super::*;

/// Code, name and retriable flag of every entry of `org.apache.kafka.common.protocol.Errors`.
const GOLDEN: &str = include_str!("../tests/golden/error_codes.tsv");

#[test]
fn the_table_is_that_of_apache_kafka() {
    let expected: Vec<(i16, &str, bool)> = GOLDEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t');
            let mut next = || columns.next().expect("three columns");
            (
                next().parse().expect("number"),
                next(),
                next().parse().expect("true or false"),
            )
        })
        .collect();
    let ours: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|error| (error.code(), error.name(), error.is_retriable()))
        .collect();
    assert_eq!(ours, expected);
}

#[test]
fn a_variant_is_its_name_in_camel_case() {
    for error in ErrorCode::ALL {
        let variant = format!("{error:?}").to_lowercase();
        assert_eq!(variant, error.name().replace('_', "").to_lowercase());
    }
}

#[test]
fn every_number_is_found_again_and_no_other() {
    for code in i16::MIN..=i16::MAX {
        match ErrorCode::from_code(code) {
            Some(error) => assert_eq!(error.code(), code),
            None => assert!(!(-1..=133).contains(&code), "{code} is missing"),
        }
    }
}

#[test]
fn texts_are_sentences() {
    for error in ErrorCode::ALL {
        assert!(error.message().ends_with('.'), "{error}");
        assert!(error.message().len() < 120, "{error}");
    }
}

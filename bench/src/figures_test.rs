use super::*;

fn rounds(values: &[f64]) -> Vec<Figures> {
    values
        .iter()
        .map(|value| Figures::from([("x".to_owned(), *value)]))
        .collect()
}

#[test]
fn the_median_is_the_middle_one_or_the_mean_of_the_middle_two() {
    let of = |values: &[f64]| spread(&rounds(values), "x").unwrap();
    assert_eq!(
        of(&[3.0, 1.0, 9.0]),
        Spread {
            median: 3.0,
            min: 1.0,
            max: 9.0
        }
    );
    assert_eq!(
        of(&[4.0, 1.0, 2.0, 9.0]),
        Spread {
            median: 3.0,
            min: 1.0,
            max: 9.0
        }
    );
    assert_eq!(
        of(&[5.0]),
        Spread {
            median: 5.0,
            min: 5.0,
            max: 5.0
        }
    );
}

#[test]
fn a_figure_that_was_not_measured_has_no_spread() {
    assert_eq!(spread(&rounds(&[1.0]), "y"), None);
    assert_eq!(Spread::of([f64::NAN, f64::INFINITY]), None);
}

#[test]
fn noise_is_half_the_range_over_the_median() {
    let spread = Spread {
        median: 10.0,
        min: 9.0,
        max: 12.0,
    };
    assert!((spread.noise() - 0.15).abs() < 1e-9);
}

#[test]
fn numbers_have_three_digits() {
    let shown: Vec<String> = [1234.5, 12.345, 1.2345, 0.12345, 0.012_345, 0.0]
        .map(digits)
        .to_vec();
    assert_eq!(shown, ["1234", "12.3", "1.23", "0.123", "0.0123", "0"]);
}

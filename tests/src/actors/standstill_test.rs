use super::*;

const SHORT: Duration = Duration::from_millis(40);

#[test]
fn a_standstill_does_not_count() {
    let standstill = Standstill::default();
    let patience = standstill.patience(SHORT);
    standstill.during(|| {
        std::thread::sleep(3 * SHORT);
        assert!(
            !standstill.patience(SHORT).is_over(),
            "begun while it stands still"
        );
    });
    let spent = patience.begun.elapsed().saturating_sub(standstill.so_far());
    assert_eq!(patience.is_over(), spent >= SHORT, "{spent:?} counted");
    std::thread::sleep(SHORT);
    assert!(patience.is_over());
}

#[test]
fn patience_begins_again_when_renewed() {
    let mut patience = Standstill::default().patience(Duration::ZERO);
    assert!(patience.is_over());
    patience.length = Duration::from_secs(3_600);
    patience.renew();
    assert!(!patience.is_over());
}

use thalweg_settings::{Profile, Settings};

use super::*;
use crate::budget::BudgetSettings;

#[test]
fn what_is_kept_is_counted_until_the_last_clone_is_gone() {
    let budget = MemoryBudget::new(BudgetSettings::from_settings(&Settings::defaults(Profile::Dev)));
    for piece in [&b"subscription"[..], b""] {
        let kept = keep(&budget, piece).unwrap();
        assert_eq!(&kept[..], piece);
        let clone = kept.clone();
        drop(kept);
        assert_eq!(budget.usage().groups, (piece.len() + OVERHEAD_BYTES) as u64);
        drop(clone);
        assert_eq!(budget.usage().groups, 0);
    }
}

#[test]
fn nothing_is_kept_beyond_the_budget() {
    let budget = MemoryBudget::new(BudgetSettings::from_settings(&Settings::defaults(Profile::Dev)));
    let piece = vec![0; 1 << 20];
    let kept: Vec<Bytes> = std::iter::from_fn(|| keep(&budget, &piece)).take(4096).collect();
    assert!(!kept.is_empty() && kept.len() < 4096, "{}", kept.len());
    drop(kept);
    assert!(keep(&budget, &piece).is_some());
}

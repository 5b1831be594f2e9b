use super::*;

#[test]
fn a_lease_has_one_owner_until_it_is_dropped() {
    let leases = Leases::default();
    let lease = leases.take("controller", "broker-1").unwrap();
    assert_eq!(
        (lease.name(), lease.owner(), lease.state()),
        ("controller", "broker-1", LeaseState::Held)
    );
    let refused = leases.take("controller", "broker-2").unwrap_err();
    assert_eq!(
        refused,
        StoreError::LeaseHeld {
            name: "controller".into(),
            owner: "broker-1".into()
        }
    );
    drop(lease);
    assert!(leases.take("controller", "broker-2").is_ok());
}

#[test]
fn a_lost_lease_does_not_give_back_its_successor() {
    let leases = Leases::default();
    let first = leases.take("controller", "broker-1").unwrap();
    leases.lose_all();
    assert_eq!(first.state(), LeaseState::Lost);
    let second = leases.take("controller", "broker-2").unwrap();
    drop(first);
    assert_eq!(second.state(), LeaseState::Held);
    assert!(leases.take("controller", "broker-3").is_err());
}

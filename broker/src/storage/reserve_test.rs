use super::*;
use thalweg_storage::disk::SimulatedDisk;

#[test]
fn the_reserve_is_given_up_and_taken_again() {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.set_capacity(10 << 20);
    let reserve = DiskReserve::new(Arc::new(disk.clone()), Path::new("/data"), 3 << 20);
    reserve.ensure().unwrap();
    assert_eq!(disk.used(), 3 << 20);
    reserve.ensure().unwrap();
    assert_eq!(disk.used(), 3 << 20);
    reserve.release().unwrap();
    reserve.release().unwrap();
    assert_eq!(disk.used(), 0);
    disk.set_capacity(5 << 20);
    reserve.ensure().unwrap();
    assert_eq!(disk.used(), 0, "not while it would take most of what is left");
}

#[test]
fn room_is_what_does_not_fill_up_at_once() {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    let reserve = DiskReserve::new(Arc::new(disk.clone()), Path::new("/data"), 12 << 20);
    disk.set_capacity(30 << 20);
    assert!(reserve.has_room() && !reserve.is_short());
    reserve.ensure().unwrap();
    assert!(reserve.has_room(), "the reserve itself counts as room");
    disk.set_capacity(15 << 20);
    assert!(reserve.is_short() && !reserve.has_room());
    reserve.release().unwrap();
    assert!(
        !reserve.is_short() && !reserve.has_room(),
        "what was held back is for deletions and commits"
    );
}

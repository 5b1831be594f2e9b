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

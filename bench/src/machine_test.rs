use super::*;

#[test]
fn the_mount_with_the_longest_path_holds_a_file() {
    let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/x xfs rw 0 0\n";
    let of = |path: &str| mount_of(Path::new(path), mounts);
    assert_eq!(of("/tmp/x/y"), "xfs on /dev/b");
    assert_eq!(of("/tmp/z"), "tmpfs on tmpfs");
    assert_eq!(of("/home"), "ext4 on /dev/a");
}

#[test]
fn a_field_is_the_text_behind_the_colon() {
    assert_eq!(
        field("MemTotal:       100 kB\nMemFree: 1 kB\n", "MemTotal"),
        "100 kB"
    );
    assert_eq!(field("", "MemTotal"), "");
}

use super::*;

#[test]
fn group_partition_is_kafkas() {
    // Printed by a Java program: Utils.abs(id.hashCode()) % 50.
    for (group, partition) in PARTITIONS {
        assert_eq!(partition_for(group, 50), PartitionIndex(partition), "{group:?}");
    }
}

#[test]
fn the_hash_without_an_absolute_value_counts_as_zero() {
    // The classic string whose Java hash is the smallest integer.
    assert_eq!(partition_for("polygenelubricants", 50), PartitionIndex(0));
}

#[test]
fn a_partition_count_below_one_is_one() {
    assert_eq!(partition_for("orders", 0), PartitionIndex(0));
    assert_eq!(partition_for("orders", -5), PartitionIndex(0));
}

const PARTITIONS: [(&str, i32); 9] = [
    ("", 0),
    ("a", 47),
    ("orders", 31),
    ("console-consumer-12345", 6),
    ("connect-cluster", 13),
    ("groupe-été", 3),
    ("😀", 49),
    ("polygenelubricants", 0),
    ("my.group_with-long.name.0123456789", 45),
];

use std::sync::Arc;

use super::*;

#[test]
fn authorized_operations_are_kafkas_bits() {
    let connection = ConnectionInfo::new(1, ([127, 0, 0, 1], 1).into(), Arc::from("PLAINTEXT"));
    let bits = |resource| Authorizer::allow_all().authorized_operations(&connection, resource);
    // READ 3, WRITE 4, CREATE 5, DELETE 6, ALTER 7, DESCRIBE 8, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11.
    assert_eq!(bits(Resource::topic("t")), 0b1101_1111_1000);
    // CREATE 5, ALTER 7, DESCRIBE 8, CLUSTER_ACTION 9, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11,
    // IDEMPOTENT_WRITE 12.
    assert_eq!(bits(Resource::CLUSTER), 0b1_1111_1010_0000);
    // READ 3, DELETE 6, DESCRIBE 8, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11.
    assert_eq!(bits(Resource::group("g")), 0b1101_0100_1000);
}

//! The partition router beside a real broker: today its schema registry.

mod clients;
mod registry;

use thalweg_tests::{BrokerConfig, Product};

/// Thalweg with transaction logs of one copy.
fn thalweg() -> BrokerConfig {
    BrokerConfig::new(Product::Thalweg)
        .set("transaction.state.log.replication.factor", 1)
        .set("transaction.state.log.min.isr", 1)
}

//! How many connections there are, in all and from each address, and how many there may be.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::settings::ConnectionLimits;

/// The counts of all listeners together.
#[derive(Debug)]
pub(super) struct ConnectionCounts {
    state: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    limits: ConnectionLimits,
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LimitReached {
    pub(super) setting: &'static str,
    pub(super) value: usize,
}

/// One connection in the counts; leaves them on drop.
#[derive(Debug)]
pub(super) struct CountedConnection {
    counts: Arc<ConnectionCounts>,
    ip: IpAddr,
}

impl ConnectionCounts {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self {
            state: Mutex::new(Counts {
                limits,
                total: 0,
                by_ip: HashMap::new(),
            }),
        }
    }

    /// Changes the limits. Connections that are open stay.
    pub(super) fn set_limits(&self, limits: ConnectionLimits) {
        self.state.lock().limits = limits;
    }

    /// Returns the limit of all connections together.
    #[cfg(test)]
    pub(super) fn total_max(&self) -> usize {
        self.state.lock().limits.total_max
    }

    /// Counts one more connection from `ip`, or names the limit that forbids it.
    pub(super) fn add(self: &Arc<Self>, ip: IpAddr) -> Result<CountedConnection, LimitReached> {
        // An IPv4 client on a dual-stack socket shows as a mapped address: the same client all the same.
        let ip = ip.to_canonical();
        let mut state = self.state.lock();
        if state.total >= state.limits.total_max {
            return Err(LimitReached {
                setting: state.limits.total_limit,
                value: state.limits.total_max,
            });
        }
        let of_ip = state.by_ip.get(&ip).copied().unwrap_or(0);
        let of_ip_max = state.limits.of_ip(ip);
        if of_ip >= of_ip_max {
            return Err(LimitReached {
                setting: "max.connections.per.ip",
                value: of_ip_max,
            });
        }
        state.by_ip.insert(ip, of_ip + 1);
        state.total += 1;
        Ok(CountedConnection {
            counts: Arc::clone(self),
            ip,
        })
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let mut state = self.counts.state.lock();
        state.total = state.total.saturating_sub(1);
        if let Entry::Occupied(mut of_ip) = state.by_ip.entry(self.ip) {
            *of_ip.get_mut() = of_ip.get().saturating_sub(1);
            if *of_ip.get() == 0 {
                of_ip.remove();
            }
        }
    }
}

#[cfg(test)]
#[path = "connection_count_test.rs"]
mod tests;

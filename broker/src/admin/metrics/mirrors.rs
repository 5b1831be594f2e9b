//! Mirror topics: whose their partitions are, and what links did.

use std::time::Instant;

use thalweg_storage::log::rows::WriteState;
use thalweg_types::PartitionIndex;

use crate::admin::AdminParts;
use crate::admin::page::Page;

pub(super) fn collect(parts: &AdminParts, page: &mut Page) {
    let now = Instant::now();
    let (mut owned, mut promoted, mut claimed) = (0u64, 0u64, 0u64);
    for topic in parts.topics.all().iter().filter(|topic| topic.mirror.is_some()) {
        for index in 0..topic.partitions {
            let Some(log) = parts.topics.log(topic, PartitionIndex(index)) else {
                continue;
            };
            let status = log.mirror_status(now);
            if status.write_state == WriteState::OwnedByLink {
                owned += 1;
                claimed += u64::from(!status.lease_left.is_zero());
            } else {
                promoted += 1;
            }
        }
    }
    for (state, count) in [("owned", owned), ("promoted", promoted)] {
        page.add("thalweg_mirror_partitions", &[("state", state)], count as f64);
    }
    page.add("thalweg_mirror_claimed_partitions", &[], claimed as f64);
    let (bytes, batches) = parts.mirrors.appended();
    page.add("thalweg_mirror_appended_bytes_total", &[], bytes as f64);
    page.add("thalweg_mirror_appended_batches_total", &[], batches as f64);
    for (reason, count) in parts.mirrors.refused() {
        page.add(
            "thalweg_mirror_refused_total",
            &[("reason", reason)],
            count as f64,
        );
    }
}

//! Groups and their lag, in records and in seconds.

use std::collections::BTreeMap;

use thalweg_coordinator::group::GroupState;
use thalweg_types::TimestampMs;

use super::Room;
use super::catalogue::{COMMITTED_SERIES, GROUP_SERIES, GROUP_TOPIC_SERIES};
use crate::admin::AdminParts;
use crate::admin::lag::{Lookup, OffsetTimes};
use crate::admin::page::Page;
use crate::clock::Clock;
use crate::groups::{CommittedView, GroupView};

/// What a group's partitions in one topic add up to.
#[derive(Clone, Copy, Default)]
struct TopicSum {
    offset: i64,
    lag: i64,
}

/// What a group's partitions add up to.
#[derive(Default)]
struct GroupSum {
    topics: BTreeMap<String, TopicSum>,
    lag: i64,
    lag_max: i64,
    seconds_max: Option<f64>,
}

pub(super) fn collect(parts: &AdminParts, times: &OffsetTimes, (page, room): (&mut Page, &mut Room)) {
    let groups = parts.groups.summaries();
    for state in GroupState::ALL {
        let count = groups.iter().filter(|group| group.state == state).count();
        page.add("thalweg_groups", &[("state", &state.to_string())], count as f64);
    }
    let stats = parts.groups.stats();
    page.add(
        "thalweg_group_partitions_not_loaded",
        &[],
        parts.groups.not_loaded().len() as f64,
    );
    page.add(
        "thalweg_group_offsets_committed_total",
        &[],
        stats.offsets_committed as f64,
    );
    page.add(
        "thalweg_group_offsets_expired_total",
        &[],
        stats.offsets_expired as f64,
    );
    page.add(
        "thalweg_group_offsets_deleted_total",
        &[],
        stats.offsets_deleted as f64,
    );
    page.add(
        "thalweg_group_rebalances_total",
        &[],
        stats.rebalances_completed as f64,
    );
    page.add(
        "thalweg_group_sessions_expired_total",
        &[],
        stats.sessions_expired as f64,
    );
    page.add(
        "thalweg_group_impossible_moves_total",
        &[],
        stats.impossible_moves as f64,
    );
    let remembered_max = parts.settings.current().metrics_topic_series_max();
    let mut lookup = times.lookup(usize::try_from(remembered_max).unwrap_or(usize::MAX));
    let now = Clock::System.now();
    for group in &groups {
        let mut sum = GroupSum::default();
        for committed in &group.offsets {
            one(
                parts,
                (group, committed),
                (&mut lookup, now),
                (&mut sum, page, room),
            );
        }
        totals(group, &sum, (page, room));
    }
}

/// One committed offset. Partitions that are gone have no lag.
fn one(
    parts: &AdminParts,
    (group, committed): (&GroupView, &CommittedView),
    (lookup, now): (&mut Lookup<'_>, TimestampMs),
    (sum, page, room): (&mut GroupSum, &mut Page, &mut Room),
) {
    let Some(topic) = parts.topics.by_name(&committed.topic) else {
        return;
    };
    let Some(log) = parts.topics.log(&topic, committed.partition) else {
        return;
    };
    let end = log.offsets().high_watermark;
    let lag = end.0.saturating_sub(committed.offset.0).max(0);
    let of_topic = sum.topics.entry(committed.topic.to_string()).or_default();
    of_topic.offset = of_topic.offset.saturating_add(committed.offset.0);
    of_topic.lag = of_topic.lag.saturating_add(lag);
    sum.lag = sum.lag.saturating_add(lag);
    sum.lag_max = sum.lag_max.max(lag);
    let seconds = match lag {
        0 => Some(0.0),
        _ => lookup
            .time_at(&log, committed.offset)
            .map(|time| now.0.saturating_sub(time.0).max(0) as f64 / 1e3),
    };
    // For the group's largest whether the partition is shown or not.
    sum.seconds_max = sum.seconds_max.into_iter().chain(seconds).reduce(f64::max);
    if !room.partitions.take(COMMITTED_SERIES) {
        return;
    }
    let partition = committed.partition.0.to_string();
    let exporter: [(&str, &str); 3] = [
        ("consumergroup", &group.group_id),
        ("topic", &topic.name),
        ("partition", &partition),
    ];
    let lag_exporter: [(&str, &str); 3] = [
        ("group", &group.group_id),
        ("topic", &topic.name),
        ("partition", &partition),
    ];
    page.add(
        "kafka_consumergroup_current_offset",
        &exporter,
        committed.offset.0 as f64,
    );
    page.add("kafka_consumergroup_lag", &exporter, lag as f64);
    page.add(
        "kafka_consumergroup_group_offset",
        &lag_exporter,
        committed.offset.0 as f64,
    );
    page.add("kafka_consumergroup_group_lag", &lag_exporter, lag as f64);
    if let Some(seconds) = seconds {
        page.add("kafka_consumergroup_group_lag_seconds", &lag_exporter, seconds);
        page.add("thalweg_group_lag_seconds", &lag_exporter, seconds);
    }
}

fn totals(group: &GroupView, sum: &GroupSum, (page, room): (&mut Page, &mut Room)) {
    let id: &str = &group.group_id;
    if room.entities.take(GROUP_SERIES) {
        page.add(
            "kafka_consumergroup_members",
            &[("consumergroup", id)],
            group.members as f64,
        );
        if !sum.topics.is_empty() {
            page.add(
                "kafka_consumergroup_group_max_lag",
                &[("group", id)],
                sum.lag_max as f64,
            );
            page.add(
                "kafka_consumergroup_group_sum_lag",
                &[("group", id)],
                sum.lag as f64,
            );
        }
        if let Some(seconds) = sum.seconds_max {
            page.add(
                "kafka_consumergroup_group_max_lag_seconds",
                &[("group", id)],
                seconds,
            );
            page.add("thalweg_group_lag_seconds_max", &[("group", id)], seconds);
        }
    }
    for (topic, sum) in &sum.topics {
        if room.entities.take(GROUP_TOPIC_SERIES) {
            let exporter = [("consumergroup", id), ("topic", topic.as_str())];
            page.add(
                "kafka_consumergroup_current_offset_sum",
                &exporter,
                sum.offset as f64,
            );
            page.add("kafka_consumergroup_lag_sum", &exporter, sum.lag as f64);
            let lag_exporter = [("group", id), ("topic", topic.as_str())];
            page.add(
                "kafka_consumergroup_group_topic_sum_lag",
                &lag_exporter,
                sum.lag as f64,
            );
        }
    }
}

//! Large groups and many groups: a thousand members in one, and ten thousand that commit.

use anyhow::{Result, ensure};

use super::{Contender, unique};
use crate::account::Account;
use crate::admin::Topics;
use crate::figures::{Figures, names};
use crate::generate::{self, Committed, Rebalanced};
use crate::lineup::{LOAD, Lineup};
use crate::scenario::Scale;
use crate::side::Served;

const MEMBERS: usize = 1_000;
/// Members that come one by one after the group was formed.
const JOINS: usize = 10;
const JOINS_QUICK: usize = 3;

const GROUPS: u64 = 10_000;
/// Connections that the groups share. A broker that answers one request of a connection at a time has so many at work.
const CONNECTIONS: u64 = 64;
const PIPELINED: usize = 8;
const SECONDS: f64 = 20.0;

/// A group of a thousand members is formed, and more join.
///
/// # Errors
/// When the broker or the generator fails.
pub fn rebalance(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    let joins = match lineup.scale() {
        Scale::Full => JOINS,
        Scale::Quick => JOINS_QUICK,
    };
    let (served, others) = lineup.beside(contender.product())?;
    // Once outside the account: the internal topic is there, code has run.
    members(served, 1)?;
    let account = Account::open(served.pid()?, &others, &served.data())?;
    let rebalanced = members(served, joins)?;
    let costs = account.close(&served.data())?;
    ensure!(
        rebalanced.members == (MEMBERS + joins) as u64,
        "{} members were there at the end",
        rebalanced.members
    );
    let mut figures = Figures::new();
    let values = [
        (names::FORM, Some(rebalanced.form_seconds)),
        (names::JOIN, rebalanced.join_seconds),
        (names::JOIN_MAX, rebalanced.join_seconds_max),
        (
            names::CPU_REBALANCE,
            Some(costs.broker.as_secs_f64() / rebalanced.rebalances as f64),
        ),
    ];
    let measured = values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    figures.extend(measured.map(|(name, value)| (name.to_owned(), value)));
    figures.extend(crate::account::memory(&costs.last));
    Ok(figures)
}

fn members(served: &Served, joins: usize) -> Result<Rebalanced> {
    let arguments = [
        format!("--bootstrap={}", served.bootstrap()),
        format!("--group={}", unique("members")),
        format!("--members={MEMBERS}"),
        format!("--joins={joins}"),
    ];
    generate::outcome("members", &arguments, LOAD)
}

/// Ten thousand groups commit.
///
/// # Errors
/// When the broker or the generator fails, or a group has another offset than it committed last.
pub fn commits(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    let scale = lineup.scale();
    let (served, others) = lineup.beside(contender.product())?;
    let admin = served.admin()?;
    let topics = Topics::spread(&unique("offsets"), 1);
    admin.create(&topics, &[])?;
    let load = |seconds: f64| -> Result<Committed> {
        let arguments = [
            format!("--bootstrap={}", served.bootstrap()),
            format!("--topic={}", topics.first()),
            format!("--group={}", topics.first()),
            format!("--groups={GROUPS}"),
            format!("--connections={CONNECTIONS}"),
            format!("--pipelined={PIPELINED}"),
            format!("--seconds={seconds}"),
        ];
        generate::outcome("commits", &arguments, LOAD)
    };
    // Once outside the account: the groups are there, code has run.
    load(scale.seconds(SECONDS / 4.0))?;
    let account = Account::open(served.pid()?, &others, &served.data())?;
    let committed = load(scale.seconds(SECONDS))?;
    let costs = account.close(&served.data())?;
    // With the topic go the offsets, and with these the groups.
    admin.delete(&topics)?;
    let millions = committed.commits as f64 / 1e6;
    let values = [
        (
            names::COMMITS,
            committed.steady_commits as f64 / committed.steady_seconds,
        ),
        (names::P50, committed.p50_ms),
        (names::P99, committed.p99_ms),
        (names::P999, committed.p999_ms),
        (names::MAX, committed.max_ms),
        (names::CPU_COMMIT, costs.broker.as_secs_f64() / millions),
        (names::MACHINE_COMMIT, costs.machine.as_secs_f64() / millions),
    ];
    let mut figures: Figures = values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    figures.extend(crate::account::memory(&costs.last));
    Ok(figures)
}

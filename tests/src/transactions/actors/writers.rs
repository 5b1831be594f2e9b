//! Producers that write several partitions in each transaction and end it in every way there is.

use std::time::Duration;

use super::transactor::{Client, Identity, Transactor};
use super::{INPUT, OTHER, PARTITIONS, Stage};
use crate::actors::{Actor, Stop};
use crate::chance::Chance;
use crate::transactions::Place;

/// Starts a writer with a transactional id of its own.
pub fn start_writer(stage: &Stage, number: u32, mut chance: Chance) -> Actor {
    let stage = stage.clone();
    Actor::start(&format!("transactional writer {number}"), move |stop| {
        let identity = Identity::new(number);
        while !stop.is_asked() {
            let Some(transactor) = Transactor::connect(&stage, &identity, stop) else {
                return;
            };
            work((transactor, &stage, &identity), stop, &mut chance);
        }
    })
}

/// Runs transactions until the client is broken or left.
fn work(
    (mut transactor, stage, identity): (Transactor, &Stage, &Identity),
    stop: &Stop,
    chance: &mut Chance,
) {
    while !stop.is_asked() {
        if transactor.begin() == Client::Broken {
            return;
        }
        let written = write_some(&mut transactor, chance);
        let client = match (written, chance.between(0, 99)) {
            (Client::Broken, _) | (_, 0..8) => transactor.abort(),
            (_, 8..15) => {
                // With every record answered the client goes on with the same epoch.
                transactor.flush(Duration::from_secs(2));
                transactor.abort()
            }
            (_, 15..75) => transactor.commit(),
            (_, 75..85) => return transactor.leave(),
            (_, 85..95) => return transactor.commit_and_leave(chance.millis(0, 15)),
            _ => {
                let Some(next) = take_over((transactor, stage, identity), stop, chance) else {
                    return;
                };
                transactor = next;
                Client::Usable
            }
        };
        if client == Client::Broken {
            return;
        }
        stop.pause(chance.millis(0, 40));
    }
    transactor.leave();
}

/// Another client takes the transactional id while the first one has a transaction open; both go on.
fn take_over(
    (old, stage, identity): (Transactor, &Stage, &Identity),
    stop: &Stop,
    chance: &mut Chance,
) -> Option<Transactor> {
    let Some(mut next) = Transactor::connect(stage, identity, stop) else {
        old.leave();
        return None;
    };
    if next.begin() == Client::Broken {
        old.leave();
        return None;
    }
    let written = write_some(&mut next, chance);
    next.flush(Duration::from_millis(500));
    old.go_on_as_zombie(somewhere(chance));
    let client = match written {
        Client::Usable => next.commit(),
        Client::Broken => next.abort(),
    };
    (client == Client::Usable).then_some(next)
}

fn write_some(transactor: &mut Transactor, chance: &mut Chance) -> Client {
    for _ in 0..chance.between(1, 8) {
        let size = usize::try_from(chance.between(20, 800)).unwrap_or(0);
        if transactor.write(somewhere(chance), None, size) == Client::Broken {
            return Client::Broken;
        }
        // Some transactions are written in one piece, some over many requests.
        if chance.one_in(3) {
            transactor.flush(chance.millis(0, 30));
        }
    }
    Client::Usable
}

fn somewhere(chance: &mut Chance) -> Place {
    let partitions = usize::try_from(PARTITIONS).unwrap_or(1);
    Place {
        topic: if chance.one_in(2) { INPUT } else { OTHER },
        partition: i32::try_from(chance.index(partitions)).unwrap_or(0),
    }
}

//! Every order of what two or three clients can do, up to a depth: after each step the checks of the desk hold, and
//! when time passes every request is answered and every group becomes empty.

use crate::group::testing::*;
use crate::group::*;

/// How the clients of one enumeration behave.
#[derive(Clone, Copy)]
struct Scenario {
    clients: usize,
    depth: usize,
    api_version: i16,
    kind: Kind,
    initial_delay_ms: i64,
    start: Start,
}

/// Where the enumeration begins.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    NoGroup,
    /// The first two clients are members of a stable group.
    Stable,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Dynamic,
    Static,
    /// Two processes that were given the same instance id by mistake.
    SameInstance,
}

/// One client, as far as it knows.
#[derive(Clone, Debug, Default)]
struct Client {
    member_id: Option<MemberId>,
    generation: Option<(GenerationId, MemberId, Vec<MemberId>)>,
    waits: Option<ReplyToken>,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Join(usize),
    Sync(usize),
    Beat(usize),
    Leave(usize),
    Close(usize),
    /// Lets time pass to the next deadline.
    Tick,
}

#[derive(Clone)]
struct World {
    desk: Desk,
    clients: Vec<Client>,
}

impl World {
    fn new(scenario: Scenario) -> Self {
        let settings = GroupConfig {
            initial_rebalance_delay_ms: scenario.initial_delay_ms,
            group_size_max: 2,
            ..config()
        };
        let mut world = Self {
            desk: Desk::with(settings),
            clients: vec![Client::default(); scenario.clients],
        };
        if scenario.start == Start::Stable {
            world.settle(scenario);
        }
        world
    }

    /// Makes the first two clients members of a stable group.
    fn settle(&mut self, scenario: Scenario) {
        for _ in 0..4 {
            for index in 0..2 {
                if self.is_possible(Action::Join(index)) && self.clients[index].generation.is_none() {
                    self.act(scenario, Action::Join(index));
                }
            }
            if self.clients.iter().any(|client| client.waits.is_some()) {
                self.act(scenario, Action::Tick);
            }
        }
        for action in [Action::Sync(0), Action::Sync(1)] {
            self.act(scenario, action);
        }
        assert_eq!(self.desk.state("g"), GroupState::Stable);
        assert_eq!(self.desk.members("g").len(), 2);
    }

    fn is_possible(&self, action: Action) -> bool {
        let client = |index: usize| &self.clients[index];
        match action {
            Action::Join(index) => client(index).waits.is_none(),
            Action::Sync(index) => client(index).waits.is_none() && client(index).generation.is_some(),
            Action::Beat(index) => client(index).generation.is_some(),
            Action::Leave(index) => client(index).member_id.is_some(),
            Action::Close(index) => client(index).waits.is_some(),
            Action::Tick => self.desk.shard.parked_count() > 0 || self.desk.shard.groups().next().is_some(),
        }
    }

    fn act(&mut self, scenario: Scenario, action: Action) {
        match action {
            Action::Join(index) => {
                let mut request = join("g").version(scenario.api_version);
                match scenario.kind {
                    Kind::Dynamic => {}
                    Kind::Static => request = request.instance(&format!("node-{index}")),
                    Kind::SameInstance => request = request.instance("node"),
                }
                if let Some(member_id) = &self.clients[index].member_id {
                    request = request.member(member_id);
                }
                self.clients[index].waits = Some(self.desk.send(request));
            }
            Action::Sync(index) => {
                let client = self.clients[index].clone();
                let (Some(member_id), Some((generation, leader, members))) =
                    (client.member_id, client.generation)
                else {
                    return;
                };
                let assigns = if leader == member_id { &members[..] } else { &[] };
                let request = sync("g", &member_id, generation).assign(assigns);
                self.clients[index].waits = Some(self.desk.send(request));
            }
            Action::Beat(index) => {
                let client = self.clients[index].clone();
                if let (Some(member_id), Some((generation, ..))) = (client.member_id, client.generation) {
                    self.desk.call(heartbeat("g", &member_id, generation));
                }
            }
            Action::Leave(index) => {
                if let Some(member_id) = self.clients[index].member_id.take() {
                    self.clients[index].generation = None;
                    let _ = self.desk.leave("g", &member_id);
                }
            }
            Action::Close(index) => {
                if let Some(token) = self.clients[index].waits.take() {
                    self.desk.forget(token);
                }
            }
            Action::Tick => {
                let deadline = self.desk.shard.next_deadline().unwrap().get();
                self.desk.advance(deadline - self.desk.now);
            }
        }
        self.read_answers();
    }

    fn read_answers(&mut self) {
        for client in &mut self.clients {
            let Some(token) = client.waits else { continue };
            match self.desk.answer(token) {
                None => continue,
                Some(GroupReply::Join(reply)) => match reply.outcome {
                    Ok(joined) => {
                        let members: Vec<_> = joined
                            .members
                            .iter()
                            .map(|member| member.member_id.clone())
                            .collect();
                        if joined.leader == reply.member_id && !joined.skip_assignment {
                            assert!(members.contains(&reply.member_id), "a leader is told of itself");
                        }
                        client.member_id = Some(reply.member_id);
                        client.generation = Some((joined.generation, joined.leader, members));
                    }
                    Err(GroupError::MemberIdRequired) => client.member_id = Some(reply.member_id),
                    Err(GroupError::RebalanceInProgress) => {}
                    Err(_) => {
                        client.member_id = None;
                        client.generation = None;
                    }
                },
                Some(GroupReply::Sync(reply)) => match reply.outcome {
                    Ok(synced) => {
                        let own = client.member_id.as_ref().map(|id| id.as_bytes());
                        // A static member that came back gets what its old id was assigned.
                        let is_old = synced.assignment.starts_with(b"node");
                        assert!(
                            synced.assignment.is_empty() || own == Some(&synced.assignment[..]) || is_old,
                            "an assignment reaches its own member"
                        );
                    }
                    Err(_) => client.generation = None,
                },
                Some(other) => panic!("unexpected {other:?}"),
            }
            client.waits = None;
        }
    }

    /// Nobody does anything any more: everything must come to rest.
    fn drain(mut self) {
        self.desk.advance(20 * 60_000);
        assert!(
            self.desk.waiting.is_empty(),
            "{:?} never answered",
            self.desk.waiting
        );
        assert!(
            self.desk
                .shard
                .groups()
                .all(|group| group.state() == GroupState::Empty)
        );
        self.desk.advance(8 * 24 * 3_600_000);
        assert_eq!(
            self.desk.shard.groups().count(),
            0,
            "empty groups without offsets go"
        );
        assert_eq!(
            self.desk.replica.groups().count(),
            0,
            "and stay away after a restart"
        );
    }
}

fn explore(scenario: Scenario) -> usize {
    let mut actions = vec![Action::Tick];
    for index in 0..scenario.clients {
        actions.extend([
            Action::Join(index),
            Action::Sync(index),
            Action::Beat(index),
            Action::Leave(index),
            Action::Close(index),
        ]);
    }
    fn go(world: &World, scenario: Scenario, actions: &[Action], depth: usize) -> usize {
        let possible = actions.iter().filter(|action| world.is_possible(**action));
        if depth == 0 {
            world.clone().drain();
            return 1;
        }
        let mut count = 0;
        for action in possible {
            let mut next = world.clone();
            next.act(scenario, *action);
            count += go(&next, scenario, actions, depth - 1);
        }
        count
    }
    go(&World::new(scenario), scenario, &actions, scenario.depth)
}

const BASE: Scenario = Scenario {
    clients: 2,
    depth: 5,
    api_version: 5,
    kind: Kind::Dynamic,
    initial_delay_ms: 0,
    start: Start::NoGroup,
};

/// Explores one scenario. `THALWEG_MODEL_EXTRA_DEPTH=1` takes about five times as long and finds more.
fn check(scenario: Scenario, orders_min: usize) {
    let extra = std::env::var("THALWEG_MODEL_EXTRA_DEPTH")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let orders = explore(Scenario {
        depth: scenario.depth + extra,
        ..scenario
    });
    assert!(
        orders >= orders_min,
        "only {orders} orders: is the enumeration what it is meant to be?"
    );
}

#[test]
fn every_order_of_two_dynamic_members_ends_well() {
    check(
        Scenario {
            api_version: 3,
            ..BASE
        },
        2_000,
    );
    check(
        Scenario {
            api_version: 9,
            depth: 6,
            ..BASE
        },
        2_000,
    );
    check(
        Scenario {
            api_version: 3,
            initial_delay_ms: 3_000,
            ..BASE
        },
        200,
    );
    check(
        Scenario {
            api_version: 9,
            initial_delay_ms: 3_000,
            depth: 6,
            ..BASE
        },
        1_000,
    );
}

#[test]
fn every_order_of_two_static_members_ends_well() {
    check(
        Scenario {
            kind: Kind::Static,
            ..BASE
        },
        1_000,
    );
    check(
        Scenario {
            kind: Kind::SameInstance,
            api_version: 9,
            ..BASE
        },
        1_000,
    );
}

#[test]
fn every_order_of_three_members_of_a_group_for_two_ends_well() {
    for api_version in [3, 4] {
        check(
            Scenario {
                clients: 3,
                api_version,
                initial_delay_ms: 3_000,
                ..BASE
            },
            1_000,
        );
    }
}

#[test]
fn every_order_after_a_stable_generation_ends_well() {
    for kind in [Kind::Dynamic, Kind::Static] {
        let start = Start::Stable;
        let stable = Scenario {
            kind,
            api_version: 9,
            initial_delay_ms: 3_000,
            depth: 4,
            start,
            ..BASE
        };
        check(stable, 1_000);
        check(
            Scenario {
                clients: 3,
                depth: 3,
                ..stable
            },
            500,
        );
    }
}

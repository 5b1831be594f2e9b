//! Two clocks that a test moves: the wall clock, and the one that counts.

use super::*;

const START: i64 = 1_700_000_000_000;
const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

struct Clocks {
    expiry: ExpiryClock,
    wall: i64,
    counted: Duration,
}

impl Clocks {
    fn new() -> Clocks {
        let clocks = Clocks {
            expiry: ExpiryClock::default(),
            wall: START,
            counted: Duration::from_secs(5),
        };
        clocks.shown();
        clocks
    }

    fn shown(&self) -> i64 {
        self.expiry.look(TimestampMs(self.wall), self.counted).get()
    }

    /// Both clocks go on, with a look each second.
    fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_secs() {
            self.wall += 1000;
            self.counted += Duration::from_secs(1);
            self.shown();
        }
    }
}

#[test]
fn a_clock_that_goes_on_is_shown_as_it_is() {
    let mut clocks = Clocks::new();
    clocks.pass(Duration::from_secs(7200));
    assert_eq!(clocks.shown(), START + 7_200_000);
    // A time server corrects by seconds; a machine that is busy looks late.
    clocks.wall += 30_000;
    assert_eq!(clocks.shown(), clocks.wall);
    clocks.wall += 600_000;
    clocks.counted += Duration::from_secs(600);
    assert_eq!(clocks.shown(), clocks.wall);
    assert_eq!(
        (clocks.expiry.jumps(), clocks.expiry.ahead()),
        (0, Duration::ZERO)
    );
}

#[test]
fn a_jump_of_a_year_is_believed_after_an_hour_and_not_before() {
    let mut clocks = Clocks::new();
    clocks.wall += YEAR_MS;
    assert_eq!(clocks.shown(), START);
    clocks.pass(Duration::from_secs(3599));
    assert_eq!(clocks.shown(), START + 3_599_000, "time goes on meanwhile");
    let ahead = clocks.expiry.ahead().as_millis();
    assert_eq!(i64::try_from(ahead), Ok(YEAR_MS));
    clocks.pass(Duration::from_secs(2));
    assert_eq!(clocks.shown(), clocks.wall);
    assert_eq!(
        (clocks.expiry.jumps(), clocks.expiry.ahead()),
        (1, Duration::ZERO)
    );
}

#[test]
fn a_jump_that_is_taken_back_within_the_hour_leaves_nothing() {
    let mut clocks = Clocks::new();
    for round in 1..4 {
        clocks.wall += YEAR_MS;
        clocks.pass(Duration::from_secs(3000));
        clocks.wall -= YEAR_MS;
        assert_eq!(clocks.shown(), clocks.wall);
        assert_eq!(clocks.expiry.jumps(), round);
        clocks.pass(Duration::from_secs(100));
        assert_eq!(clocks.shown(), clocks.wall);
    }
}

#[test]
fn many_small_steps_ahead_are_one_jump() {
    let mut clocks = Clocks::new();
    let mut shown = START;
    for _ in 0..20 {
        clocks.wall += 20 * 60 * 1000;
        clocks.counted += Duration::from_secs(1);
        let next = clocks.shown();
        assert!(next - shown <= 61_000, "{} ms at once", next - shown);
        shown = next;
    }
    assert_eq!(clocks.expiry.jumps(), 1);
}

#[test]
fn a_clock_that_goes_back_is_followed_at_once_and_its_return_is_held_back() {
    let mut clocks = Clocks::new();
    clocks.wall -= YEAR_MS;
    assert_eq!(clocks.shown(), START - YEAR_MS, "things live longer");
    clocks.wall += YEAR_MS;
    assert_eq!(clocks.shown(), START - YEAR_MS);
    clocks.pass(Duration::from_secs(3601));
    assert_eq!(clocks.shown(), clocks.wall);
    clocks.wall = i64::MIN;
    assert_eq!(clocks.shown(), i64::MIN);
    clocks.wall = i64::MAX;
    assert!(clocks.shown() < START, "no overflow");
}

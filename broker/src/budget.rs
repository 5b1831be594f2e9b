//! One bound on the memory that clients can make the broker hold: requests, replies and group state together.
//!
//! Owns the accounting only; the bytes live with whoever holds the [`MemoryPermit`]. Every byte read from a
//! socket into a request, every byte of a reply that waits for a slow reader and every byte of group state is
//! charged here first. At the limit nothing fails: sockets are simply not read until memory comes back.
//!
//! The shares of a budget of `T` bytes (`memory.budget.bytes`), and why they make a deadlock impossible:
//! - the **lane**, `F = min(largest frame, T/2)`, is used by one frame at a time. Frames are charged as their
//!   bytes arrive, so many half-received ones can fill the common part and then wait for each other; the one
//!   that waited longest gets the lane, which is large enough to finish any frame. Frames above `F` are
//!   refused. What a whole frame takes decoded is charged in the same way, and never waits if its frame is in
//!   the lane: who has the lane can always finish.
//! - **responses** may use all of the common part `T − F` (or less, by a setting of their own), and `T/4` of
//!   it is closed to requests and groups. So a handler that holds a request and waits for response memory
//!   waits only for clients that read, never for requests.
//! - **small ones** pass by large ones: frames that lack at most [`SMALL_FRAME`] bytes and replies of at most
//!   [`SMALL_REPLY`] have a quarter of their share to themselves and a queue of their own, and a reply that
//!   finds no room is cut to a small one. So clients that stall in the middle of large frames, or leave large
//!   replies unread, slow the others down and do not stop them.
//! - **groups** never wait: they get memory at once or the request is refused. They may hold up to `T/8`.
//!
//! Invariant: requests + responses + groups + lane ≤ `T`, except for what is charged without a wait (see
//! [`MemoryBudget::acquire_decoding`]) and for replies charged after the fact (see
//! [`MemoryBudget::charge_response`]); while those exceed it, no handler is started that could add to them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_settings::Settings;
use tokio::sync::oneshot;

/// A frame that lacks no more than this passes by larger ones. Bytes.
pub const SMALL_FRAME: u64 = 256 * 1024;

/// What a reply is cut to when there is no room for a larger one. Bytes.
pub const SMALL_REPLY: u64 = 64 * 1024;

/// Sizes that the shares follow from. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// `memory.budget.bytes`: everything together.
    pub total: u64,
    /// `socket.request.max.bytes`: the largest frame; half of the total if that is less.
    pub frame_max: u64,
    /// `fetch.response.total.bytes.max`: replies that are built and not yet written, within the total.
    pub response_total_max: u64,
}

impl BudgetSettings {
    /// Reads the settings.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            total: settings.memory_budget_bytes(),
            frame_max: settings.socket_request_max_bytes().into(),
            response_total_max: settings.fetch_response_total_bytes_max(),
        }
    }
}

/// Up to this many bytes, a request that was received whole is decoded without a wait for memory.
pub const DECODING_UNWAITED_MAX: u64 = 16 * 1024;

/// What a piece of memory is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    Request,
    /// The last bytes of a frame, or a small one; counted with the requests.
    SmallRequest,
    Response,
    Group,
    Lane,
}

/// The budget; clones share it.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    state: Mutex<State>,
}

/// Sizes of the shares, in bytes; fixed at start.
#[derive(Clone, Copy, Debug)]
struct Limits {
    total: u64,
    lane: u64,
    response_floor: u64,
    response_total_max: u64,
    group_max: u64,
}

#[derive(Debug, Default)]
struct State {
    requests: u64,
    responses: u64,
    groups: u64,
    /// Bytes of the lane in use; the lane is free only at 0.
    lane: u64,
    peak: u64,
    next_waiter: u64,
    request_queue: VecDeque<Waiter>,
    small_request_queue: VecDeque<Waiter>,
    /// A reply was cut since the last one that was not.
    replies_are_cut: bool,
    response_queue: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    /// Bytes of the common part that are enough for now.
    bytes: u64,
    /// Bytes that finish the frame, for the lane; equal to `bytes` for responses.
    rest: u64,
    granted: oneshot::Sender<Share>,
}

/// How much is in use; for metrics and tests. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetUse {
    /// Requests, from their first byte to the drop of their permit, the lane included.
    pub requests: u64,
    /// Replies that are built and not yet written.
    pub responses: u64,
    /// Group state.
    pub groups: u64,
    /// The most that was ever in use at once.
    pub peak: u64,
    /// Connections that wait for memory (a count, not bytes).
    pub waiting: usize,
}

/// Memory held; given back on drop. Permits of one kind can be merged, and shrunk when less was needed.
#[derive(Debug)]
pub struct MemoryPermit {
    budget: MemoryBudget,
    requests: u64,
    responses: u64,
    groups: u64,
    lane: u64,
}

impl MemoryBudget {
    /// Returns a budget with nothing in use.
    #[must_use]
    pub fn new(settings: BudgetSettings) -> Self {
        let BudgetSettings {
            total,
            frame_max,
            response_total_max,
        } = settings;
        let limits = Limits {
            total,
            lane: frame_max.min(total / 2),
            response_floor: total / 4,
            response_total_max,
            group_max: total / 8,
        };
        Self {
            shared: Arc::new(Shared {
                limits,
                state: Mutex::default(),
            }),
        }
    }

    /// Returns the whole budget in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shared.limits.total
    }

    /// Returns the size of the largest frame that can be received, in bytes; a larger one is refused at its
    /// length.
    #[must_use]
    pub fn frame_max(&self) -> u64 {
        self.shared.limits.lane
    }

    /// Returns the most that [`MemoryBudget::acquire_response`] grants in one piece, in bytes.
    ///
    /// A handler that may answer with more (Fetch) limits itself to this first.
    #[must_use]
    pub fn response_max(&self) -> u64 {
        self.shared
            .limits
            .response_floor
            .min(self.shared.limits.large_response_max())
    }

    /// Waits, first come first served, for `bytes` more of a frame that still lacks `rest` bytes (`bytes` ≤
    /// `rest`).
    ///
    /// The permit is for `bytes`, or for all of `rest` if the lane was given; see [`MemoryPermit::bytes`].
    /// Cancel safe: a dropped call gives back what it may just have been granted.
    pub async fn acquire_request(&self, bytes: u64, rest: u64) -> MemoryPermit {
        let rest = rest.max(bytes);
        self.acquire(share_of(rest), bytes, rest).await
    }

    /// Waits for `bytes` that a request takes beside its frame: decoded, and as structures of its reply. At most
    /// [`MemoryBudget::frame_max`], or it may wait for ever.
    ///
    /// Small amounts ([`DECODING_UNWAITED_MAX`]) are charged without a wait, and so is the request whose frame is in the
    /// lane: were it to wait, those that wait for the lane would wait for it, and it for them. The excess is bounded by
    /// the requests in flight, and by one request. Cancel safe.
    pub async fn acquire_decoding(&self, frame: &MemoryPermit, bytes: u64) -> MemoryPermit {
        if bytes <= DECODING_UNWAITED_MAX || frame.lane > 0 {
            self.shared.state.lock().take(Share::Request, bytes);
            return self.permit(Share::Request, bytes);
        }
        self.acquire(share_of(bytes), bytes, bytes).await
    }

    /// Takes `bytes` of reply memory, cut to [`MemoryBudget::response_max`], or to [`SMALL_REPLY`] when there is
    /// no room for more; waits only if there is no room for that either. Before building a large reply, which
    /// then keeps to [`MemoryPermit::bytes`].
    ///
    /// Cancel safe. The permit goes into the reply and is given back when the reply is on its way.
    pub async fn acquire_response(&self, bytes: u64) -> MemoryPermit {
        let mut bytes = bytes.min(self.response_max());
        if bytes > SMALL_REPLY {
            let mut state = self.shared.state.lock();
            state.replies_are_cut = !state.admits(&self.shared.limits, Share::Response, bytes);
            if state.replies_are_cut {
                bytes = SMALL_REPLY;
            } else {
                state.take(Share::Response, bytes);
                return self.permit(Share::Response, bytes);
            }
        }
        self.acquire(Share::Response, bytes, bytes).await
    }

    /// Charges a reply that exists already; never waits and may exceed the budget for as long as the reply
    /// lives.
    ///
    /// For small replies, which are not worth a wait. [`MemoryBudget::response_headroom`] bounds the excess.
    #[must_use]
    pub fn charge_response(&self, bytes: u64) -> MemoryPermit {
        let mut state = self.shared.state.lock();
        state.responses = state.responses.saturating_add(bytes);
        state.note_peak();
        self.permit(Share::Response, bytes)
    }

    /// Takes `bytes` of group state, or returns `None`: the group is then refused as too large.
    #[must_use]
    pub fn try_acquire_group(&self, bytes: u64) -> Option<MemoryPermit> {
        let mut state = self.shared.state.lock();
        if !state.admits(&self.shared.limits, Share::Group, bytes) {
            return None;
        }
        state.take(Share::Group, bytes);
        Some(self.permit(Share::Group, bytes))
    }

    /// Waits until everything is within the budget, so that a handler may add a small reply; passes by those who
    /// wait for memory.
    ///
    /// Cancel safe; costs one lock when nothing waits.
    pub async fn response_headroom(&self) {
        drop(self.acquire(Share::Response, 0, 0).await);
    }

    /// Reports whether somebody waits for memory or got less than asked for: stalled connections should be given
    /// up sooner.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let state = self.shared.state.lock();
        state.replies_are_cut || state.waiting() > 0
    }

    /// Returns how much is in use now.
    #[must_use]
    pub fn usage(&self) -> BudgetUse {
        let state = self.shared.state.lock();
        BudgetUse {
            requests: state.requests.saturating_add(state.lane),
            responses: state.responses,
            groups: state.groups,
            peak: state.peak,
            waiting: state.waiting(),
        }
    }

    async fn acquire(&self, share: Share, bytes: u64, rest: u64) -> MemoryPermit {
        let mut wait = {
            let mut state = self.shared.state.lock();
            let is_next = bytes == 0 || state.queue(share).is_empty();
            if is_next && state.admits(&self.shared.limits, share, bytes) {
                state.take(share, bytes);
                return self.permit(share, bytes);
            }
            let (granted, receiver) = oneshot::channel();
            let id = state.next_waiter;
            state.next_waiter = state.next_waiter.wrapping_add(1);
            let waiter = Waiter {
                id,
                bytes,
                rest,
                granted,
            };
            match bytes {
                // It takes nothing from those who wait.
                0 => state.queue(share).push_front(waiter),
                _ => state.queue(share).push_back(waiter),
            }
            // The lane may be free although the common part is not.
            state.grant_waiters(&self.shared.limits);
            Wait {
                budget: self,
                share,
                id,
                bytes,
                rest,
                receiver: Some(receiver),
            }
        };
        let receiver = wait.receiver.as_mut().expect("it is taken only here and on drop");
        match receiver.await {
            Ok(granted) => {
                wait.receiver = None;
                self.permit(granted, if granted == Share::Lane { rest } else { bytes })
            }
            // A waiter leaves its queue only by a grant or by `Wait::drop`; should that ever break, an
            // over-charge is safer than an uncounted frame.
            Err(_) => {
                wait.receiver = None;
                self.shared.state.lock().take(share, bytes);
                self.permit(share, bytes)
            }
        }
    }

    fn permit(&self, share: Share, bytes: u64) -> MemoryPermit {
        let mut permit = MemoryPermit {
            budget: self.clone(),
            requests: 0,
            responses: 0,
            groups: 0,
            lane: 0,
        };
        *permit.part(share) = bytes;
        permit
    }

    fn give_back(&self, share: Share, bytes: u64) {
        if bytes > 0 {
            let mut state = self.shared.state.lock();
            state.put(share, bytes);
            state.grant_waiters(&self.shared.limits);
        }
    }
}

/// A place in a queue; leaving it early (a dropped future) gives back what was granted meanwhile.
struct Wait<'a> {
    budget: &'a MemoryBudget,
    share: Share,
    id: u64,
    bytes: u64,
    rest: u64,
    receiver: Option<oneshot::Receiver<Share>>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(mut receiver) = self.receiver.take() else {
            return;
        };
        let mut state = self.budget.shared.state.lock();
        let queue = state.queue(self.share);
        if let Some(at) = queue.iter().position(|waiter| waiter.id == self.id) {
            queue.remove(at);
        } else if let Ok(granted) = receiver.try_recv() {
            state.put(
                granted,
                if granted == Share::Lane {
                    self.rest
                } else {
                    self.bytes
                },
            );
        }
        // Those behind may fit now, in both cases.
        state.grant_waiters(&self.budget.shared.limits);
    }
}

/// Returns where a request waits that lacks so many bytes.
const fn share_of(rest: u64) -> Share {
    if rest <= SMALL_FRAME {
        Share::SmallRequest
    } else {
        Share::Request
    }
}

impl Limits {
    /// What replies larger than [`SMALL_REPLY`] may fill.
    const fn large_response_max(&self) -> u64 {
        self.response_total_max - self.response_total_max / 4
    }
}

impl State {
    fn queue(&mut self, share: Share) -> &mut VecDeque<Waiter> {
        match share {
            Share::Response => &mut self.response_queue,
            Share::SmallRequest => &mut self.small_request_queue,
            Share::Request | Share::Group | Share::Lane => &mut self.request_queue,
        }
    }

    fn waiting(&self) -> usize {
        self.request_queue.len() + self.small_request_queue.len() + self.response_queue.len()
    }

    /// Decides whether `bytes` fit in the share now. Pure.
    fn admits(&self, limits: &Limits, share: Share, bytes: u64) -> bool {
        let common = limits.total.saturating_sub(limits.lane);
        let used = self
            .requests
            .saturating_add(self.responses)
            .saturating_add(self.groups);
        let closed = common.saturating_sub(limits.response_floor);
        let inflow = self.requests.saturating_add(self.groups).saturating_add(bytes);
        let fits = used.saturating_add(bytes) <= common;
        let replies_max = if bytes > SMALL_REPLY {
            limits.large_response_max()
        } else {
            limits.response_total_max
        };
        match share {
            Share::Lane => self.lane == 0 && bytes <= limits.lane,
            Share::Response => fits && (bytes == 0 || self.responses.saturating_add(bytes) <= replies_max),
            Share::Request => fits && inflow <= closed - closed / 4,
            Share::SmallRequest => fits && inflow <= closed,
            Share::Group => fits && inflow <= closed && self.groups.saturating_add(bytes) <= limits.group_max,
        }
    }

    fn counter(&mut self, share: Share) -> &mut u64 {
        match share {
            Share::Request | Share::SmallRequest => &mut self.requests,
            Share::Response => &mut self.responses,
            Share::Group => &mut self.groups,
            Share::Lane => &mut self.lane,
        }
    }

    fn take(&mut self, share: Share, bytes: u64) {
        let counter = self.counter(share);
        *counter = counter.saturating_add(bytes);
        self.note_peak();
    }

    fn put(&mut self, share: Share, bytes: u64) {
        let counter = self.counter(share);
        *counter = counter.saturating_sub(bytes);
    }

    fn note_peak(&mut self) {
        let used = self.requests + self.responses + self.groups + self.lane;
        self.peak = self.peak.max(used);
    }

    /// Serves the queues from their fronts: responses first (they free requests), then small requests, then
    /// others, and with the lane whoever waits longest.
    fn grant_waiters(&mut self, limits: &Limits) {
        for share in [Share::Response, Share::SmallRequest, Share::Request] {
            while let Some(bytes) = self.queue(share).front().map(|front| front.bytes) {
                if !self.admits(limits, share, bytes) {
                    break;
                }
                self.grant_front(share, share);
            }
        }
        if self.lend_lane(limits) {
            // Those behind may fit into the common part.
            self.grant_waiters(limits);
        }
    }

    /// Gives the lane to whoever waits longest, if it is free.
    fn lend_lane(&mut self, limits: &Limits) -> bool {
        let oldest = [Share::SmallRequest, Share::Request]
            .into_iter()
            .filter_map(|share| {
                self.queue(share)
                    .front()
                    .map(|front| (front.id, front.rest, share))
            })
            .min_by_key(|(id, ..)| *id);
        match oldest {
            Some((_, rest, share)) if self.admits(limits, Share::Lane, rest) => {
                self.grant_front(share, Share::Lane);
                true
            }
            _ => false,
        }
    }

    fn grant_front(&mut self, queue: Share, from: Share) {
        if let Some(waiter) = self.queue(queue).pop_front() {
            let bytes = if from == Share::Lane {
                waiter.rest
            } else {
                waiter.bytes
            };
            self.take(from, bytes);
            // The receiver lives: a waiter that goes away takes itself out of the queue under this lock.
            if waiter.granted.send(from).is_err() {
                self.put(from, bytes);
            }
        }
    }
}

impl MemoryPermit {
    /// Returns how many bytes the permit holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.requests + self.responses + self.groups + self.lane
    }

    /// Takes over the memory of another permit of the same budget.
    pub fn merge(&mut self, mut other: Self) {
        for share in [Share::Request, Share::Response, Share::Group, Share::Lane] {
            let bytes = std::mem::take(other.part(share));
            *self.part(share) += bytes;
        }
    }

    /// Gives back all but `bytes`; does nothing if the permit holds no more than that.
    pub fn shrink_to(&mut self, bytes: u64) {
        let mut excess = self.bytes().saturating_sub(bytes);
        // The lane first: somebody's only way forward may be to get it.
        for share in [Share::Lane, Share::Request, Share::Response, Share::Group] {
            let part = self.part(share);
            let back = excess.min(*part);
            *part -= back;
            excess -= back;
            self.budget.give_back(share, back);
        }
    }

    fn part(&mut self, share: Share) -> &mut u64 {
        match share {
            Share::Request | Share::SmallRequest => &mut self.requests,
            Share::Response => &mut self.responses,
            Share::Group => &mut self.groups,
            Share::Lane => &mut self.lane,
        }
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
#[path = "budget_test.rs"]
mod tests;

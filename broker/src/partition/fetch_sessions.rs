//! Incremental fetch sessions (KIP-227): a consumer says only what changed since its last fetch, and hears only
//! of partitions that changed.
//!
//! Owns which partitions a session holds, in which order they are read, and what its client was last told of
//! each. Does not read logs, resolve topics or authorize: every fetch of a session goes through the same checks
//! as one outside. Invariant: the number of sessions and of partitions in all of them together is bounded; where
//! there is no room the answer has session id 0, which every client takes as "no session".

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng;
use thalweg_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use thalweg_wire::fetch::{
    FetchPartition, FetchPartitionResponse, FetchRequest, FetchTopicResponse, TopicKey,
};

/// A session of this age may make room for a larger one, and one unused for as long for any (KIP-227).
const EVICTION_AGE: Duration = Duration::from_secs(120);
/// Partitions in all sessions together; one takes about 150 bytes.
const CACHED_PARTITIONS_MAX: usize = 1_000_000;

/// Asks for a full fetch and a new session.
const EPOCH_INITIAL: i32 = 0;
/// Asks for a full fetch without a session.
const EPOCH_FINAL: i32 = -1;
/// No session.
const NO_SESSION: i32 = 0;

/// All fetch sessions of a broker.
#[derive(Debug)]
pub struct FetchSessions {
    slots: usize,
    partitions_max: usize,
    cache: Mutex<Cache>,
    evictions: AtomicU64,
}

/// One partition to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPartition {
    /// Name or id, as the client gave it.
    pub topic: TopicKey,
    /// The partition; not checked, may be negative.
    pub partition: PartitionIndex,
    /// Where to start.
    pub fetch_offset: Offset,
    /// The epoch the client knows, or [`LeaderEpoch::UNKNOWN`].
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the client's last record, or [`LeaderEpoch::UNKNOWN`].
    pub last_fetched_epoch: LeaderEpoch,
    /// A replica's own first offset; [`Offset::UNKNOWN`] from a consumer.
    pub log_start_offset: Offset,
    /// Bytes to return at most; a negative wish is 0.
    pub max_bytes: usize,
}

/// One fetch, from its request to its answer. Given back to [`FetchSessions::finish`].
#[derive(Debug)]
pub struct SessionFetch {
    /// What to read, in this order. No partition comes twice.
    pub partitions: Vec<SessionPartition>,
    kind: Kind,
    began: Instant,
}

#[derive(Debug)]
enum Kind {
    /// Answered in full, session id 0.
    Sessionless,
    /// Answered in full; a session is opened if there is room.
    Opening,
    /// Answered with what changed.
    Incremental { id: i32, session: Arc<Mutex<Session>> },
}

/// How much the sessions hold; for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSessionCounts {
    /// Open sessions.
    pub sessions: usize,
    /// Their partitions.
    pub partitions: usize,
    /// Sessions that made room for others since the start.
    pub evictions: u64,
}

/// The sessions. Locked after a session's own lock, never before.
#[derive(Debug, Default)]
struct Cache {
    sessions: HashMap<i32, Slot>,
    /// Sum of all sizes.
    partitions: usize,
}

#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<Session>>,
    created: Instant,
    used: Instant,
    size: usize,
}

#[derive(Debug)]
struct Session {
    /// Number the next request must carry.
    epoch: i32,
    partitions: PartitionSet,
}

/// Partitions in the order of reading, found by their name.
#[derive(Debug, Default)]
struct PartitionSet {
    places: HashMap<(Arc<TopicKey>, PartitionIndex), u64>,
    ordered: BTreeMap<u64, Cached>,
    next_place: u64,
}

#[derive(Debug)]
struct Cached {
    topic: Arc<TopicKey>,
    wish: FetchPartition,
    told: Told,
}

/// What the client was told of a partition in the last answer that contained it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    high_watermark: Offset,
    last_stable_offset: Offset,
    log_start_offset: Offset,
}

impl Told {
    /// Nothing, or an error: the next answer contains the partition.
    const NOTHING: Self = Self {
        high_watermark: Offset::UNKNOWN,
        last_stable_offset: Offset::UNKNOWN,
        log_start_offset: Offset::UNKNOWN,
    };

    fn of(response: &FetchPartitionResponse) -> Self {
        if !response.error_code.is_none() {
            return Self::NOTHING;
        }
        Self {
            high_watermark: response.high_watermark,
            last_stable_offset: response.last_stable_offset,
            log_start_offset: response.log_start_offset,
        }
    }
}

impl FetchSessions {
    /// Returns an empty cache of `slots` sessions (`max.incremental.fetch.session.cache.slots`); 0 means that no
    /// session is ever opened.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self::with_partitions_max(slots, CACHED_PARTITIONS_MAX)
    }

    /// Returns an empty cache of the size that the settings say.
    #[must_use]
    pub fn from_settings(settings: &thalweg_settings::Settings) -> Self {
        let slots = settings.max_incremental_fetch_session_cache_slots();
        Self::new(usize::try_from(slots).unwrap_or(usize::MAX))
    }

    fn with_partitions_max(slots: usize, partitions_max: usize) -> Self {
        Self {
            slots,
            partitions_max,
            cache: Mutex::default(),
            evictions: AtomicU64::new(0),
        }
    }

    /// Takes a request: finds its session, puts the request's changes into it, and returns what to read.
    ///
    /// # Errors
    /// [`ErrorCode::FetchSessionIdNotFound`], [`ErrorCode::InvalidFetchSessionEpoch`],
    /// [`ErrorCode::FetchSessionTopicIdError`]: top-level errors of the answer, whose session id is then 0.
    pub fn begin(&self, request: &FetchRequest, now: Instant) -> Result<SessionFetch, ErrorCode> {
        match request.session_epoch {
            EPOCH_INITIAL | EPOCH_FINAL => {
                self.close(request.session_id);
                let opens = request.session_epoch == EPOCH_INITIAL && self.slots > 0;
                let kind = if opens { Kind::Opening } else { Kind::Sessionless };
                let mut asked = PartitionSet::default();
                asked.take_wishes(request);
                Ok(SessionFetch {
                    partitions: asked.to_read(),
                    kind,
                    began: now,
                })
            }
            _ => self.go_on(request, now),
        }
    }

    fn go_on(&self, request: &FetchRequest, now: Instant) -> Result<SessionFetch, ErrorCode> {
        let id = request.session_id;
        let found = self
            .cache
            .lock()
            .sessions
            .get(&id)
            .map(|slot| Arc::clone(&slot.session));
        let session = found.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let mut locked = session.lock();
        if locked.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if locked.partitions.is_other_naming(request) {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        locked.partitions.take_wishes(request);
        for topic in &request.forgotten_topics {
            let key = Arc::new(topic.topic.clone());
            for partition in &topic.partitions {
                locked.partitions.remove(&(Arc::clone(&key), *partition));
            }
        }
        locked.epoch = next_epoch(locked.epoch);
        let partitions = locked.partitions.to_read();
        let kept = !partitions.is_empty() && self.resize(id, &session, (partitions.len(), now));
        drop(locked);
        if kept {
            return Ok(SessionFetch {
                partitions,
                kind: Kind::Incremental { id, session },
                began: now,
            });
        }
        // Empty, or grown past what there is room for: closed, and answered as a fetch without a session.
        self.close(id);
        Ok(SessionFetch {
            partitions,
            kind: Kind::Sessionless,
            began: now,
        })
    }

    /// Notes a session's new size and that it was used; `false` if there is no room for it.
    fn resize(&self, id: i32, session: &Arc<Mutex<Session>>, (size, now): (usize, Instant)) -> bool {
        let mut cache = self.cache.lock();
        let others = cache.partitions;
        let Some(slot) = cache
            .sessions
            .get_mut(&id)
            .filter(|slot| Arc::ptr_eq(&slot.session, session))
        else {
            // Evicted just now; this answer still counts, the next request will not find it.
            return true;
        };
        let total = others.saturating_sub(slot.size).saturating_add(size);
        if size > slot.size && total > self.partitions_max {
            return false;
        }
        slot.size = size;
        slot.used = now;
        cache.partitions = total;
        true
    }

    /// Returns the session id and the partitions of the answer, by topic. `results` has one entry for each of
    /// [`SessionFetch::partitions`], by its index there, in any order.
    ///
    /// Outside sessions, and in the first answer of one, every partition asked for is listed. Within one, only
    /// those with records, an error, or offsets that the client was not told; partitions that gave records are
    /// read last next time.
    pub fn finish(
        &self,
        fetch: &SessionFetch,
        mut results: Vec<(usize, FetchPartitionResponse)>,
    ) -> (i32, Vec<FetchTopicResponse>) {
        results.sort_by_key(|(index, _)| *index);
        results.dedup_by_key(|(index, _)| *index);
        let id = match &fetch.kind {
            Kind::Sessionless => NO_SESSION,
            Kind::Opening => self.open(fetch, &results),
            Kind::Incremental { id, session } => {
                let mut session = session.lock();
                results.retain(|(index, response)| match fetch.partitions.get(*index) {
                    Some(asked) => session.partitions.tell(asked, response),
                    None => false,
                });
                *id
            }
        };
        (id, by_topic(fetch, results))
    }

    /// Returns how much the sessions hold.
    #[must_use]
    pub fn counts(&self) -> FetchSessionCounts {
        let cache = self.cache.lock();
        FetchSessionCounts {
            sessions: cache.sessions.len(),
            partitions: cache.partitions,
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }

    fn close(&self, id: i32) {
        if id != NO_SESSION {
            self.cache.lock().remove(id);
        }
    }

    /// Opens a session for a fetch that was answered in full; 0 if there is no room.
    fn open(&self, fetch: &SessionFetch, results: &[(usize, FetchPartitionResponse)]) -> i32 {
        let size = fetch.partitions.len();
        if size == 0 || size > self.partitions_max {
            return NO_SESSION;
        }
        let mut partitions = PartitionSet::default();
        for asked in &fetch.partitions {
            partitions.take(&asked.topic, asked.wish());
        }
        for (index, response) in results {
            if let Some(asked) = fetch.partitions.get(*index) {
                partitions.tell(asked, response);
            }
        }
        let session = Arc::new(Mutex::new(Session {
            epoch: next_epoch(EPOCH_INITIAL),
            partitions,
        }));
        let mut cache = self.cache.lock();
        while cache.sessions.len() >= self.slots
            || cache.partitions.saturating_add(size) > self.partitions_max
        {
            let Some(id) = cache.evictable(size, fetch.began) else {
                return NO_SESSION;
            };
            cache.remove(id);
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        loop {
            let id = rand::rng().random_range(1..i32::MAX);
            if let Entry::Vacant(entry) = cache.sessions.entry(id) {
                entry.insert(Slot {
                    session,
                    created: fetch.began,
                    used: fetch.began,
                    size,
                });
                cache.partitions += size;
                return id;
            }
        }
    }
}

impl Cache {
    fn remove(&mut self, id: i32) {
        if let Some(slot) = self.sessions.remove(&id) {
            self.partitions = self.partitions.saturating_sub(slot.size);
        }
    }

    /// The session that makes room for a new one of `size` partitions: one that went unused for
    /// [`EVICTION_AGE`], else the smallest of at least that age that is smaller than the new one, which gains
    /// more from a session.
    fn evictable(&self, size: usize, now: Instant) -> Option<i32> {
        let aged = |since: Instant| now.saturating_duration_since(since) > EVICTION_AGE;
        let longest_unused = self.sessions.iter().min_by_key(|(_, slot)| slot.used);
        if let Some((id, slot)) = longest_unused
            && aged(slot.used)
        {
            return Some(*id);
        }
        let old = self.sessions.iter().filter(|(_, slot)| aged(slot.created));
        old.min_by_key(|(_, slot)| slot.size)
            .filter(|(_, slot)| slot.size < size)
            .map(|(id, _)| *id)
    }
}

impl SessionFetch {
    /// Reports whether the partitions are named as this version names them: by id from version 13 on. A client
    /// that changes version within a session gets [`ErrorCode::FetchSessionTopicIdError`].
    #[must_use]
    pub fn fits_version(&self, version: i16) -> bool {
        self.partitions
            .first()
            .is_none_or(|partition| matches!(partition.topic, TopicKey::Id(_)) == (version >= 13))
    }

    /// Reports whether only what changed is answered.
    #[must_use]
    pub fn is_incremental(&self) -> bool {
        matches!(self.kind, Kind::Incremental { .. })
    }
}

impl SessionPartition {
    fn wish(&self) -> FetchPartition {
        FetchPartition {
            index: self.partition,
            current_leader_epoch: self.current_leader_epoch,
            fetch_offset: self.fetch_offset,
            last_fetched_epoch: self.last_fetched_epoch,
            log_start_offset: self.log_start_offset,
            max_bytes: i32::try_from(self.max_bytes).unwrap_or(i32::MAX),
            replica_directory_id: [0; 16],
            high_watermark: Offset(i64::MAX),
        }
    }
}

impl PartitionSet {
    /// Adds or changes what a request names.
    fn take_wishes(&mut self, request: &FetchRequest) {
        for topic in &request.topics {
            let key = Arc::new(topic.topic.clone());
            for wish in &topic.partitions {
                self.take_shared(&key, *wish);
            }
        }
    }

    /// Adds one partition, sharing the topic with the one added before if it is the same.
    fn take(&mut self, topic: &TopicKey, wish: FetchPartition) {
        let last = self.ordered.last_key_value().map(|(_, cached)| &cached.topic);
        let key = match last {
            Some(last) if **last == *topic => Arc::clone(last),
            _ => Arc::new(topic.clone()),
        };
        self.take_shared(&key, wish);
    }

    fn take_shared(&mut self, topic: &Arc<TopicKey>, wish: FetchPartition) {
        match self.places.entry((Arc::clone(topic), wish.index)) {
            Entry::Occupied(place) => {
                if let Some(cached) = self.ordered.get_mut(place.get()) {
                    cached.wish = wish;
                }
            }
            Entry::Vacant(free) => {
                free.insert(self.next_place);
                let cached = Cached {
                    topic: Arc::clone(topic),
                    wish,
                    told: Told::NOTHING,
                };
                self.ordered.insert(self.next_place, cached);
                self.next_place += 1;
            }
        }
    }

    fn remove(&mut self, key: &(Arc<TopicKey>, PartitionIndex)) {
        if let Some(place) = self.places.remove(key) {
            self.ordered.remove(&place);
        }
    }

    fn is_other_naming(&self, request: &FetchRequest) -> bool {
        let by_id = |topic: &TopicKey| matches!(topic, TopicKey::Id(_));
        let asked = request.topics.first().map(|topic| &topic.topic);
        let asked = asked.or_else(|| request.forgotten_topics.first().map(|topic| &topic.topic));
        let held = self.ordered.first_key_value().map(|(_, cached)| &*cached.topic);
        matches!((asked, held), (Some(asked), Some(held)) if by_id(asked) != by_id(held))
    }

    fn to_read(&self) -> Vec<SessionPartition> {
        self.ordered
            .values()
            .map(|cached| SessionPartition {
                topic: (*cached.topic).clone(),
                partition: cached.wish.index,
                fetch_offset: cached.wish.fetch_offset,
                current_leader_epoch: cached.wish.current_leader_epoch,
                last_fetched_epoch: cached.wish.last_fetched_epoch,
                log_start_offset: cached.wish.log_start_offset,
                max_bytes: usize::try_from(cached.wish.max_bytes).unwrap_or(0),
            })
            .collect()
    }

    /// Notes what a client is told of a partition; `false` if it knows all of it.
    fn tell(&mut self, asked: &SessionPartition, response: &FetchPartitionResponse) -> bool {
        let has_records = response.records.iter().any(|part| !part.is_empty());
        let has_news = has_records
            || !response.error_code.is_none()
            || response.preferred_read_replica != BrokerId(-1)
            || response.current_leader.is_some();
        let key = (Arc::new(asked.topic.clone()), asked.partition);
        let Some(place) = self.places.get_mut(&key) else {
            // Forgotten by a request that came in between; the client ignores what it no longer asks for.
            return has_news;
        };
        let Some(cached) = self.ordered.get_mut(place) else {
            return has_news;
        };
        let told = Told::of(response);
        let changed = cached.told != told;
        cached.told = told;
        if has_records && let Some(cached) = self.ordered.remove(place) {
            *place = self.next_place;
            self.ordered.insert(self.next_place, cached);
            self.next_place += 1;
        }
        has_news || changed
    }
}

/// The request number after `epoch`; 0 and −1 have a meaning of their own and never come again.
const fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        i32::MAX => 1,
        epoch => epoch + 1,
    }
}

fn by_topic(fetch: &SessionFetch, results: Vec<(usize, FetchPartitionResponse)>) -> Vec<FetchTopicResponse> {
    let mut places: HashMap<&TopicKey, usize> = HashMap::new();
    let mut topics: Vec<FetchTopicResponse> = Vec::new();
    for (index, response) in results {
        let Some(asked) = fetch.partitions.get(index) else {
            continue;
        };
        let place = *places.entry(&asked.topic).or_insert_with(|| {
            topics.push(FetchTopicResponse {
                topic: asked.topic.clone(),
                partitions: Vec::new(),
            });
            topics.len() - 1
        });
        if let Some(topic) = topics.get_mut(place) {
            topic.partitions.push(response);
        }
    }
    topics
}

#[cfg(test)]
#[path = "fetch_sessions_test.rs"]
mod tests;

//! Who is signed in, and how long the next attempt has to wait. In memory only: an engine that
//! starts anew knows nobody.
//!
//! Of a token only its hash is kept, so that what a dump of the memory shows opens nothing. Time is
//! the host's monotonic clock, passed in: setting the wall clock prolongs no token.

use crate::limits::{
    FORGET_TRIES, FREE_TRIES, LONGEST_PAUSE, MAX_TOKENS, MAX_TRIED_LOGINS, SHORTEST_PAUSE,
    VIEW_SPAN,
};
use sha2::{Digest, Sha256};
use signal::HostNanos;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// What a person who is signed in may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PersonRole {
    /// Records, reads, signs.
    Clinician,
    /// Records and marks.
    Technician,
    /// Finds and exports de-identified recordings.
    Researcher,
    /// Manages users and policies.
    Administrator,
    /// Came in by break-glass.
    BreakGlass,
}

/// A person who is signed in. Its `Debug` does not name anyone.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Opaque id; what came in by break-glass has one as well.
    pub id: Uuid,
    /// Name to sign in with; empty for break-glass.
    pub login: String,
    /// Name to show.
    pub display_name: String,
    /// What the person may do.
    pub role: PersonRole,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("id", &self.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// The desk where people sign in and out.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tokens: HashMap<[u8; 32], Holder>,
    tries: HashMap<[u8; 32], Tries>,
    /// When a person last looked at something.
    looks: HashMap<(Option<Uuid>, Uuid), HostNanos>,
}

#[derive(Debug)]
struct Holder {
    person: Arc<Person>,
    until: HostNanos,
}

/// Attempts at one login since the last that succeeded.
#[derive(Debug, Default)]
struct Tries {
    count: u32,
    /// When the next may be made.
    next: HostNanos,
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn after(now: HostNanos, span: Duration) -> HostNanos {
    let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    HostNanos(now.0.saturating_add(span))
}

/// Pause after the attempt of this number, counted from 1: none for slips, then doubling.
fn pause_after(count: u32) -> Duration {
    let Some(steps) = count.checked_sub(FREE_TRIES) else {
        return Duration::ZERO;
    };
    SHORTEST_PAUSE
        .saturating_mul(1 << steps.min(16))
        .min(LONGEST_PAUSE)
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `secret`, which only its holder keeps, stand for `person`; the token as it is carried.
    pub(crate) fn issue(
        &self,
        person: Person,
        secret: &[u8; 32],
        now: HostNanos,
        lasts: Duration,
    ) -> String {
        let token = crate::documents::hex(secret);
        let mut state = self.state();
        state.tokens.retain(|_, holder| holder.until > now);
        if state.tokens.len() >= MAX_TOKENS {
            // Whoever signed in longest ago signs in again.
            let oldest = state.tokens.iter().min_by_key(|(_, holder)| holder.until);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                state.tokens.remove(&key);
            }
        }
        let holder = Holder {
            person: Arc::new(person),
            until: after(now, lasts),
        };
        state.tokens.insert(hash(&token), holder);
        token
    }

    /// Whom a token stands for, while it holds.
    pub(crate) fn holder(&self, token: &str, now: HostNanos) -> Option<Arc<Person>> {
        let state = self.state();
        let holder = state.tokens.get(&hash(token))?;
        (holder.until > now).then(|| holder.person.clone())
    }

    /// Ends a token; whose it was.
    pub(crate) fn revoke(&self, token: &str) -> Option<Arc<Person>> {
        let holder = self.state().tokens.remove(&hash(token))?;
        Some(holder.person)
    }

    /// Ends every token of a person; whether there was one.
    pub(crate) fn revoke_all_of(&self, person: Uuid) -> bool {
        let mut state = self.state();
        let before = state.tokens.len();
        state.tokens.retain(|_, holder| holder.person.id != person);
        state.tokens.len() < before
    }

    /// How long an attempt at `login` waits before its password is looked at, known or not. An
    /// attempt counts as failed until [`Self::succeeded`]; so attempts made at the same time wait
    /// for one another.
    ///
    /// # Errors
    /// When it would wait longer than the longest pause, because others wait already: how long.
    pub(crate) fn wait_for(&self, login: &str, now: HostNanos) -> Result<Duration, Duration> {
        let mut state = self.state();
        let forgotten = |tries: &Tries| now >= after(tries.next, FORGET_TRIES);
        state.tries.retain(|_, tries| !forgotten(tries));
        if state.tries.len() >= MAX_TRIED_LOGINS {
            let oldest = state.tries.iter().min_by_key(|(_, tries)| tries.next);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                state.tries.remove(&key);
            }
        }
        let tries = state.tries.entry(hash(login)).or_default();
        let begin = tries.next.max(now);
        let wait = Duration::from_nanos(begin.nanos_since(now).max(0).unsigned_abs());
        if wait > LONGEST_PAUSE {
            return Err(wait);
        }
        tries.count = tries.count.saturating_add(1);
        tries.next = after(begin, pause_after(tries.count));
        Ok(wait)
    }

    /// The right password was given.
    pub(crate) fn succeeded(&self, login: &str) {
        self.state().tries.remove(&hash(login));
    }

    /// Whether `person` looks at `what` for the first time in a while: a page that shows it asks
    /// again and again, which is one look.
    pub(crate) fn looks_anew(&self, person: Option<Uuid>, what: Uuid, now: HostNanos) -> bool {
        let mut state = self.state();
        state.looks.retain(|_, at| after(*at, VIEW_SPAN) > now);
        state.looks.insert((person, what), now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TOKEN_LASTS;

    fn at(seconds: i64) -> HostNanos {
        HostNanos(seconds * 1_000_000_000)
    }

    fn person(number: u128) -> Person {
        Person {
            id: Uuid::from_u128(number),
            login: "canary".to_owned(),
            display_name: "Canary".to_owned(),
            role: PersonRole::Technician,
        }
    }

    #[test]
    fn a_token_stands_for_its_person_until_it_ends() {
        let desk = Desk::default();
        let token = desk.issue(person(1), &[7; 32], at(0), TOKEN_LASTS);
        assert_eq!(token.len(), 64);
        let end = i64::try_from(TOKEN_LASTS.as_secs()).unwrap();
        assert_eq!(*desk.holder(&token, at(end - 1)).unwrap(), person(1));
        assert_eq!(desk.holder(&token, at(end)), None, "expired");
        assert_eq!(desk.holder("", at(0)), None);
        assert_eq!(desk.holder(&token[1..], at(0)), None);
        assert!(!format!("{desk:?}").contains(&token), "only a hash is kept");
        assert!(!format!("{desk:?}").to_lowercase().contains("canary"));
    }

    #[test]
    fn signing_out_and_disabling_end_tokens() {
        let desk = Desk::default();
        let first = desk.issue(person(1), &[1; 32], at(0), TOKEN_LASTS);
        let second = desk.issue(person(1), &[2; 32], at(0), TOKEN_LASTS);
        let other = desk.issue(person(2), &[3; 32], at(0), TOKEN_LASTS);
        assert!(desk.revoke(&first).is_some());
        assert_eq!(desk.holder(&first, at(1)), None);
        assert!(desk.holder(&second, at(1)).is_some());
        assert!(desk.revoke_all_of(Uuid::from_u128(1)));
        assert_eq!(desk.holder(&second, at(1)), None);
        assert!(desk.holder(&other, at(1)).is_some());
        assert!(!desk.revoke_all_of(Uuid::from_u128(1)));
    }

    #[test]
    fn tokens_are_bounded() {
        let desk = Desk::default();
        for number in 0..=MAX_TOKENS {
            let mut secret = [0; 32];
            secret[..8].copy_from_slice(&(number as u64).to_le_bytes());
            desk.issue(person(1), &secret, at(number as i64), TOKEN_LASTS);
        }
        assert_eq!(desk.state().tokens.len(), MAX_TOKENS);
    }

    #[test]
    fn wrong_passwords_wait_longer_and_longer_and_never_for_ever() {
        let desk = Desk::default();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = desk.wait_for("someone", now).unwrap();
            waits.push(wait.as_secs());
            now = after(now, wait);
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30]);
        assert_eq!(desk.wait_for("other", now), Ok(Duration::ZERO), "per login");
        desk.succeeded("someone");
        assert_eq!(desk.wait_for("someone", now), Ok(Duration::ZERO));
    }

    #[test]
    fn attempts_at_the_same_time_wait_for_one_another() {
        let desk = Desk::default();
        let waits: Vec<_> = (0..40).map(|_| desk.wait_for("someone", at(0))).collect();
        let let_in: Vec<_> = waits.iter().flatten().map(Duration::as_secs).collect();
        assert_eq!(let_in, [0, 0, 0, 1, 3, 7, 15]);
        assert!(
            waits[7..]
                .iter()
                .all(|wait| *wait == Err(Duration::from_secs(31)))
        );
        let later = at(31);
        assert_eq!(
            desk.wait_for("someone", later),
            Ok(Duration::ZERO),
            "it passes"
        );
    }

    #[test]
    fn a_look_is_told_once_in_a_while() {
        let desk = Desk::default();
        let (person, patient) = (Some(Uuid::from_u128(1)), Uuid::from_u128(2));
        assert!(desk.looks_anew(person, patient, at(0)));
        assert!(!desk.looks_anew(person, patient, at(1)));
        assert!(desk.looks_anew(None, patient, at(1)));
        let later = i64::try_from(VIEW_SPAN.as_secs()).unwrap() + 1;
        assert!(desk.looks_anew(person, patient, at(1 + later)));
    }
}

//! When a page has stopped answering: a decision on times that are passed in.

use crate::limits::{HEARTBEAT_LATE, HEARTBEAT_LOST, MAX_RELOADS, PING_TIMEOUT, RELOAD_FORGIVEN};
use std::time::{Duration, Instant};

/// What to do about the page now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is well, or has not shown life yet.
    Well,
    /// Ask it whether it is there: timers of a hidden window are held back, its scripts are not.
    Ask,
    /// It hangs: end its process and load it again.
    Reload,
    /// It hung again and again: tell the person.
    GiveUp,
}

/// What is known of the page's life.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    /// Last heartbeat, or when a page that is known to have one was loaded.
    beat: Option<Instant>,
    /// The page on view has shown life, not only one before it.
    alive: bool,
    /// When it was asked, and has not answered.
    asked: Option<Instant>,
    /// When it answered last.
    answered: Option<Instant>,
    /// Reloads in a row, and when the last was.
    reloads: u32,
    reloaded: Option<Instant>,
}

impl Watchdog {
    /// The page shows life by itself.
    pub(crate) fn beat(&mut self, now: Instant) {
        self.beat = Some(now);
        self.alive = true;
        self.asked = None;
        if self.reloaded.is_some_and(|at| now - at > RELOAD_FORGIVEN) {
            self.reloads = 0;
            self.reloaded = None;
        }
    }

    /// The page answered that it is there.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.asked = None;
        self.answered = Some(now);
    }

    /// The page is being loaded again. Where it has shown life before, it has to do so now.
    pub(crate) fn loading(&mut self, now: Instant) {
        self.beat = self.beat.map(|_| now);
        self.alive = false;
        self.asked = None;
        self.answered = None;
    }

    /// Whether the page has shown life within `span`.
    pub(crate) fn alive_within(&self, span: Duration, now: Instant) -> bool {
        self.alive && self.beat.is_some_and(|at| now - at <= span)
    }

    /// Looks at the page. `Reload` and `GiveUp` are told once; so is `Ask`.
    pub(crate) fn look(&mut self, now: Instant) -> Verdict {
        let Some(beat) = self.beat else {
            return Verdict::Well;
        };
        if let Some(asked) = self.asked {
            if now - asked > PING_TIMEOUT {
                return self.reload(now);
            }
            return Verdict::Well;
        }
        if now - beat > HEARTBEAT_LOST {
            return self.reload(now);
        }
        let last = self.answered.map_or(beat, |answered| answered.max(beat));
        if now - last > HEARTBEAT_LATE {
            self.asked = Some(now);
            return Verdict::Ask;
        }
        Verdict::Well
    }

    fn reload(&mut self, now: Instant) -> Verdict {
        self.loading(now);
        self.reloads += 1;
        self.reloaded = Some(now);
        if self.reloads > MAX_RELOADS {
            Verdict::GiveUp
        } else {
            Verdict::Reload
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(500);

    /// The first verdict other than `Well`, and after how long.
    fn first(dog: &mut Watchdog, from: Instant, until: Duration) -> Option<(Verdict, Duration)> {
        let mut after = Duration::ZERO;
        while after < until {
            after += TICK;
            match dog.look(from + after) {
                Verdict::Well => {}
                verdict => return Some((verdict, after)),
            }
        }
        None
    }

    #[test]
    fn a_hung_page_is_asked_and_then_reloaded() {
        let start = Instant::now();
        let mut dog = Watchdog::default();
        dog.beat(start);
        let (verdict, asked) = first(&mut dog, start, HEARTBEAT_LOST).unwrap();
        assert_eq!(verdict, Verdict::Ask);
        assert!(asked > HEARTBEAT_LATE && asked <= HEARTBEAT_LATE + TICK);
        let (verdict, after) = first(&mut dog, start + asked, HEARTBEAT_LOST).unwrap();
        assert_eq!(verdict, Verdict::Reload);
        assert!(after > PING_TIMEOUT && after <= PING_TIMEOUT + TICK);
    }

    #[test]
    fn a_page_without_a_program_is_left_alone() {
        let mut dog = Watchdog::default();
        assert_eq!(first(&mut dog, Instant::now(), HEARTBEAT_LOST * 3), None);
    }

    #[test]
    fn a_hidden_page_that_answers_is_not_reloaded_for_a_while() {
        let start = Instant::now();
        let mut dog = Watchdog::default();
        dog.beat(start);
        let mut now = start;
        let mut verdict = Verdict::Well;
        while verdict != Verdict::Reload {
            now += TICK;
            verdict = dog.look(now);
            if verdict == Verdict::Ask {
                dog.answered(now);
            }
        }
        assert!(now - start > HEARTBEAT_LOST);
    }

    #[test]
    fn reloading_again_and_again_comes_to_an_end_and_life_forgives() {
        let mut now = Instant::now();
        let mut dog = Watchdog::default();
        let mut hang = |dog: &mut Watchdog| {
            dog.beat(now);
            loop {
                now += TICK;
                let verdict = dog.look(now);
                if matches!(verdict, Verdict::Reload | Verdict::GiveUp) {
                    return (verdict, now);
                }
            }
        };
        for _ in 0..MAX_RELOADS {
            assert_eq!(hang(&mut dog).0, Verdict::Reload);
        }
        let (verdict, at) = hang(&mut dog);
        assert_eq!(verdict, Verdict::GiveUp);
        dog.beat(at + RELOAD_FORGIVEN + TICK);
        assert_eq!(dog.reloads, 0);
    }
}

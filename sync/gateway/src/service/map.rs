//! Who calls whom: the dependencies between services, as they are seen at the edge.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::limits::service as limits;

/// Calls of one caller to one service.
#[derive(Debug, Default)]
struct Calls {
    calls: u64,
    failures: u64,
    total: Duration,
    /// Calls of the current minute and of the one before it, and which minute that is.
    minute: u64,
    current: u64,
    before: u64,
}

/// Counts calls between callers and services; a bounded number of pairs.
#[derive(Debug)]
pub(crate) struct Map {
    began: Instant,
    calls: Mutex<BTreeMap<(String, String), Calls>>,
}

/// One line of the map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Dependency {
    /// Who calls: a person's, device's or service's consumer.
    pub(crate) caller: String,
    /// The service, as `site/name`.
    pub(crate) service: String,
    /// Calls since the gateway started.
    pub(crate) calls: u64,
    /// Those that failed: answers of 5xx.
    pub(crate) failures: u64,
    /// Calls in the last whole minute.
    pub(crate) calls_last_minute: u64,
    /// Mean time to the answer's head, ms.
    pub(crate) mean_ms: f64,
}

impl Map {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            calls: Mutex::default(),
        }
    }

    /// Counts a call. Beyond the limit of pairs, callers are one.
    pub(crate) fn count(&self, caller: &str, service: &str, failed: bool, took: Duration) {
        let minute = self.began.elapsed().as_secs() / 60;
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (caller.to_owned(), service.to_owned());
        if calls.len() >= limits::MAP_PAIRS && !calls.contains_key(&key) {
            key.0 = "others".to_owned();
        }
        let one = calls.entry(key).or_default();
        one.turn(minute);
        one.calls += 1;
        one.current += 1;
        one.failures += u64::from(failed);
        one.total += took;
    }

    /// The map as it is now.
    pub(crate) fn read(&self, site: &str) -> Vec<Dependency> {
        let minute = self.began.elapsed().as_secs() / 60;
        let prefix = format!("{site}/");
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_site = calls
            .iter_mut()
            .filter(|((_, service), _)| service.starts_with(&prefix));
        of_site
            .map(|((caller, service), one)| {
                one.turn(minute);
                // Far below 2^53, where a double stops counting.
                let mean_ms = one.total.as_secs_f64() * 1e3 / one.calls.max(1) as f64;
                Dependency {
                    caller: caller.clone(),
                    service: service.clone(),
                    calls: one.calls,
                    failures: one.failures,
                    calls_last_minute: one.before,
                    mean_ms,
                }
            })
            .collect()
    }
}

impl Calls {
    fn turn(&mut self, minute: u64) {
        if self.minute != minute {
            self.before = if self.minute + 1 == minute {
                self.current
            } else {
                0
            };
            self.current = 0;
            self.minute = minute;
        }
    }
}

/// A text within XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The map as a picture (SVG): callers on the left, services on the right, a line for each dependency, its
/// text saying how often and how well. What fails is dashed as well as red.
pub(crate) fn picture(dependencies: &[Dependency], healthy: &dyn Fn(&str) -> usize) -> String {
    const ROW: usize = 48;
    const WIDTH: usize = 960;
    let names = |of: fn(&Dependency) -> &String| {
        let mut names: Vec<&String> = dependencies.iter().map(of).collect();
        names.sort();
        names.dedup();
        names
    };
    let (callers, services) = (names(|d| &d.caller), names(|d| &d.service));
    let height = ROW * (callers.len().max(services.len()) + 1);
    let y = |at: usize| ROW * (at + 1) - ROW / 2;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\" role=\"img\">\
         <title>Who calls whom</title>\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
    );
    for one in dependencies {
        let from = callers
            .iter()
            .position(|name| **name == one.caller)
            .unwrap_or(0);
        let to = services
            .iter()
            .position(|name| **name == one.service)
            .unwrap_or(0);
        let failing = one.failures * 100 > one.calls;
        let style = if failing {
            "stroke=\"#b3261e\" stroke-dasharray=\"6 4\""
        } else {
            "stroke=\"#41618f\""
        };
        let (y1, y2) = (y(from), y(to));
        let _ = write!(
            svg,
            "<line x1=\"330\" y1=\"{y1}\" x2=\"630\" y2=\"{y2}\" stroke-width=\"2\" {style}/>\
             <text x=\"480\" y=\"{}\" text-anchor=\"middle\" fill=\"#1c1b1f\">{} a minute, {} of {} failed, \
             {:.1} ms</text>",
            y1.midpoint(y2).saturating_sub(6),
            one.calls_last_minute,
            one.failures,
            one.calls,
            one.mean_ms,
        );
    }
    for (at, name) in callers.iter().enumerate() {
        let _ = write!(
            svg,
            "<text x=\"320\" y=\"{}\" text-anchor=\"end\" fill=\"#1c1b1f\">{}</text>",
            y(at) + 4,
            escaped(name)
        );
    }
    for (at, name) in services.iter().enumerate() {
        let instances = healthy(name);
        let mark = if instances == 0 {
            "none healthy".to_owned()
        } else {
            format!("{instances} healthy")
        };
        let _ = write!(
            svg,
            "<text x=\"640\" y=\"{}\" fill=\"#1c1b1f\">{} ({mark})</text>",
            y(at) + 4,
            escaped(name)
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_pair_and_site() {
        let map = Map::new();
        for n in 0..10 {
            map.count("own:a", "north/eeg", n == 0, Duration::from_millis(10));
        }
        map.count("own:b", "south/eeg", false, Duration::ZERO);
        let read = map.read("north");
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].calls, read[0].failures), (10, 1));
        assert!((read[0].mean_ms - 10.0).abs() < 1e-9);
    }

    #[test]
    fn minutes_turn() {
        let mut calls = Calls {
            current: 7,
            ..Calls::default()
        };
        calls.turn(1);
        assert_eq!((calls.before, calls.current), (7, 0));
        calls.turn(3);
        assert_eq!(calls.before, 0, "a minute without a call lies between");
    }

    #[test]
    fn pairs_are_bounded_and_names_do_not_break_the_picture() {
        let map = Map::new();
        for n in 0..limits::MAP_PAIRS + 50 {
            map.count(&format!("c{n}"), "n/s", false, Duration::ZERO);
        }
        let read = map.read("n");
        assert_eq!(read.len(), limits::MAP_PAIRS + 1);
        map.count("<script>&\"", "m/\u{1}x", true, Duration::ZERO);
        let svg = picture(&map.read("m"), &|_| 0);
        assert!(
            svg.contains("others") || svg.contains("&lt;script&gt;"),
            "{svg}"
        );
        assert!(!svg.contains("<script>") && !svg.contains('\u{1}'));
        assert!(svg.contains("none healthy") && svg.contains("stroke-dasharray"));
    }
}

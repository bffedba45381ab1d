//! Durable events from many publishers at once.

use crate::beside_recording::{payload, runtime, store};
use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{ACK_P99_S, PUBLISHERS, THROUGHPUT, THROUGHPUT_WARM_UP, UNDER_WAY};
use crate::measure::{Times, grouped, time};
use anyhow::Result;
use events::Publisher;
use std::time::Instant;

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "durable events a second, 64 publishers, ack p99 ≤ 10 ms",
    bound: "10,000",
    aim: "50,000",
}];

/// Events a second.
const BOUND: f64 = 10_000.0;

/// One load: events under way per publisher, rate, acknowledgements.
struct Trial {
    each: usize,
    rate: f64,
    acks: Times,
}

impl Trial {
    fn counts(&self) -> bool {
        self.acks.p99() <= ACK_P99_S
    }

    fn told(&self) -> String {
        let (rate, ack) = (grouped(self.rate), time(self.acks.p99()));
        format!("{} each {rate}/s at {ack}", self.each)
    }
}

pub(crate) fn run() -> Result<Vec<Figure>> {
    let folder = folders::scratch()?;
    let trials = runtime()?.block_on(async {
        let store = store(folder.path()).await?;
        let publisher = store.bus().publisher("bench");
        let mut trials = Vec::new();
        for each in UNDER_WAY {
            trials.push(trial(&publisher, each).await?);
        }
        store.close().await;
        anyhow::Ok(trials)
    })?;
    let told: Vec<_> = trials.iter().map(Trial::told).collect();
    let best =
        (trials.iter().filter(|trial| trial.counts())).max_by(|a, b| a.rate.total_cmp(&b.rate));
    let (met, measured) = match best {
        Some(best) => (
            best.rate >= BOUND,
            format!(
                "{} with ack p99 {}, {} under way a publisher",
                grouped(best.rate),
                time(best.acks.p99()),
                best.each
            ),
        ),
        None => (false, "at no load is ack p99 ≤ 10 ms".to_owned()),
    };
    let measured = format!("{measured} (events under way: {})", told.join(", "));
    Ok(vec![ROWS[0].measured(met, measured)])
}

/// Every publisher keeps `each` events under way; the first moments do not count.
async fn trial(publisher: &Publisher, each: usize) -> Result<Trial> {
    let begun = Instant::now();
    let (from, until) = (
        begun + THROUGHPUT_WARM_UP,
        begun + THROUGHPUT_WARM_UP + THROUGHPUT,
    );
    let tasks: Vec<_> = (0..PUBLISHERS * each)
        .map(|number| {
            let publisher = publisher.clone();
            tokio::spawn(async move {
                let mut acks = Times::default();
                loop {
                    let at = Instant::now();
                    publisher.publish(&payload(number as u32)).await?;
                    let now = Instant::now();
                    if now > until {
                        return anyhow::Ok(acks);
                    }
                    if now >= from {
                        acks.push(now - at);
                    }
                }
            })
        })
        .collect();
    let mut acks = Times::default();
    for task in tasks {
        acks.extend(task.await??);
    }
    let rate = acks.len() as f64 / THROUGHPUT.as_secs_f64();
    Ok(Trial { each, rate, acks })
}

//! What a display waits for: the real engine over its socket, as the window has it.

use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{COLUMNS_PER_S, FEED_OF, FEED_S, PAGE_COLUMNS, PAGED, SOCKET_PAGES, SWITCHES};
use crate::measure::{Times, time};
use crate::synthetic::Random;
use anyhow::{Context as _, Result, bail, ensure};
use contract::{Clock as _, SystemClock};
use engine_client::{Client, Start};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use ui_types::feed::Message;
use ui_types::{
    EngineStop, FeedRequest, PageRequest, PatientChoice, SessionShow, SessionStart, SessionState,
    SessionStop, ViewSpec,
};

pub(crate) const ROWS: [Row; 3] = [
    Row {
        what: "device block to feed message decoded by a client of the socket, p99, beyond the \
               block's own length, 64 channels × 1 kHz",
        bound: "20 ms",
        aim: "5 ms",
    },
    Row {
        what: "switch of montage: request to the whole of 10 s of filtered history decoded, 64 \
               channels × 1 kHz while recording",
        bound: "100 ms",
        aim: "50 ms",
    },
    Row {
        what: "page through the socket, request to decoded: 5 s to 24 h of 24 h × 32 ch × 256 Hz, montage \
               and filters up to 60 s, overview beyond",
        bound: "33 ms",
        aim: "8 ms",
    },
];

/// Seconds.
const BOUNDS: [f64; 3] = [0.020, 0.100, 0.033];
const START: Duration = Duration::from_secs(30);
const MONTAGES: [&str; 3] = ["average-10-10", "as-recorded", "longitudinal-bipolar-10-10"];

pub(crate) fn run() -> Result<Vec<Figure>> {
    let Some(engine) = folders::program("neurascale-engine") else {
        let why = "neurascale-engine is neither in NEURASCALE_BIN_DIR nor beside this program";
        return Ok(ROWS.iter().map(|row| row.not_measured(why)).collect());
    };
    let folder = folders::scratch()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let data = folder.path().join("data");
        let client = Client::connect(&data, &Start::Program(engine))
            .await
            .context("cannot start the engine")?;
        let measured = measure(&client).await;
        let stop = EngineStop { force: true };
        client.call(&stop).await.context("cannot stop the engine")?;
        gone(&data).await?;
        measured
    })
}

async fn measure(client: &Client) -> Result<Vec<Figure>> {
    let session = begin(client, FEED_OF, false).await?;
    let (late, switches) = live(client, &session).await?;
    client
        .call(&SessionStop {
            id: session.clone(),
        })
        .await?;
    ended(client, &session).await?;
    let session = begin(client, PAGED, true).await?;
    ended(client, &session).await?;
    let (pages, worst) = pages(client, &session).await?;
    Ok(vec![
        ROWS[0].measured(
            late.p99() <= BOUNDS[0],
            format!(
                "{} (p50 {}, worst {} of {} blocks)",
                time(late.p99()),
                time(late.p50()),
                time(late.max()),
                late.len()
            ),
        ),
        ROWS[1].measured(
            switches.max() <= BOUNDS[1],
            format!(
                "{} (worst of {}; p50 {})",
                time(switches.max()),
                switches.len(),
                time(switches.p50())
            ),
        ),
        ROWS[2].measured(
            pages.max() <= BOUNDS[2],
            format!(
                "{} (worst of {} random pages, {PAGE_COLUMNS} columns, the worst of {worst} s; p50 \
                 {}; p99 {}); files in the system's cache",
                time(pages.max()),
                pages.len(),
                time(pages.p50()),
                time(pages.p99())
            ),
        ),
    ])
}

/// Starts a session on the simulated amplifier: seconds, channels, Hz.
async fn begin(
    client: &Client,
    (seconds, channels, hz): (u64, usize, u32),
    fast: bool,
) -> Result<String> {
    let mut settings = BTreeMap::from([
        ("channels".to_owned(), channels.to_string()),
        ("rate".to_owned(), hz.to_string()),
        ("duration_s".to_owned(), seconds.to_string()),
        ("pattern".to_owned(), "cheap".to_owned()),
    ]);
    if fast {
        settings.insert("speed".to_owned(), "max".to_owned());
    }
    let start = SessionStart {
        patient: PatientChoice::Training,
        device: "simulated:amplifier".to_owned(),
        settings,
        protocol: "free-recording".to_owned(),
        duration_s: Some(seconds as f64),
        unlimited: false,
        start_now: true,
        export: None,
        order: None,
    };
    Ok(client
        .call(&start)
        .await
        .context("cannot start a session")?
        .id)
}

async fn ended(client: &Client, session: &str) -> Result<()> {
    let begun = Instant::now();
    let show = SessionShow {
        id: session.to_owned(),
    };
    while client.call(&show).await?.state == SessionState::Running {
        ensure!(
            begun.elapsed() < Duration::from_secs(300),
            "the session does not end"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn gone(data: &Path) -> Result<()> {
    let begun = Instant::now();
    while data.join(engine_client::ENDPOINT_FILE).exists() {
        ensure!(begun.elapsed() < START, "the engine does not stop");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn feed_of(session: &str, montage: &str, columns_per_s: f64, history_s: f64) -> FeedRequest {
    FeedRequest {
        id: session.to_owned(),
        spec: ViewSpec {
            montage: montage.to_owned(),
            ..ViewSpec::default()
        },
        columns_per_s,
        history_s,
    }
}

/// How late columns are, and how long a switch takes, while the session records.
async fn live(client: &Client, session: &str) -> Result<(Times, Times)> {
    let (_, _, hz) = FEED_OF;
    let begun = Instant::now();
    // A column a sample: the last column of a message is then its block's last sample.
    let request = feed_of(session, MONTAGES[0], f64::from(hz), 0.0);
    let mut feed = loop {
        match client.feed(&request).await {
            Ok(feed) => break feed,
            Err(error) if begun.elapsed() > START => return Err(error.into()),
            // It is not recording yet.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let begun = Instant::now();
    let mut late = Times::default();
    while begun.elapsed() < FEED_S {
        let Some(message) = feed.next().await? else {
            bail!("the feed ended");
        };
        let Message::Envelope(envelope) = message else {
            continue;
        };
        // The last sample of the block: a column is a sample.
        let length = f64::from(envelope.columns.saturating_sub(1)) * envelope.column_ns;
        let end = envelope.time_utc_ns + length as i64;
        // The first seconds of a session are those in which everything is opened.
        if begun.elapsed() > Duration::from_secs(2) {
            late.push_s((SystemClock.utc().0 - end) as f64 / 1e9);
        }
    }
    drop(feed);
    let mut switches = Times::default();
    let wanted = 10 * u64::from(COLUMNS_PER_S) - 10;
    for switch in 0..SWITCHES {
        let montage = MONTAGES[switch % MONTAGES.len()];
        let request = feed_of(session, montage, f64::from(COLUMNS_PER_S), 10.0);
        let begun = Instant::now();
        let mut feed = client.feed(&request).await?;
        let mut columns = 0;
        while columns < wanted {
            match feed.next().await? {
                Some(Message::Envelope(envelope)) => columns += u64::from(envelope.columns),
                Some(_) => {}
                None => bail!("the feed ended"),
            }
        }
        switches.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok((late, switches))
}

/// Lengths of pages, s.
const PAGE_S: [f64; 8] = [5.0, 10.0, 20.0, 30.0, 60.0, 600.0, 3_600.0, 86_400.0];

async fn pages(client: &Client, session: &str) -> Result<(Times, f64)> {
    let mut random = Random::new();
    let mut pages = Times::default();
    let mut worst = (0.0, 0.0);
    let mut begin = None;
    for turn in 0..=SOCKET_PAGES {
        let seconds = PAGE_S[turn % PAGE_S.len()];
        let room = (PAGED.0 as f64 - seconds).max(0.0) * 1e3;
        let ahead = random.below(room as u64 + 1) as i64 * 1_000_000;
        let request = PageRequest {
            id: session.to_owned(),
            spec: ViewSpec {
                montage: MONTAGES[turn % MONTAGES.len()].to_owned(),
                ..ViewSpec::default()
            },
            from_utc_ns: begin.map(|begin: i64| begin + ahead),
            duration_s: Some(seconds),
            columns: PAGE_COLUMNS as u32,
        };
        let begun = Instant::now();
        let mut feed = client.page(&request).await?;
        let mut drawn = false;
        loop {
            match feed.next().await? {
                Some(Message::Envelope(envelope)) => {
                    drawn |= envelope.values.iter().any(|value| !value.is_nan());
                }
                Some(Message::Description(description)) => begin = Some(description.begin_utc_ns),
                Some(Message::End) | None => break,
                Some(_) => {}
            }
        }
        let took = begun.elapsed();
        ensure!(drawn, "an empty page");
        // The first opens the recording and tells its begin.
        if turn == 0 {
            continue;
        }
        pages.push(took);
        if took.as_secs_f64() > worst.0 {
            worst = (took.as_secs_f64(), seconds);
        }
    }
    Ok((pages, worst.1))
}

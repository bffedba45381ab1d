//! What displays are given over the socket: feeds, pages, choices, annotations.

use end_to_end::Station;
use engine_client::{Client, Start};
use serde_json::Value;
use std::time::Duration;
use ui_types::feed::{Envelope, Message};
use ui_types::{
    AS_RECORDED, AnnotationAdd, AnnotationSupersede, ErrorCode, FeedRequest, FilterChoice,
    PageRequest, ViewChoices, ViewDescription, ViewSpec,
};

const LONGITUDINAL: &str = "longitudinal-bipolar-10-20";

/// A simulated session of `seconds` under way, and a client beside it.
fn running(station: &Station, seconds: &str) -> (Client, String) {
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        seconds,
    ]);
    let id = started["id"].as_str().unwrap().to_owned();
    assert!(
        station.wait_for(Duration::from_secs(30), || {
            station.session(&id)["recorded_s"].as_f64().unwrap_or(0.0) > 1.0
        }),
        "{}",
        station.log()
    );
    let client = block(Client::connect(station.path(), &Start::Never)).unwrap();
    (client, id)
}

fn block<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    });
    runtime.block_on(future)
}

fn spec(montage: &str) -> ViewSpec {
    ViewSpec {
        montage: montage.to_owned(),
        ..ViewSpec::default()
    }
}

fn page_of(id: &str, montage: &str) -> PageRequest {
    PageRequest {
        id: id.to_owned(),
        spec: spec(montage),
        from_utc_ns: None,
        duration_s: None,
        columns: 500,
    }
}

async fn page(client: &Client, request: &PageRequest) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut feed = client.page(request).await.unwrap();
    while let Some(message) = feed.next().await.unwrap() {
        messages.push(message);
    }
    assert_eq!(messages.last(), Some(&Message::End));
    messages
}

fn described(messages: &[Message]) -> &ViewDescription {
    match &messages[0] {
        Message::Description(description) => description,
        other => panic!("no description first: {other:?}"),
    }
}

fn texts(messages: &[Message]) -> Vec<String> {
    let marks = messages.iter().filter_map(|message| match message {
        Message::Annotation(mark) if mark.origin == "person" => Some(mark.text.clone()),
        _ => None,
    });
    marks.collect()
}

/// Columns of row 0 of the first stream, by number.
fn first_row(envelopes: &[Envelope]) -> Vec<(u64, f32, f32)> {
    let mut found = Vec::new();
    for envelope in envelopes.iter().filter(|envelope| envelope.stream == 0) {
        for column in 0..envelope.columns as usize {
            found.push((
                envelope.first_column + column as u64,
                envelope.values[column * 2],
                envelope.values[column * 2 + 1],
            ));
        }
    }
    found
}

#[test]
fn a_feed_begins_with_history_and_ends_with_its_session() {
    let station = Station::new();
    let (client, id) = running(&station, "8");
    let request = FeedRequest {
        id: id.clone(),
        spec: spec(LONGITUDINAL),
        columns_per_s: 100.0,
        history_s: 5.0,
    };
    let messages = block(async {
        let mut feed = client.feed(&request).await.unwrap();
        let mut messages = Vec::new();
        let mark = AnnotationAdd {
            id: id.clone(),
            onset_utc_ns: 1_795_435_200_000_000_000,
            duration_ns: None,
            text: "seen live".to_owned(),
            code: None,
        };
        while let Some(message) = feed.next().await.unwrap() {
            if messages.len() == 20 {
                client.call(&mark).await.unwrap();
            }
            messages.push(message);
        }
        messages
    });
    assert_eq!(messages.last(), Some(&Message::End));
    let description = described(&messages);
    assert_eq!(description.montage, LONGITUDINAL);
    assert_eq!(description.provenance, "simulated");
    assert_eq!(description.filters["eeg"].lff_hz, Some(0.5));
    assert!(description.begin_utc_ns > 1_700_000_000_000_000_000);
    let rows = &description.streams[0].rows;
    assert_eq!(rows[0].label, "Fp1-F7");
    assert_eq!(
        (rows[0].colour.as_str(), rows[0].unit.as_str()),
        ("left", "µV")
    );
    assert_eq!(rows[0].inputs, ["Fp1", "F7"]);
    assert_eq!(texts(&messages), ["seen live"]);
    let drawn: Vec<Envelope> = (messages.into_iter())
        .filter_map(|message| match message {
            Message::Envelope(envelope) => Some(envelope),
            _ => None,
        })
        .collect();
    assert!(drawn[0].history && !drawn.last().unwrap().history);
    // From the recording's first sample to its last, every column once.
    let found = first_row(&drawn);
    let numbers: Vec<u64> = found.iter().map(|column| column.0).collect();
    let expected: Vec<u64> = (0..numbers.len() as u64).collect();
    assert_eq!(numbers, expected);
    let session = station.finished(&id, Duration::from_secs(60));
    let recording = station.recording(&session);
    let samples = recording.runs(signal::StreamIndex(0)).unwrap()[0].end_index;
    assert_eq!(numbers.len() as u64, (samples * 100).div_ceil(256));
    // Review shows what was live, from the same first sample on.
    let seconds = samples as f64 / 256.0;
    let whole = (seconds * 100.0).floor();
    let request = PageRequest {
        duration_s: Some(whole / 100.0),
        columns: whole as u32,
        ..page_of(&id, LONGITUDINAL)
    };
    let reviewed = block(page(&client, &request));
    let reviewed: Vec<Envelope> = (reviewed.into_iter())
        .filter_map(|message| match message {
            Message::Envelope(envelope) => Some(envelope),
            _ => None,
        })
        .collect();
    let reviewed = first_row(&reviewed);
    // The clock is fitted, so that a sample near a column's edge may stand in the one beside it.
    let same = reviewed.iter().zip(&found).filter(|(a, b)| a == b).count();
    assert!(
        same * 10 > reviewed.len() * 8,
        "{same} of {} columns",
        reviewed.len()
    );
}

#[test]
fn pages_and_choices_follow_a_recording_under_way() {
    let station = Station::new();
    let (client, id) = running(&station, "60");
    let first = block(page(&client, &page_of(&id, AS_RECORDED)));
    let choices = ViewChoices {
        id: Some(id.clone()),
    };
    let choices = block(client.call(&choices)).unwrap();
    assert_eq!(choices.default_montage, LONGITUDINAL);
    let chosen = choices
        .montages
        .iter()
        .find(|m| m.name == LONGITUDINAL)
        .unwrap();
    assert!(chosen.complete > 0 && chosen.complete <= chosen.rows);
    assert_eq!(choices.lff_hz, [0.1, 0.3, 0.5, 1.0, 1.6, 5.0, 10.0]);
    assert_eq!(choices.sensitivity_uv_mm.len(), 17);
    assert!(choices.montages.iter().any(|m| m.name == AS_RECORDED));
    let later = station.wait_for(Duration::from_secs(20), || {
        let now = block(page(&client, &page_of(&id, AS_RECORDED)));
        described(&now).end_utc_ns > described(&first).end_utc_ns + 1_000_000_000
    });
    assert!(later, "the page does not follow the recording");
    station.ok(&["session", "stop", &id]);
    station.finished(&id, Duration::from_secs(60));
}

fn annotations(station: &Station, id: &str) -> Vec<(u64, String)> {
    let shown = station.ok(&["recording", "show", id]);
    let all = shown["annotations"].as_array().unwrap();
    let people = all.iter().filter(|a| a["origin"] == "person");
    let text = |a: &Value| a["text"].as_str().unwrap().to_owned();
    people
        .map(|a| (a["id"].as_u64().unwrap(), text(a)))
        .collect()
}

#[test]
fn annotations_are_added_corrected_and_withdrawn_before_and_after_the_end() {
    let station = Station::new();
    let (client, id) = running(&station, "30");
    let add = |text: &str, code: Option<&str>| AnnotationAdd {
        id: id.clone(),
        onset_utc_ns: 1_795_435_201_000_000_000,
        duration_ns: Some(500_000_000),
        text: text.to_owned(),
        code: code.map(str::to_owned),
    };
    let supersede = |annotation: u64, text: &str| AnnotationSupersede {
        id: id.clone(),
        annotation,
        onset_utc_ns: 1_795_435_202_000_000_000,
        duration_ns: None,
        text: text.to_owned(),
        code: None,
    };
    let kind = |error: engine_client::ClientError| error.into_api().code;
    let live = block(client.call(&add("running", Some("movement"))))
        .unwrap()
        .annotation;
    let corrected = block(client.call(&supersede(live, "walking")))
        .unwrap()
        .annotation;
    let again = block(client.call(&supersede(live, "late"))).unwrap_err();
    assert_eq!(kind(again), ErrorCode::Conflict);
    station.ok(&["session", "stop", &id]);
    station.finished(&id, Duration::from_secs(60));
    assert_eq!(
        annotations(&station, &id),
        [(corrected, "walking".to_owned())]
    );

    let after = block(client.call(&add("after the end", None)))
        .unwrap()
        .annotation;
    assert!(after > corrected);
    let last = block(client.call(&supersede(corrected, "sitting")))
        .unwrap()
        .annotation;
    block(client.call(&supersede(after, ""))).unwrap();
    assert_eq!(annotations(&station, &id), [(last, "sitting".to_owned())]);
    let shown = block(page(
        &client,
        &PageRequest {
            from_utc_ns: Some(1_795_435_200_000_000_000),
            duration_s: Some(10.0),
            ..page_of(&id, AS_RECORDED)
        },
    ));
    assert_eq!(texts(&shown), ["sitting"]);

    let refused = [
        block(client.call(&add("", None))),
        block(client.call(&add(&"x".repeat(3_000), None))),
        block(client.call(&add("x", Some("Not a word, but Jane Doe")))),
    ];
    for reply in refused {
        assert_eq!(kind(reply.unwrap_err()), ErrorCode::Invalid);
    }
    let unknown = block(client.call(&supersede(9_999, "x"))).unwrap_err();
    assert_eq!(kind(unknown), ErrorCode::NotFound);

    // Every segment is in the ledger, and the ledger tells of every annotation without its words.
    let check = station.ok(&["recording", "verify", &id]);
    assert_eq!(check["sound"], true, "{check:#}");
    assert_eq!(check["in_ledger"], check["segments"], "{check:#}");
    let entries = station.ok(&["ledger", "show", "--kind", "recording.annotated"]);
    let entries = entries["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 5, "{entries:#?}");
    let told = serde_json::to_string(entries).unwrap();
    assert!(
        !told.contains("sitting") && !told.contains("after the end"),
        "{told}"
    );
    station.ok(&["ledger", "verify"]);
}

#[test]
fn hostile_requests_for_displays_are_refused() {
    let station = Station::new();
    let (client, id) = running(&station, "60");
    let filter = |hz: f64| ViewSpec {
        filters: [(
            "eeg".to_owned(),
            FilterChoice {
                lff_hz: Some(hz),
                ..FilterChoice::default()
            },
        )]
        .into(),
        ..ViewSpec::default()
    };
    let feed = |spec: ViewSpec, columns_per_s: f64, history_s: f64| {
        let request = FeedRequest {
            id: id.clone(),
            spec,
            columns_per_s,
            history_s,
        };
        let opened = block(client.feed(&request));
        opened.map(drop).unwrap_err().into_api().code
    };
    let page = |spec: ViewSpec, duration_s: f64, columns: u32| {
        let request = PageRequest {
            spec,
            duration_s: Some(duration_s),
            columns,
            ..page_of(&id, AS_RECORDED)
        };
        let opened = block(client.page(&request));
        opened.map(drop).unwrap_err().into_api().code
    };
    for hz in [-1.0, 0.0, 1e300] {
        assert_eq!(feed(filter(hz), 100.0, 0.0), ErrorCode::Invalid);
        assert_eq!(page(filter(hz), 1.0, 100), ErrorCode::Invalid);
    }
    for number in [-1.0, 0.0, 1e300] {
        assert_eq!(feed(spec(AS_RECORDED), number, 0.0), ErrorCode::Invalid);
        assert_eq!(page(spec(AS_RECORDED), number, 100), ErrorCode::Invalid);
    }
    for history in [-1.0, 1e9, 1e300] {
        assert_eq!(feed(spec(AS_RECORDED), 100.0, history), ErrorCode::Invalid);
    }
    for columns in [0, 1 << 20, u32::MAX] {
        assert_eq!(page(spec(AS_RECORDED), 10.0, columns), ErrorCode::Invalid);
    }
    assert_eq!(
        feed(spec("../../etc/passwd"), 100.0, 0.0),
        ErrorCode::Invalid
    );
    let nobody = PageRequest {
        id: "01234567-89ab-7def-8123-456789abcdef".to_owned(),
        ..page_of(&id, AS_RECORDED)
    };
    let nobody = block(client.page(&nobody)).map(drop).unwrap_err();
    assert_eq!(nobody.into_api().code, ErrorCode::NotFound);
    // The recording went on.
    station.ok(&["session", "stop", &id]);
    let session = station.finished(&id, Duration::from_secs(60));
    assert!(station.recording(&session).gaps().is_empty());
}

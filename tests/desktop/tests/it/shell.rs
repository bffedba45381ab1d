//! The window itself, whatever page is in it: what it lets a page do, and what it does when the page,
//! the display or the engine fails.

use desktop_tests::{Bedside, PATIENCE, Session};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A call of the engine, as the page makes it.
fn call(page: &Session, name: &str, body: &Value) -> Result<Value, Value> {
    page.invoke(
        "call",
        &json!({ "name": name, "body": body, "progress": true }),
    )
}

/// Emergency stops that the engine has published.
fn emergency_stops(bedside: &Bedside) -> usize {
    let events = bedside
        .station
        .ok(&["events", "replay", "--type", "safety.emergency_stop"]);
    events["events"].as_array().map_or(0, Vec::len)
}

/// Waits until `done`.
#[track_caller]
fn within(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_page_gets_the_engine_and_nothing_else() {
    let bedside = Bedside::new();
    let window = bedside.open();
    let page = &window.page;

    // The engine was started by the window, and answers.
    let status = call(page, "auth.status", &json!({})).expect("the engine answers");
    assert_eq!(status["has_administrator"], false, "{status}");
    let engine = bedside.station.ok(&["--no-start", "engine", "status"]);
    assert!(engine["pid"].as_u64().is_some(), "{engine}");

    // Nobody is signed in: no patient is to be seen, and the refusal is one that a page can show.
    let refused = call(page, "patient.list", &json!({ "search": "" })).unwrap_err();
    assert_eq!(refused["code"], "not_allowed", "{refused}");
    assert!(
        refused["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    let refused = page
        .invoke(
            "open_feed",
            &json!({ "request": { "id": "x", "columns_per_s": 10.0 }, "channel": Value::Null }),
        )
        .unwrap_err();
    assert!(!refused.is_null());

    // No commands of Tauri's own, no files, no network, no inline script.
    for command in [
        "plugin:window|close",
        "plugin:webview|create_webview_window",
    ] {
        let refused = page.invoke(command, &json!({})).unwrap_err();
        assert!(refused.to_string().contains("not allowed"), "{refused}");
    }
    let blocked = page.run_async(
        "const done = arguments[0];
         fetch('https://example.org/').then(() => done('reached'), () => done('blocked'));",
        json!([]),
    );
    assert_eq!(blocked, "blocked");
    let inline = page.run(
        "const script = document.createElement('script');
         script.textContent = 'window.inlineRan = true';
         document.head.append(script);
         try { (0, eval)('window.evalRan = true'); } catch {}
         return [window.inlineRan ?? false, window.evalRan ?? false];",
        json!([]),
    );
    assert_eq!(inline, json!([false, false]));

    // A screen in memory states no millimetres that could be relied upon; a ruler's count.
    let screen = page.invoke("screen", &json!({})).unwrap();
    assert_eq!(screen["calibrated"], false, "{screen}");
    let measured = page
        .invoke("set_screen", &json!({ "px_per_mm": 4.25 }))
        .unwrap();
    assert_eq!(measured["px_per_mm"], 4.25, "{measured}");
    assert_eq!(page.invoke("screen", &json!({})).unwrap(), measured);
}

#[test]
fn a_second_start_ends_at_once_and_a_new_screen_gets_its_own_window() {
    let mut bedside = Bedside::new();
    let window = bedside.open();
    let mut second = bedside
        .command(&Bedside::program())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start the window");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = second.try_wait().expect("wait") {
            break status;
        }
        if began.elapsed() > PATIENCE {
            let _ = second.kill();
            panic!("the second window stays");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
    assert!(window.runs());

    // The display server dies: the window goes with it, the engine stays, a new window comes.
    call(&window.page, "auth.status", &json!({})).expect("the engine answers");
    let engine = bedside.station.engine_pid();
    bedside.display.kill();
    assert!(window.ends_within(PATIENCE), "a window without a display");
    drop(window);
    bedside.new_screen(1_440, 900);
    let window = bedside.open();
    call(&window.page, "auth.status", &json!({})).expect("the engine answers");
    assert_eq!(bedside.station.engine_pid(), engine);
}

#[test]
fn the_emergency_stop_works_while_the_page_hangs_and_the_page_is_loaded_again() {
    let bedside = Bedside::new();
    let window = bedside.open();
    let page = &window.page;
    call(page, "auth.status", &json!({})).expect("the engine answers");
    bedside.station.ok(&[
        "session",
        "start",
        "--training",
        "--device",
        "simulated:headset",
        "--duration",
        "unlimited",
    ]);
    bedside.display.focus("NeuraScale Workstation");

    // A page that is well hears of it.
    page.run(
        "window.heard = 0; window.__TAURI__.event.listen('emergency-stop', () => { window.heard += 1; });",
        json!([]),
    );
    std::thread::sleep(Duration::from_millis(300));
    bedside.display.press("ctrl+period");
    within(PATIENCE, "the page hears of the stop", || {
        page.run("return window.heard", json!([])) == 1
    });
    within(PATIENCE, "the stop is recorded", || {
        emergency_stops(&bedside) == 1
    });

    // A page that hangs does not hold it up.
    let before = window.page_processes();
    page.invoke("heartbeat", &json!({})).unwrap();
    page.run("setTimeout(() => { for (;;); }, 50)", json!([]));
    std::thread::sleep(Duration::from_millis(200));
    bedside.display.press("ctrl+period");
    within(
        Duration::from_secs(5),
        "the stop beside a page that hangs",
        || emergency_stops(&bedside) == 2,
    );
    within(PATIENCE, "the page's process is replaced", || {
        let now = window.page_processes();
        now.len() == 1 && now != before
    });
    assert!(window.runs());
}

#[test]
fn an_engine_that_was_restarted_is_found_again() {
    let bedside = Bedside::new();
    let window = bedside.open();
    let page = &window.page;
    call(page, "auth.status", &json!({})).expect("the engine answers");
    let first = bedside.station.engine_pid();
    bedside.station.ok(&["engine", "stop"]);
    // The page asks by itself and may have started another before anyone sees that none runs.
    within(PATIENCE, "the engine leaves", || {
        let status = bedside.station.cli(&["--no-start", "engine", "status"]);
        status.code == 10 || bedside.station.engine_pid() != first
    });
    call(page, "auth.status", &json!({})).expect("another engine answers");
    assert_ne!(bedside.station.engine_pid(), first);
}

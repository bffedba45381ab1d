//! A WebDriver session with the window's page: W3C WebDriver as WebKitWebDriver speaks it, without a
//! driver in between.

use crate::http;
use crate::picture::Picture;
use base64::Engine as _;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Name of an element's reference in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A session.
#[derive(Debug)]
pub struct Session {
    port: u16,
    id: String,
}

/// An element of the page.
#[derive(Debug, Clone)]
pub struct Element {
    id: String,
}

impl Session {
    /// Starts `program` under the driver that listens on `port`.
    ///
    /// # Errors
    /// What the driver answered.
    pub fn start(port: u16, program: &Path, arguments: &[String]) -> Result<Self, String> {
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "webkitgtk:browserOptions": { "binary": program, "args": arguments },
        } } });
        let reply = exchange(port, "POST", "/session", Some(&capabilities))?;
        let id = reply["sessionId"].as_str().ok_or("no session id")?;
        Ok(Self {
            port,
            id: id.to_owned(),
        })
    }

    /// Ends the session, and the window with it.
    pub fn end(&self) {
        let _ = exchange(self.port, "DELETE", &format!("/session/{}", self.id), None);
    }

    /// A command of the session.
    ///
    /// # Errors
    /// What the driver answered.
    pub fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        exchange(
            self.port,
            method,
            &format!("/session/{}/{path}", self.id),
            body,
        )
    }

    fn must(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.command(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Runs a function body in the page and yields what it returns.
    ///
    /// # Panics
    /// When it throws.
    pub fn run(&self, script: &str, arguments: Value) -> Value {
        self.must(
            "POST",
            "execute/sync",
            Some(&json!({ "script": script, "args": arguments })),
        )
    }

    /// Runs a function body whose last argument is to be called with the result.
    ///
    /// # Panics
    /// When it throws or never calls back.
    pub fn run_async(&self, script: &str, arguments: Value) -> Value {
        self.must(
            "POST",
            "execute/async",
            Some(&json!({ "script": script, "args": arguments })),
        )
    }

    /// Calls a command of the shell as the page does; `Err` is what the page would catch.
    ///
    /// # Errors
    /// The shell's own error.
    pub fn invoke(&self, command: &str, arguments: &Value) -> Result<Value, Value> {
        let reply = self.run_async(
            "const [command, args, done] = arguments;
             if (args && args.progress === true) args.progress = new window.__TAURI__.core.Channel();
             window.__TAURI__.core.invoke(command, args)
               .then((value) => done({ ok: value ?? null }), (error) => done({ error }));",
            json!([command, arguments]),
        );
        match reply.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(reply["ok"].clone()),
        }
    }

    /// The first element that matches a CSS selector, if there is one.
    #[must_use]
    pub fn find(&self, css: &str) -> Option<Element> {
        let found = self.command(
            "POST",
            "element",
            Some(&json!({ "using": "css selector", "value": css })),
        );
        let id = found.ok()?[ELEMENT].as_str()?.to_owned();
        Some(Element { id })
    }

    /// The first element that matches, waited for.
    ///
    /// # Panics
    /// When it does not come within `limit`.
    pub fn wait(&self, css: &str, limit: Duration) -> Element {
        let began = Instant::now();
        loop {
            if let Some(element) = self.find(css) {
                return element;
            }
            assert!(
                began.elapsed() < limit,
                "no {css} within {limit:?}; the page says:\n{}",
                self.page_text()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// All the words on the page.
    #[must_use]
    pub fn page_text(&self) -> String {
        self.command(
            "POST",
            "execute/sync",
            Some(&json!({ "script": "return document.body.innerText", "args": [] })),
        )
        .map_or_else(|error| error, |text| text.as_str().unwrap_or("").to_owned())
    }

    /// The words of an element.
    #[must_use]
    pub fn text(&self, element: &Element) -> String {
        let reply = self.must("GET", &format!("element/{}/text", element.id), None);
        reply.as_str().unwrap_or("").to_owned()
    }

    /// An element's attribute.
    #[must_use]
    pub fn attribute(&self, element: &Element, name: &str) -> Option<String> {
        let path = format!("element/{}/attribute/{name}", element.id);
        self.must("GET", &path, None).as_str().map(str::to_owned)
    }

    /// Presses an element as a person does: it must be visible and not covered.
    ///
    /// # Errors
    /// Why it cannot be pressed.
    pub fn try_click(&self, element: &Element) -> Result<(), String> {
        let path = format!("element/{}/click", element.id);
        self.command("POST", &path, Some(&json!({}))).map(drop)
    }

    /// Types into an element.
    ///
    /// # Errors
    /// Why it takes no text.
    pub fn try_type(&self, element: &Element, text: &str) -> Result<(), String> {
        let path = format!("element/{}/value", element.id);
        self.command("POST", &path, Some(&json!({ "text": text })))
            .map(drop)
    }

    /// Empties a field.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn try_clear(&self, element: &Element) -> Result<(), String> {
        let path = format!("element/{}/clear", element.id);
        self.command("POST", &path, Some(&json!({}))).map(drop)
    }

    /// Presses and releases keys one after another at whatever has the focus. A key is a character or
    /// one of WebDriver's own (Tab is `\u{e004}`, Enter `\u{e007}`).
    ///
    /// # Panics
    /// When the driver refuses.
    pub fn keys(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        self.must(
            "POST",
            "actions",
            Some(&json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] })),
        );
    }

    /// Presses a key while others are held, at whatever has the focus: Ctrl is `\u{e009}`, Shift `\u{e008}`.
    ///
    /// # Panics
    /// When the driver refuses.
    pub fn chord(&self, held: &str, key: &str) {
        let key_event = |kind: &str, value: &str| json!({ "type": kind, "value": value });
        let held: Vec<_> = held.chars().map(|key| key.to_string()).collect();
        let mut actions: Vec<Value> = held.iter().map(|key| key_event("keyDown", key)).collect();
        actions.push(key_event("keyDown", key));
        actions.push(key_event("keyUp", key));
        actions.extend(held.iter().rev().map(|key| key_event("keyUp", key)));
        self.must(
            "POST",
            "actions",
            Some(&json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] })),
        );
    }

    /// Presses an element and types on at once, as a practised hand does: one sequence, no look in between.
    ///
    /// # Panics
    /// When the driver refuses.
    pub fn press_and_type(&self, element: &Element, text: &str) {
        let origin = json!({ ELEMENT: element.id });
        let press = [
            json!({ "type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": origin }),
            json!({ "type": "pointerDown", "button": 0 }),
            json!({ "type": "pointerUp", "button": 0 }),
        ];
        let rest = || json!({ "type": "pause", "duration": 0 });
        let mut keys: Vec<Value> = press.iter().map(|_| rest()).collect();
        keys.extend(text.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        }));
        self.must(
            "POST",
            "actions",
            Some(&json!({ "actions": [
                { "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": press },
                { "type": "key", "id": "keyboard", "actions": keys },
            ] })),
        );
    }

    /// Drags with the left button between two points of the page, CSS pixels.
    ///
    /// # Panics
    /// When the driver refuses.
    pub fn drag(&self, from: (i64, i64), to: (i64, i64)) {
        let at = |(x, y): (i64, i64), ms: u32| json!({ "type": "pointerMove", "duration": ms, "x": x, "y": y, "origin": "viewport" });
        let middle = (i64::midpoint(from.0, to.0), i64::midpoint(from.1, to.1));
        let actions = json!([
            at(from, 0),
            { "type": "pointerDown", "button": 0 },
            at(middle, 100),
            at(to, 100),
            { "type": "pause", "duration": 100 },
            { "type": "pointerUp", "button": 0 },
        ]);
        self.must(
            "POST",
            "actions",
            Some(&json!({ "actions": [{ "type": "pointer", "id": "mouse",
                "parameters": { "pointerType": "mouse" }, "actions": actions }] })),
        );
    }

    /// What is seen of the page.
    ///
    /// # Panics
    /// When there is no picture.
    #[must_use]
    pub fn screenshot(&self) -> Picture {
        picture(&self.must("GET", "screenshot", None))
    }

    /// What is seen of an element.
    ///
    /// # Panics
    /// When there is no picture.
    #[must_use]
    pub fn picture_of(&self, element: &Element) -> Picture {
        picture(&self.must("GET", &format!("element/{}/screenshot", element.id), None))
    }

    /// What a canvas holds, in its own pixels: those of the screen, however many make one of CSS.
    ///
    /// # Panics
    /// When it is no canvas, or gives nothing away.
    #[must_use]
    pub fn canvas(&self, css: &str) -> Picture {
        let address = self.run(
            "return document.querySelector(arguments[0]).toDataURL('image/png')",
            json!([css]),
        );
        let address = address.as_str().unwrap_or_default();
        let (_, png) = address.split_once("base64,").expect("a picture's address");
        picture(&Value::from(png))
    }

    /// Loads the page again.
    ///
    /// # Panics
    /// When the driver refuses.
    pub fn reload(&self) {
        self.must("POST", "refresh", Some(&json!({})));
    }
}

fn picture(reply: &Value) -> Picture {
    let text = reply.as_str().expect("a picture");
    let png = base64::engine::general_purpose::STANDARD
        .decode(text)
        .expect("base64");
    Picture::from_png(png)
}

fn exchange(port: u16, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let (status, reply) =
        http::request(port, method, path, body).map_err(|error| error.to_string())?;
    if status == 200 {
        Ok(reply["value"].clone())
    } else {
        Err(format!(
            "{}: {}",
            reply["value"]["error"].as_str().unwrap_or("error"),
            reply["value"]["message"].as_str().unwrap_or("")
        ))
    }
}

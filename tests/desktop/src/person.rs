//! What a person does at the window: find a control, press it, type, read. Controls are found by the ids
//! that `ui/app` publishes for tests.

use crate::webdriver::{Element, Session};
use crate::{PATIENCE, screenshots};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A person before a page.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The page.
    pub page: &'a Session,
}

/// The selector of a control.
#[must_use]
pub fn css(id: &str) -> String {
    format!("[data-testid='{id}']")
}

impl Person<'_> {
    /// Waits for a control.
    #[track_caller]
    pub fn find(&self, id: &str) -> Element {
        self.page.wait(&css(id), PATIENCE)
    }

    /// Whether a control is there now.
    #[must_use]
    pub fn sees(&self, id: &str) -> bool {
        self.page.find(&css(id)).is_some()
    }

    /// Presses a control, as soon as it is there, enabled and not covered.
    ///
    /// # Panics
    /// When it cannot be pressed in time.
    #[track_caller]
    pub fn press(&self, id: &str) {
        self.press_css(&css(id));
    }

    /// Presses what a selector names.
    ///
    /// # Panics
    /// When it cannot be pressed in time.
    #[track_caller]
    pub fn press_css(&self, selector: &str) {
        let enabled = format!("{selector}:not([disabled])");
        let began = Instant::now();
        loop {
            // A list that is drawn anew between finding and pressing is looked at once more.
            let pressed = match self.page.find(&enabled) {
                Some(element) => self.page.try_click(&element),
                None => Err(format!("no {enabled}")),
            };
            match pressed {
                Ok(()) => return,
                Err(error) if began.elapsed() > PATIENCE => {
                    panic!(
                        "cannot press {selector}: {error}\n{}",
                        self.page.page_text()
                    )
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Puts a text into a field, in place of what stands there, and looks whether it stands there.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn fill(&self, id: &str, text: &str) {
        let began = Instant::now();
        loop {
            let field = self.find(id);
            // A form that is drawn anew meanwhile takes the field away.
            let typed = self
                .page
                .try_clear(&field)
                .and_then(|()| self.page.try_type(&field, text));
            let value = self.page.run(
                "return document.querySelector(arguments[0])?.value ?? null",
                json!([css(id)]),
            );
            if typed.is_ok() && value == text {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{id} does not take the text: {typed:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Chooses from a menu by the option's value.
    ///
    /// # Panics
    /// When there is no such option.
    #[track_caller]
    pub fn choose(&self, id: &str, value: &str) {
        self.find(id);
        let chosen = self.page.run(
            "const [selector, value] = arguments;
             const menu = document.querySelector(selector);
             if (![...menu.options].some((option) => option.value === value))
               return [...menu.options].map((option) => option.value);
             menu.focus();
             menu.value = value;
             menu.dispatchEvent(new Event('input', { bubbles: true }));
             menu.dispatchEvent(new Event('change', { bubbles: true }));
             return true;",
            json!([css(id), value]),
        );
        assert_eq!(chosen, Value::Bool(true), "no option {value} in {id}");
    }

    /// Presses what opens a dialog, which has the focus as soon as it is there: what is typed goes into it.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn opens_dialog(&self, id: &str) {
        self.press(id);
        self.find("dialog");
        let within = self.page.run(
            "return !!document.activeElement?.closest(arguments[0])",
            json!([css("dialog")]),
        );
        assert_eq!(within, true, "the dialog that {id} opens has the focus");
    }

    /// The words of a control.
    #[track_caller]
    #[must_use]
    pub fn reads(&self, id: &str) -> String {
        self.page.text(&self.find(id))
    }

    /// An attribute of a control; empty when it has none.
    #[track_caller]
    #[must_use]
    pub fn attribute(&self, id: &str, name: &str) -> String {
        let read = self.page.run(
            "return document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? ''",
            json!([css(id), name]),
        );
        read.as_str().unwrap_or("").to_owned()
    }

    /// Waits until `seen`.
    ///
    /// # Panics
    /// When it does not come within `limit`.
    #[track_caller]
    pub fn waits(&self, limit: Duration, what: &str, mut seen: impl FnMut() -> bool) {
        let began = Instant::now();
        while !seen() {
            if began.elapsed() > limit {
                let thread = std::thread::current();
                let test = thread.name().unwrap_or("test").replace("::", "-");
                let file = screenshots().join(format!("failed-{test}.png"));
                self.page.screenshot().save(&file);
                panic!(
                    "not within {limit:?}: {what}; see {}; the page says:\n{}",
                    file.display(),
                    self.page.page_text()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Makes the first administrator of a new station, and is signed in as it.
    #[track_caller]
    pub fn makes_first_administrator(&self, login: &str, password: &str) {
        self.fill("login", login);
        self.fill("display-name", "Ada Administrator");
        self.fill("password", password);
        self.fill("password-again", password);
        self.press("sign-in");
        self.find("nav");
    }

    /// Signs in, without waiting for what comes of it.
    #[track_caller]
    pub fn tries_to_sign_in(&self, login: &str, password: &str) {
        self.fill("login", login);
        self.fill("password", password);
        self.press("sign-in");
    }

    /// Signs in.
    #[track_caller]
    pub fn signs_in(&self, login: &str, password: &str) {
        self.tries_to_sign_in(login, password);
        self.find("nav");
    }

    /// Adds a user, as an administrator.
    #[track_caller]
    pub fn adds_user(&self, login: &str, name: &str, role: &str, password: &str) {
        self.press("nav-5");
        self.press("settings-users");
        self.opens_dialog("add-user");
        self.fill("login", login);
        self.fill("display-name", name);
        self.choose("role", role);
        self.fill("password", password);
        if self.sees("password-again") {
            self.fill("password-again", password);
        }
        self.press("dialog-ok");
        self.waits(PATIENCE, "the dialog closes", || !self.sees("dialog"));
    }

    /// Registers a training patient in the form of the worklist.
    #[track_caller]
    pub fn registers_training_patient(&self, family: &str, given: &str, born: &str, number: &str) {
        self.press("nav-0");
        self.opens_dialog("new-patient");
        self.fill("family-name", family);
        self.fill("given-name", given);
        self.fill("birth-date", born);
        self.fill("hospital-number", number);
        self.press("training");
        self.press("dialog-ok");
        self.waits(PATIENCE, "the dialog closes", || !self.sees("dialog"));
    }

    /// Searches the worklist until a row of this patient is there.
    #[track_caller]
    pub fn finds_patient(&self, family: &str) {
        self.fill("worklist-search", family);
        self.find("row-start");
    }

    /// Searches the worklist until a row of this patient with a running session is there.
    #[track_caller]
    pub fn finds_running(&self, family: &str) {
        self.fill("worklist-search", family);
        self.find("row-watch");
    }

    /// Whether a control that stands there cannot be reached, by mouse or keyboard.
    #[must_use]
    pub fn find_inert(&self, id: &str) -> bool {
        self.page.run(
            "return !!document.querySelector(arguments[0])?.closest('[inert]')",
            json!([css(id)]),
        ) == true
    }

    /// Prepares and starts a session of a patient on the simulated headset.
    #[track_caller]
    pub fn starts_session(&self, family: &str) {
        self.prepares_session(family);
        self.press("start");
        self.waits(PATIENCE * 3, "the session records", || {
            self.attribute("rec", "data-recording") == "true"
        });
    }

    /// Prepares a session of a patient on the simulated headset, up to the button that starts it.
    #[track_caller]
    pub fn prepares_session(&self, family: &str) {
        self.press("nav-0");
        self.finds_patient(family);
        self.press("row-start");
        self.press_css("[data-testid='device'][data-id='simulated:headset']");
        self.press("unlimited");
    }

    /// Waits until the canvas shows live traces, and yields how many frames it has drawn.
    #[track_caller]
    pub fn sees_traces(&self) -> u64 {
        let frames = || {
            self.attribute("scope-twin", "data-frames")
                .parse()
                .unwrap_or(0_u64)
        };
        self.waits(PATIENCE, "traces", || {
            frames() > 0 && self.attribute("scope-twin", "data-newest-ns").len() > 15
        });
        frames()
    }

    /// Ends the recording and waits until the session has its report.
    #[track_caller]
    pub fn ends_session(&self) {
        self.press("end");
        self.press("dialog-ok");
        self.waits(PATIENCE * 2, "the recording ends", || {
            self.attribute("rec", "data-recording") != "true"
        });
        self.find("open-report");
    }
}

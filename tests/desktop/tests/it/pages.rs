//! Every page, light and dark: a picture that is kept, and what axe-core finds wrong for those who cannot see
//! or point.

use desktop_tests::{Bedside, PATIENCE, Person, Window, axe, css, screenshots};
use serde_json::json;

const PASSWORD: &str = "correct horse battery staple";

/// What axe-core finds on the page as it stands, one line each.
fn findings(window: &Window, axe: &str) -> Vec<String> {
    // Part of the driver's own script: the page's policy lets nobody else bring in code.
    window.page.run(
        &format!("if (!window.axe) {{ {axe} }} return !!window.axe"),
        json!([]),
    );
    let found = window.page.run_async(
        "const done = arguments[0];
         window.axe.run(document, { resultTypes: ['violations'],
             runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })
           .then((r) => done(r.violations.map((v) =>
               v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | '))),
             (e) => done(['axe failed: ' + e]));",
        json!([]),
    );
    found
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| line.as_str().unwrap_or("").to_owned())
        .collect()
}

#[test]
fn every_page_light_and_dark_is_kept_and_accessible() {
    let checker = axe();
    let bedside = Bedside::new();
    let window = bedside.open();
    let ada = Person { page: &window.page };
    let mut wrong: Vec<String> = Vec::new();
    let mut look = |name: &str| {
        for theme in ["dark", "light"] {
            let shown = window
                .page
                .run("return document.documentElement.dataset.theme", json!([]));
            assert_eq!(shown, theme, "{name}");
            std::thread::sleep(std::time::Duration::from_millis(400));
            let picture = window.page.screenshot();
            picture.save(&screenshots().join(format!("{name}-{theme}.png")));
            assert!(picture.ink() > 0.005, "{name} in {theme} is empty");
            if let Some(axe) = &checker {
                let found = findings(&window, axe);
                wrong.extend(found.iter().map(|line| format!("{name}, {theme}: {line}")));
            }
            // The program's own key for it, so that the canvas changes as well, and dialogs stay open.
            window.page.chord("\u{e009}", "d"); // Ctrl
        }
    };
    ada.find("login");
    if let Some(axe) = axe() {
        // What finds nothing anywhere may not be looking.
        window.page.run(
            "const image = document.createElement('img'); image.src = 'x.png'; image.id = 'flaw'; document.body.append(image)",
            json!([]),
        );
        let found = findings(&window, &axe);
        assert!(
            found.iter().any(|line| line.contains("image-alt")),
            "{found:?}"
        );
        window
            .page
            .run("document.getElementById('flaw').remove()", json!([]));
    }
    look("first-administrator");
    ada.makes_first_administrator("ada", PASSWORD);
    ada.adds_user("carl", "Carl Clinician", "clinician", PASSWORD);
    look("settings-users");
    ada.press("sign-out");
    ada.find("break-glass");
    look("sign-in");
    ada.signs_in("carl", PASSWORD);
    ada.registers_training_patient("Training", "Tilda", "1971-04-02", "00012345");
    ada.finds_patient("Training");
    look("worklist");
    ada.opens_dialog("new-patient");
    ada.find("family-name");
    look("new-patient");
    ada.press("dialog-close");
    ada.press("row-start");
    ada.press_css("[data-testid='device'][data-id='simulated:headset']");
    ada.press("measure");
    ada.waits(PATIENCE, "impedances", || {
        window.page.find(&css("electrode")).is_some()
    });
    look("prepare");
    ada.press("unlimited");
    ada.press("start");
    ada.waits(PATIENCE * 3, "the session records", || {
        ada.attribute("rec", "data-recording") == "true"
    });
    ada.sees_traces();
    std::thread::sleep(std::time::Duration::from_secs(10));
    look("session");
    ada.ends_session();
    ada.press("open-review");
    ada.sees_traces();
    look("review");
    ada.press("nav-3");
    ada.press_css("[data-testid='recordings'] [data-id] button");
    ada.find("report-frame");
    look("report");
    ada.press("nav-4");
    ada.find("ledger-table");
    look("ledger");
    ada.press("nav-5");
    look("settings");
    assert!(
        wrong.is_empty(),
        "{} findings:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

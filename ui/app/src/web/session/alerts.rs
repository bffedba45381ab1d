//! Quality of the channels and alerts. They are no alarms in the sense of IEC 60601-1-8.

use super::{Facts, Live};
use crate::format;
use crate::hotkeys::Action;
use crate::test_ids as id;
use crate::web::bridge;
use crate::web::view_bar::action_key;
use crate::words::{Text, codes, common, session as words, t};
use leptos::prelude::*;
use ui_types::AlertView;

fn grade(grade: &str) -> (&'static str, &'static str, Text) {
    match grade {
        "good" => ("▮", "good", words::QUALITY_GOOD),
        "poor" => ("▲", "warning", words::QUALITY_POOR),
        "stale" => ("○", "danger", words::QUALITY_STALE),
        _ => ("✕", "danger", words::QUALITY_UNUSABLE),
    }
}

/// One line a channel: name, sign, what was found.
pub(super) fn quality_strip(facts: &Facts) -> impl IntoView + use<> {
    let quality = facts.quality;
    view! {
        <section class="quality" aria-label=t(words::QUALITY)>
            <h2>{t(words::QUALITY)}</h2>
            {move || {
                let channels = quality.get().unwrap_or_default();
                if channels.is_empty() {
                    return view! { <p class="hint">{t(words::QUALITY_WAIT)}</p> }.into_any();
                }
                let line = |channel: ui_types::ChannelQuality| {
                    let (sign, class, word) = grade(&channel.grade);
                    let found: Vec<_> = channel.findings.iter().map(|finding| codes::word(finding, finding).to_owned()).collect();
                    let title = format!("{}: {} {}", channel.label, t(word), found.join(", "));
                    let said = if channel.grade == "good" { String::new() } else if found.is_empty() { t(word).to_owned() } else { found.join(", ") };
                    view! {
                        <li class=class data-id=channel.label.clone() data-grade=channel.grade.clone() title=title>
                            <span class="channel">{channel.label.clone()}</span>
                            <span aria-hidden="true">{sign}</span>
                            <span class="found">{said}</span>
                            <span class="unseen">{t(word)}</span>
                        </li>
                    }
                };
                view! { <ul data-testid=id::QUALITY tabindex="0" aria-label=t(words::QUALITY)>{channels.into_iter().map(line).collect_view()}</ul> }.into_any()
            }}
        </section>
    }
}

fn severity(severity: &str) -> (&'static str, &'static str, Text) {
    match severity {
        "critical" => ("✕", "danger", words::CRITICAL),
        "warning" => ("▲", "warning", words::WARNING),
        _ => ("●", "plain", words::INFO),
    }
}

/// Critical alerts that hold, by what they are about.
fn critical(alerts: &[AlertView]) -> Vec<String> {
    alerts
        .iter()
        .filter(|alert| alert.active && alert.severity == "critical")
        .map(|alert| {
            format!(
                "{}/{}",
                alert.channel.as_deref().unwrap_or_default(),
                alert.issue
            )
        })
        .collect()
}

/// Sounds when a critical alert comes that was not there before, unless muted or the patient is off the device.
pub(super) fn sound(live: Live, facts: &Facts) {
    let alerts = facts.alerts;
    let paused = live.memo(|view| view.paused.is_some());
    Effect::new(move |before: Option<Vec<String>>| {
        let now = alerts.with(|alerts| critical(alerts.as_deref().unwrap_or_default()));
        let quiet = live.muted.get_untracked() || paused.get_untracked() == Some(true);
        let new = before.is_some_and(|before| now.iter().any(|one| !before.contains(one)));
        if new && !quiet {
            bridge::beep();
        }
        now
    });
}

/// The list of alerts, what holds first.
pub(super) fn alert_list(live: Live, facts: &Facts) -> impl IntoView + use<> {
    let alerts = facts.alerts;
    let count = move || {
        alerts.with(|alerts| {
            alerts.as_ref().map_or(0, |alerts| {
                alerts.iter().filter(|alert| alert.active).count()
            })
        })
    };
    live.app.on_action(move |action, _| {
        let mine = *action == Action::Mute;
        if mine {
            live.muted.update(|muted| *muted = !*muted);
        }
        mine
    });
    view! {
        <section class="panel">
            <div class="row">
                <h2 class="grow">{t(words::ALERTS)}" "<span class="count">{count}</span></h2>
                <button type="button" data-testid=id::MUTE aria-pressed=move || live.muted.get().to_string()
                    on:click=move |_| live.muted.update(|muted| *muted = !*muted)>
                    {move || if live.muted.get() { t(words::UNMUTE) } else { t(words::MUTE) }}" "{action_key(&Action::Mute)}
                </button>
            </div>
            <ul class="alerts" data-testid=id::ALERTS aria-live="polite" aria-label=t(words::ALERTS) tabindex="0">
                {move || {
                    let mut all = alerts.get().unwrap_or_default();
                    if all.is_empty() {
                        return view! { <li class="hint">{t(words::NO_ALERTS)}</li> }.into_any();
                    }
                    all.sort_by_key(|alert| !alert.active);
                    all.into_iter().map(|alert| {
                        let (sign, class, word) = severity(&alert.severity);
                        let class = if alert.active { class } else { "over" };
                        let at = format::utc_ns(&alert.at).map_or_else(|| alert.at.clone(), |ns| format::clock(ns, bridge::zone_offset_min()));
                        view! {
                            <li class=class data-issue=alert.issue.clone() data-active=alert.active.to_string()>
                                <strong>{sign}" "{t(word)}</strong>" "<span class="number">{at}</span>" "
                                {alert.channel.clone().map(|channel| view! { <strong>{channel}" "</strong> })}
                                {alert.text.clone()}
                                {(!alert.active).then(|| format!(" ({})", t(words::ALERT_OVER)))}
                            </li>
                        }
                    }).collect_view().into_any()
                }}
            </ul>
            <p class="hint">{t(common::NO_ALARM)}</p>
        </section>
    }
}

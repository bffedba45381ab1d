//! Impedances on the head: each electrode by number, colour and shape.

use crate::electrode_positions::{Place, Room, arrange, place};
use crate::format;
use crate::test_ids as id;
use crate::words::{Text, fill, session as words, t};
use leptos::prelude::*;
use ui_types::ImpedanceView;

/// Word of a grade.
pub(crate) fn grade_word(grade: &str) -> Text {
    match grade {
        "good" => words::GRADE_GOOD,
        "acceptable" => words::GRADE_ACCEPTABLE,
        "bad" => words::GRADE_BAD,
        "bridge" => words::GRADE_BRIDGE,
        _ => words::GRADE_UNKNOWN,
    }
}

/// The drawing: the head's edge, 72 degrees from the vertex, is 0.8 of the scale from its middle; the ears
/// lie further out, and every electrode has room for its name and value.
const SCALE: f64 = 145.0;
const VIEW: &str = "-192 -152 384 304";

/// An electrode's shape: circle for good, square for acceptable, triangle for bad, diamond for a bridge,
/// an empty circle for not measured.
fn shape(grade: &str) -> AnyView {
    let class = format!("electrode {grade}");
    match grade {
        "good" => view! { <circle class=class r="13"/> }.into_any(),
        "acceptable" => {
            view! { <rect class=class x="-12" y="-12" width="24" height="24"/> }.into_any()
        }
        "bad" => view! { <polygon class=class points="0,-17 16,11 -16,11"/> }.into_any(),
        "bridge" => view! { <polygon class=class points="0,-16 16,0 0,16 -16,0"/> }.into_any(),
        _ => view! { <circle class="electrode unknown" r="13"/> }.into_any(),
    }
}

fn described(impedance: &ImpedanceView) -> String {
    fill(
        words::HEAD_MAP_ITEM,
        &[
            ("electrode", &impedance.electrode),
            ("value", &format::impedance(impedance.impedance_kohm)),
            ("grade", t(grade_word(&impedance.grade))),
        ],
    )
}

fn short_value(kohm: Option<f64>) -> String {
    match kohm {
        None => "–".to_owned(),
        Some(value) if value > 999.0 => ">999".to_owned(),
        Some(value) => format::number(value, usize::from(value < 10.0)),
    }
}

/// Shapes are 26 to 32 wide and high, names 10 high and up to 24 wide.
const ROOM: Room = Room {
    shape: 28.0 / SCALE,
    name_above: 12.0 / SCALE,
    name_beside: 26.0 / SCALE,
};

fn electrode(
    impedance: &ImpedanceView,
    at: Place,
    size: f64,
    beside: bool,
) -> impl IntoView + use<> {
    let name = if beside {
        view! { <text class="label beside" x="16" y="4">{impedance.electrode.clone()}</text> }
            .into_any()
    } else {
        view! { <text class="label" y="-17">{impedance.electrode.clone()}</text> }.into_any()
    };
    let moved = format!(
        "translate({:.1} {:.1}) scale({size:.2})",
        at.x * SCALE,
        at.y * SCALE
    );
    let title = described(impedance);
    view! {
            <g transform=moved data-testid="electrode" data-id=impedance.electrode.clone() data-grade=impedance.grade.clone()>
                <title>{title}</title>
                {shape(&impedance.grade)}
                {name}
                <text class=format!("value {}", impedance.grade) y=if impedance.grade == "bad" { "8" } else { "3" }>{short_value(impedance.impedance_kohm)}</text>
            </g>
    }
}

/// The head with its electrodes; what has no place on it stands below, and all of it once more in words.
pub(crate) fn head_map(
    impedances: Signal<Vec<ImpedanceView>>,
    limits: Signal<(f64, f64)>,
) -> impl IntoView {
    let legend = move || {
        let (good, acceptable) = limits.get();
        fill(
            words::LEGEND,
            &[
                ("good", &format::number(good, 1)),
                ("acceptable", &format::number(acceptable, 1)),
            ],
        )
    };
    let key = |grade: &'static str| {
        view! {
            <span class="key">
                <svg viewBox="-18 -18 36 36" width="18" height="18" aria-hidden="true">{shape(grade)}</svg>
                {t(grade_word(grade))}
            </span>
        }
    };
    view! {
        <figure class="head" data-testid=id::HEAD_MAP>
            <svg viewBox=VIEW role="img" aria-label=t(words::HEAD_MAP)>
                <circle class="scalp" r="116"/>
                <path class="scalp" d="M -11 -115.5 L 0 -132 L 11 -115.5"/>
                <path class="scalp" d="M -115.5 -14 Q -130 0 -115.5 14 M 115.5 -14 Q 130 0 115.5 14"/>
                {move || {
                    let all = impedances.get();
                    let placed: Vec<_> = all.iter().filter_map(|one| Some((one, place(&one.electrode)?))).collect();
                    let places: Vec<_> = placed.iter().map(|(_, at)| *at).collect();
                    let arranged = arrange(&places, ROOM);
                    placed.iter().zip(arranged.beside)
                        .map(|((one, at), beside)| electrode(one, *at, arranged.size, beside)).collect_view()
                }}
            </svg>
            {move || {
                let elsewhere: Vec<_> = impedances.get().iter().filter(|one| place(&one.electrode).is_none()).map(described).collect();
                (!elsewhere.is_empty()).then(|| view! { <p class="elsewhere"><strong>{t(words::ELSEWHERE)}": "</strong>{elsewhere.join("; ")}</p> })
            }}
            <figcaption>
                <span class="keys-row">{["good", "acceptable", "bad", "bridge", "unknown"].map(key).into_iter().collect_view()}</span>
                <span class="hint">{legend}</span>
            </figcaption>
            <ul class="unseen">{move || impedances.get().iter().map(|one| view! { <li>{described(one)}</li> }).collect_view()}</ul>
        </figure>
    }
}

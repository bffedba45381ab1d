//! The report's pictures: head map of impedances, spectra, excerpts of traces.

use crate::limits::{ECG_SENSITIVITY_UV_MM, MAX_TRACE_POINTS, MAX_TRACES, SPECTRUM_MAX_HZ};
use crate::model::{Excerpt, ImpedanceCheck, SpectrumCurve, Trace, TraceColour};
use crate::picture::{AMBER, Anchor, BLACK, BLUE, DARK_RED, GREEN, GREY, LIGHT, Picture, RED, Rgb};
use crate::text;
use signal::{Electrode, ElectrodePositions, ImpedanceGrade};

/// Points in a millimetre.
const PT_PER_MM: f32 = 72.0 / 25.4;

/// What a grade looks like: colour and shape say the same, so that neither is needed alone.
pub(crate) const fn grade_text(grade: ImpedanceGrade) -> &'static str {
    match grade {
        ImpedanceGrade::Good => "good",
        ImpedanceGrade::Acceptable => "acceptable",
        ImpedanceGrade::Bad => "bad",
        ImpedanceGrade::Bridge => "gel bridge?",
        ImpedanceGrade::Unknown => "not measured",
    }
}

/// The electrodes seen from above, nose up.
pub(crate) fn head_map(check: &ImpedanceCheck, width: f32) -> Picture {
    let radius = width * 0.37;
    let centre = (width / 2.0, width * 0.5);
    let alt = format!(
        "Head map of the impedances, {}: {} electrodes; the table beside it has the values",
        text::field(&check.title),
        check.values.len()
    );
    let mut picture = Picture::new(width, width * 1.0, alt);
    picture.circle(centre, radius, GREY, None);
    let nose = radius * 0.12;
    picture.line(
        vec![
            (centre.0 - nose, centre.1 - radius * 0.99),
            (centre.0, centre.1 - radius - nose),
            (centre.0 + nose, centre.1 - radius * 0.99),
        ],
        GREY,
        0.8,
    );
    let mut unplaced = Vec::new();
    for value in &check.values {
        let grade = check.limits.grade(value.impedance_kohm);
        let place = Electrode::parse(&value.electrode)
            .and_then(|electrode| ElectrodePositions::ten_ten().get(electrode));
        let Some(place) = place else {
            unplaced.push(value.electrode.as_str());
            continue;
        };
        let (x, y) = place.head_map();
        let at = (
            centre.0 + x as f32 * radius * 0.92,
            centre.1 - y as f32 * radius * 0.92,
        );
        electrode(&mut picture, at, grade, &text::field(&value.electrode));
    }
    if !unplaced.is_empty() {
        let names = text::field(&unplaced.join(", "));
        let at = (centre.0, width * 0.985);
        picture.text(
            at,
            5.5,
            &format!("not on the map: {names}"),
            Anchor::Middle,
            GREY,
        );
    }
    picture
}

fn electrode(picture: &mut Picture, (x, y): (f32, f32), grade: ImpedanceGrade, name: &str) {
    let r = 4.2;
    match grade {
        ImpedanceGrade::Good => picture.circle((x, y), r, GREEN, Some([0xd5, 0xee, 0xdc])),
        ImpedanceGrade::Acceptable => picture.area(
            vec![
                (x - r, y - r),
                (x + r, y - r),
                (x + r, y + r),
                (x - r, y + r),
            ],
            AMBER,
            [0xfb, 0xe7, 0xc6],
        ),
        ImpedanceGrade::Bad => picture.area(
            vec![(x, y - r * 1.3), (x + r * 1.2, y + r), (x - r * 1.2, y + r)],
            RED,
            [0xf8, 0xd4, 0xd1],
        ),
        ImpedanceGrade::Bridge => picture.area(
            vec![
                (x, y - r * 1.3),
                (x + r * 1.3, y),
                (x, y + r * 1.3),
                (x - r * 1.3, y),
            ],
            BLUE,
            [0xd4, 0xe0, 0xf5],
        ),
        ImpedanceGrade::Unknown => picture.circle((x, y), r, GREY, None),
    }
    picture.text((x, y + r + 5.6), 5.2, name, Anchor::Middle, BLACK);
}

/// Power spectral densities on a logarithmic scale.
pub(crate) fn spectra(curves: &[SpectrumCurve], width: f32) -> Picture {
    let height = width * 0.42;
    let (left, top, right, bottom) = (38.0, 8.0, width - 8.0, height - 26.0);
    let alt = format!(
        "Power spectral density of {} channels from 0 to {SPECTRUM_MAX_HZ} Hz, logarithmic; the table of band powers has the numbers",
        curves.len()
    );
    let mut picture = Picture::new(width, height, alt);
    let shown = |curve: &SpectrumCurve| -> Vec<(f64, f64)> {
        curve
            .hz
            .iter()
            .copied()
            .zip(curve.power.iter().copied())
            .filter(|(hz, power)| {
                (0.5..=SPECTRUM_MAX_HZ).contains(hz) && *power > 0.0 && power.is_finite()
            })
            .collect()
    };
    let all: Vec<f64> = curves
        .iter()
        .flat_map(|c| shown(c).into_iter().map(|(_, p)| p.log10()))
        .collect();
    let low = all
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min)
        .max(-4.0)
        .floor();
    let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
    let (low, high) = if low < high { (low, high) } else { (-2.0, 2.0) };
    let x = |hz: f64| left + (hz / SPECTRUM_MAX_HZ) as f32 * (right - left);
    let y = |log: f64| bottom - ((log - low) / (high - low)) as f32 * (bottom - top);
    let mut decade = low;
    while decade <= high {
        picture.line(vec![(left, y(decade)), (right, y(decade))], LIGHT, 0.5);
        let label = if decade >= 0.0 {
            format!("{:.0}", 10_f64.powf(decade))
        } else {
            format!("{}", 10_f64.powf(decade))
        };
        picture.text(
            (left - 4.0, y(decade) + 2.0),
            6.0,
            &label,
            Anchor::End,
            GREY,
        );
        decade += 1.0;
    }
    for hz in (0..=SPECTRUM_MAX_HZ as u32).step_by(5) {
        let at = x(f64::from(hz));
        picture.line(vec![(at, top), (at, bottom)], LIGHT, 0.5);
        picture.text(
            (at, bottom + 9.0),
            6.0,
            &hz.to_string(),
            Anchor::Middle,
            GREY,
        );
    }
    for curve in curves {
        let points = shown(curve)
            .into_iter()
            .map(|(hz, p)| (x(hz), y(p.log10().max(low))))
            .collect();
        picture.line(points, side_colour(&curve.label), 0.6);
    }
    picture.text(
        (left, bottom + 20.0),
        6.0,
        "µV²/Hz over Hz; left blue, right red, midline black",
        Anchor::Start,
        GREY,
    );
    picture
}

/// Odd numbers are left, even ones right (10-20 system).
fn side_colour(label: &str) -> Rgb {
    match label
        .chars()
        .rev()
        .find(char::is_ascii_digit)
        .and_then(|c| c.to_digit(10))
    {
        Some(digit) if digit % 2 == 1 => BLUE,
        Some(_) => RED,
        None => BLACK,
    }
}

/// Traces under the clinical rules: negative up, one vertical line a second, a scale bar of 50 µV and
/// 1 s, colours by chain, gaps hatched, blank derivations with their reason.
pub(crate) fn excerpt(excerpt: &Excerpt, width: f32, max_height: f32) -> Picture {
    let traces: Vec<&Trace> = excerpt.traces.iter().take(MAX_TRACES).collect();
    let spaces = traces
        .windows(2)
        .filter(|pair| pair[0].chain != pair[1].chain)
        .count();
    let (left, right) = (52.0, width - 6.0);
    let (top, foot) = (22.0, 34.0);
    let rows = traces.len() as f32 + spaces as f32 * 0.5;
    let row = ((max_height - top - foot) / rows.max(1.0)).clamp(8.0, 24.0);
    let height = top + row * rows + foot;
    let bottom = top + row * rows;
    let alt = format!(
        "{} traces over {} s from {}, montage {}, {} µV/mm, negative up{}; {} annotations and {} gaps",
        excerpt.traces.len(),
        text::number(excerpt.duration_s),
        text::field(&excerpt.start),
        text::field(&excerpt.montage),
        text::number(excerpt.sensitivity_uv_mm),
        ecg_words(excerpt),
        excerpt.annotations.len(),
        excerpt.gaps.len()
    );
    let mut picture = Picture::new(width, height, alt);
    let seconds = excerpt.duration_s.max(0.001);
    let x = |s: f64| left + finite(s / seconds).clamp(0.0, 1.0) as f32 * (right - left);
    for second in 0..=seconds.floor() as u32 {
        let at = x(f64::from(second));
        picture.line(
            vec![(at, top), (at, bottom)],
            LIGHT,
            if second % 5 == 0 { 0.9 } else { 0.5 },
        );
    }
    for (from, until) in &excerpt.gaps {
        hatch(&mut picture, (x(*from), x(*until)), (top, bottom));
    }
    let mut y = top + row / 2.0;
    for (i, trace) in traces.iter().enumerate() {
        if i > 0 && traces[i - 1].chain != trace.chain {
            y += row * 0.5;
        }
        let label = text::field(&trace.label);
        picture.text((left - 4.0, y + 2.0), 5.8, &label, Anchor::End, BLACK);
        match &trace.blank {
            Some(reason) => {
                let text = format!("blank: {}", text::field(reason));
                picture.text((left + 4.0, y + 2.0), 5.8, &text, Anchor::Start, GREY);
            }
            None => draw(&mut picture, trace, uv_mm_down(trace, excerpt), y, row, &x),
        }
        y += row;
    }
    for (at, text) in &excerpt.annotations {
        let at = x(*at);
        picture.line(vec![(at, top - 3.0), (at, bottom)], AMBER, 0.9);
        let short: String = text::field(text).chars().take(48).collect();
        picture.text((at + 1.5, top - 5.0), 6.2, &short, Anchor::Start, AMBER);
    }
    scale_bar(
        &mut picture,
        excerpt,
        (left, bottom),
        (right - left) / seconds as f32,
    );
    picture
}

/// `value`, or zero where a broken source gave no number.
const fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

fn hatch(picture: &mut Picture, (from, until): (f32, f32), (top, bottom): (f32, f32)) {
    if until <= from {
        return;
    }
    let frame = vec![(from, top), (until, top), (until, bottom), (from, bottom)];
    picture.area(frame, GREY, [0xf1, 0xf2, 0xf4]);
    let height = bottom - top;
    let mut at = from - height;
    while at < until {
        // The part of the slanted line that lies within the gap.
        let start = at.max(from);
        let end = (at + height).min(until);
        if end > start {
            picture.line(
                vec![(start, bottom - (start - at)), (end, bottom - (end - at))],
                LIGHT,
                0.6,
            );
        }
        at += 6.0;
    }
    if until - from > 20.0 {
        picture.text(
            ((from + until) / 2.0, top + 9.0),
            6.5,
            "gap",
            Anchor::Middle,
            GREY,
        );
    }
}

/// How an ECG is drawn, where an excerpt has one; empty otherwise.
pub(crate) fn ecg_words(excerpt: &Excerpt) -> String {
    let ecg = |trace: &Trace| trace.colour == TraceColour::Ecg && trace.blank.is_none();
    if !excerpt.traces.iter().any(ecg) {
        return String::new();
    }
    format!(
        ", ECG {} µV/mm and positive up",
        text::number(ECG_SENSITIVITY_UV_MM)
    )
}

/// Microvolts that a millimetre downward is worth: a derivation is negative up; an ECG is positive up, and has a
/// sensitivity of its own.
fn uv_mm_down(trace: &Trace, excerpt: &Excerpt) -> f64 {
    match trace.colour {
        TraceColour::Ecg => -ECG_SENSITIVITY_UV_MM,
        _ => excerpt.sensitivity_uv_mm.max(0.001),
    }
}

fn draw(
    picture: &mut Picture,
    trace: &Trace,
    uv_mm_down: f64,
    y: f32,
    row: f32,
    x: &impl Fn(f64) -> f32,
) {
    let colour = match trace.colour {
        TraceColour::Left => BLUE,
        TraceColour::Right => RED,
        TraceColour::Midline => BLACK,
        TraceColour::Ecg => DARK_RED,
        TraceColour::Other => GREY,
    };
    let per_uv = PT_PER_MM / uv_mm_down as f32;
    // A trace may overlap its neighbours as on paper, but not the page.
    let reach = row * 3.0;
    let place = |index: usize, uv: f32| {
        // Down is a greater y.
        (
            x(index as f64 / trace.rate_hz.max(1e-6)),
            y + (uv * per_uv).clamp(-reach, reach),
        )
    };
    let step = trace.values_uv.len().div_ceil(MAX_TRACE_POINTS / 2).max(1);
    let mut points = Vec::new();
    for (n, chunk) in trace.values_uv.chunks(step).enumerate() {
        if chunk.iter().any(|value| !value.is_finite()) {
            picture.line(std::mem::take(&mut points), colour, 0.45);
            continue;
        }
        let low = chunk.iter().copied().fold(f32::INFINITY, f32::min);
        let high = chunk.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        points.push(place(n * step, if n % 2 == 0 { low } else { high }));
        if step > 1 {
            points.push(place(
                n * step + step / 2,
                if n % 2 == 0 { high } else { low },
            ));
        }
    }
    picture.line(points, colour, 0.45);
}

fn scale_bar(picture: &mut Picture, excerpt: &Excerpt, (left, bottom): (f32, f32), pt_per_s: f32) {
    let height = 50.0 * PT_PER_MM / excerpt.sensitivity_uv_mm.max(0.001) as f32;
    let at = (left, bottom + 32.0);
    picture.line(
        vec![(at.0, at.1 - height.min(28.0)), at, (at.0 + pt_per_s, at.1)],
        BLACK,
        1.0,
    );
    let scale = if height > 28.0 {
        "bar cut; see µV/mm".to_owned()
    } else {
        "50 µV, 1 s".to_owned()
    };
    let text = format!("{scale} · negative up{} · 1 s grid", ecg_words(excerpt));
    picture.text(
        (at.0 + pt_per_s + 6.0, at.1 - 2.0),
        6.5,
        &text,
        Anchor::Start,
        BLACK,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Shape;

    fn trace(colour: TraceColour, uv: f32) -> Trace {
        Trace {
            label: "one".to_owned(),
            chain: String::new(),
            colour,
            rate_hz: 4.0,
            // At rest, then the wave: how far it lies from the rest is what counts.
            values_uv: vec![0.0, 0.0, uv, uv],
            blank: None,
        }
    }

    /// Millimetres upward from rest to wave of the trace with this colour.
    fn upward_mm(picture: &Picture, colour: Rgb) -> f32 {
        let line = picture.shapes.iter().find_map(|shape| match shape {
            Shape::Line {
                points, colour: of, ..
            } if *of == colour && points.len() == 4 => Some(points),
            _ => None,
        });
        let points = line.expect("the trace");
        (points[0].1 - points[3].1) / PT_PER_MM
    }

    #[test]
    fn eeg_is_negative_up_and_an_ecg_positive_up_at_its_own_sensitivity() {
        let drawn = Excerpt {
            title: String::new(),
            start: String::new(),
            duration_s: 1.0,
            montage: String::new(),
            filters: String::new(),
            sensitivity_uv_mm: 7.0,
            traces: vec![
                trace(TraceColour::Left, -35.0),
                trace(TraceColour::Ecg, 1_000.0),
            ],
            annotations: Vec::new(),
            gaps: Vec::new(),
        };
        let picture = excerpt(&drawn, 510.0, 560.0);
        assert!((upward_mm(&picture, BLUE) - 5.0).abs() < 1e-3);
        assert!((upward_mm(&picture, DARK_RED) - 10.0).abs() < 1e-3);
        assert!(
            picture.alt.contains("ECG 100 µV/mm and positive up"),
            "{}",
            picture.alt
        );
        let without = Excerpt {
            traces: vec![trace(TraceColour::Left, -35.0)],
            ..drawn
        };
        assert!(!excerpt(&without, 510.0, 560.0).alt.contains("ECG"));
    }
}

//! Displays: what can be chosen, and the messages of feeds and pages.

use super::{wire, word};
use crate::rpc::Calls;
use crate::serve::Shared;
use ui_types::feed::{Envelope, Message};
use ui_types::{
    AnnotationAdd, AnnotationMark, AnnotationReply, AnnotationSupersede, FilterChoice, GapMark,
    MontageChoice, RowView, StreamRows, ViewChoices, ViewChoicesReply, ViewDescription, ViewSpec,
};
use workstation::rooms::dsp::{FilterSettings, HFF_HZ, LFF_HZ, NOTCH_HZ};
use workstation::rooms::signal::{AnnotationId, AnnotationOrigin, ColourHint, Missing, UtcNanos};
use workstation::{FiltersByKind, MarkView, NewAnnotation, OpenGap, RowPlan, ViewMessage, limits};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, call: ViewChoices, _| async move {
            let choices = shared.workstation.view_choices(call.id.as_deref()).await;
            choices.map(choices_reply).map_err(wire)
        })
        .serve(|shared: Shared, call: AnnotationAdd, _| async move {
            let new = NewAnnotation {
                onset: UtcNanos(call.onset_utc_ns),
                duration_ns: call.duration_ns,
                text: call.text,
                code: call.code,
            };
            let added = shared.workstation.add_annotation(&call.id, new).await;
            added.map(annotation_reply).map_err(wire)
        })
        .serve(|shared: Shared, call: AnnotationSupersede, _| async move {
            let new = NewAnnotation {
                onset: UtcNanos(call.onset_utc_ns),
                duration_ns: call.duration_ns,
                text: call.text,
                code: call.code,
            };
            let old = AnnotationId(call.annotation);
            let added = shared.workstation.supersede_annotation(&call.id, old, new);
            added.await.map(annotation_reply).map_err(wire)
        })
}

const fn annotation_reply(id: AnnotationId) -> AnnotationReply {
    AnnotationReply { annotation: id.0 }
}

fn choices_reply(choices: workstation::ViewChoices) -> ViewChoicesReply {
    let montage = |offer: workstation::MontageOffer| MontageChoice {
        name: offer.name,
        title: offer.title,
        complete: count(offer.complete),
        rows: count(offer.rows),
    };
    ViewChoicesReply {
        montages: choices.montages.into_iter().map(montage).collect(),
        default_montage: choices.default_montage,
        lff_hz: LFF_HZ.to_vec(),
        hff_hz: HFF_HZ.to_vec(),
        notch_hz: NOTCH_HZ.to_vec(),
        default_filters: filters(choices.default_filters),
        sensitivity_uv_mm: limits::SENSITIVITIES_UV_MM.to_vec(),
        default_sensitivity_uv_mm: limits::DEFAULT_SENSITIVITY_UV_MM,
        page_s: limits::PAGES_S.to_vec(),
        default_page_s: limits::DEFAULT_PAGE_S,
    }
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// What to show, in the façade's terms.
pub(crate) fn spec(spec: ViewSpec) -> workstation::ViewSpec {
    let settings = |choice: FilterChoice| FilterSettings {
        lff_hz: choice.lff_hz,
        hff_hz: choice.hff_hz,
        notch_hz: choice.notch_hz,
    };
    workstation::ViewSpec {
        montage: spec.montage,
        filters: (spec.filters.into_iter())
            .map(|(kind, choice)| (kind, settings(choice)))
            .collect(),
    }
}

fn filters(by_kind: FiltersByKind) -> std::collections::BTreeMap<String, FilterChoice> {
    let choice = |settings: FilterSettings| FilterChoice {
        lff_hz: settings.lff_hz,
        hff_hz: settings.hff_hz,
        notch_hz: settings.notch_hz,
    };
    (by_kind.into_iter())
        .map(|(kind, settings)| (kind, choice(settings)))
        .collect()
}

/// A message as the wire has it.
pub(crate) fn message(message: ViewMessage) -> Message {
    match message {
        ViewMessage::Description(description) => Message::Description(describe(*description)),
        ViewMessage::Columns(columns) => Message::Envelope(Envelope {
            stream: columns.stream.0,
            rows: count(columns.rows),
            columns: count(columns.columns),
            first_column: columns.first_column,
            time_utc_ns: columns.time.0,
            column_ns: columns.column_ns,
            dropped: columns.dropped,
            history: columns.history,
            values: columns.values,
        }),
        ViewMessage::Gap(open) => Message::Gap(gap(&open)),
        ViewMessage::Mark(mark) => Message::Annotation(annotation(*mark)),
        ViewMessage::End => Message::End,
    }
}

fn describe(description: workstation::ViewDescription) -> ViewDescription {
    let row = |row: RowPlan| RowView {
        label: row.label,
        chain: row.chain,
        colour: match row.colour {
            ColourHint::Left => "left",
            ColourHint::Right => "right",
            ColourHint::Midline => "midline",
            ColourHint::Ecg => "ecg",
            ColourHint::Other => "other",
        }
        .to_owned(),
        kind: row.kind.to_owned(),
        unit: row.unit,
        inputs: row.inputs,
        blank: row.blank,
    };
    let stream = |stream: workstation::StreamRows| StreamRows {
        stream: stream.stream.0,
        name: stream.name,
        rate_hz: stream.rate_hz,
        rows: stream.rows.into_iter().map(row).collect(),
    };
    ViewDescription {
        montage: description.montage,
        montage_title: description.title,
        reference: description.reference,
        filters: filters(description.filters),
        filter_notes: description.notes,
        overview: description.overview,
        provenance: word(&description.provenance),
        begin_utc_ns: description.begin.0,
        end_utc_ns: description.end.0,
        zone_offset_min: description.zone.0 / 60,
        streams: description.streams.into_iter().map(stream).collect(),
    }
}

fn gap(open: &OpenGap) -> GapMark {
    let gap = &open.gap;
    GapMark {
        stream: gap.stream.0,
        from_utc_ns: gap.from.0,
        duration_ns: (!open.open).then(|| gap.until.nanos_since(gap.from)),
        missing: match gap.missing {
            Missing::Exact(count) => count.to_string(),
            Missing::Ambiguous { least, modulus } => format!("{least} + k × {modulus}"),
            Missing::Unknown => "unknown".to_owned(),
        },
        ambiguous: !matches!(gap.missing, Missing::Exact(_)),
        cause: word(&gap.cause),
    }
}

fn annotation(mark: MarkView) -> AnnotationMark {
    let annotation = mark.annotation;
    AnnotationMark {
        id: annotation.id.0,
        onset_utc_ns: annotation.onset.0,
        duration_ns: annotation.duration_ns,
        text: annotation.text,
        code: annotation.code,
        origin: match annotation.origin {
            AnnotationOrigin::Person => "person",
            AnnotationOrigin::Protocol | AnnotationOrigin::Program => "program",
            AnnotationOrigin::Device => "device",
            AnnotationOrigin::Source => "source",
        }
        .to_owned(),
        superseded_by: mark.superseded_by.map(|id| id.0),
    }
}

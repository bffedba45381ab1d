//! Pages into PDF/A-2a and PDF/UA-1: tagged, searchable, with its font embedded.

use crate::ReportError;
use crate::compose::{self, Sheet};
use crate::font::Fonts;
use crate::layout::{self, Node, Op, Pages, Role};
use crate::model::ReportContent;
use crate::picture::{Anchor, Rgb, Shape};
use krilla::SerializeSettings;
use krilla::color::rgb;
use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::document::Document;
use krilla::geom::{PathBuilder, Point, Rect, Transform};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, BBox, ContentTag, Identifier, SpanTag, TableHeaderScope, Tag, TagGroup,
    TagTree,
};
use krilla::text::TextDirection;
use std::num::NonZeroU16;

/// How strongly the watermark shows, of 1: legible, and everything under it as well.
const WATERMARK_OPACITY: f32 = 0.14;

/// The report as PDF. The same content gives the same bytes.
///
/// # Errors
/// [`ReportError::Font`] when the bundled font is damaged, [`ReportError::Pdf`] when the writer
/// refuses the document.
pub fn render_pdf(content: &ReportContent) -> Result<Vec<u8>, ReportError> {
    render(&compose::sheet(content))
}

pub(crate) fn render(sheet: &Sheet) -> Result<Vec<u8>, ReportError> {
    let fonts = Fonts::load()?;
    let pages = layout::lay_out(sheet, &fonts);
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|error| ReportError::Pdf(format!("{error:?}")))?;
    let settings = SerializeSettings {
        configuration,
        ..SerializeSettings::default()
    };
    let mut document = Document::new_with(settings);
    let mut leaves: Vec<Option<Identifier>> = vec![None; pages.leaves];
    for page in &pages.pages {
        let size = PageSettings::from_wh(pages.size.0, pages.size.1)
            .ok_or_else(|| ReportError::Pdf("page of no size".to_owned()))?;
        let mut target = document.start_page_with(size);
        let mut surface = target.surface();
        for op in page {
            draw(&mut surface, op, &fonts, &mut leaves);
        }
        surface.finish();
        target.finish();
    }
    document.set_tag_tree(tree(&pages, &mut leaves));
    document.set_outline(outline(&pages));
    document.set_metadata(metadata(sheet));
    document
        .finish()
        .map_err(|error| ReportError::Pdf(format!("{error:?}")))
}

fn metadata(sheet: &Sheet) -> Metadata {
    let created = time::OffsetDateTime::from_unix_timestamp(
        sheet.created_at.0.div_euclid(signal::NANOS_PER_S),
    )
    .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let date = DateTime::new(u16::try_from(created.year()).unwrap_or(1970))
        .month(u8::from(created.month()))
        .day(created.day())
        .hour(created.hour())
        .minute(created.minute())
        .second(created.second())
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    Metadata::new()
        .title(sheet.title.clone())
        .language("en".to_owned())
        .creator(sheet.software.clone())
        .creation_date(date)
        .document_id(sheet.document_id.clone())
}

fn outline(pages: &Pages) -> Outline {
    let mut outline = Outline::new();
    for node in &pages.tree {
        if let Node::Heading { title, page, y, .. } = node {
            let to = XyzDestination::new(*page, Point::from_xy(0.0, *y));
            outline.push_child(OutlineNode::new(title.clone(), to));
        }
    }
    outline
}

fn tree(pages: &Pages, leaves: &mut [Option<Identifier>]) -> TagTree {
    let mut tree = TagTree::new().with_lang(Some("en".to_owned()));
    for node in &pages.tree {
        if let Some(node) = group(node, leaves) {
            tree.push(node);
        }
    }
    tree
}

fn group(node: &Node, leaves: &mut [Option<Identifier>]) -> Option<krilla::tagging::Node> {
    let (mut group, children) = match node {
        // Each leaf has one parent: it is taken.
        Node::Leaf(number) => {
            return leaves
                .get_mut(*number)
                .and_then(Option::take)
                .map(Into::into);
        }
        Node::Heading {
            level,
            title,
            children,
            ..
        } => {
            let level = NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN);
            (TagGroup::new(Tag::Hn(level, Some(title.clone()))), children)
        }
        Node::Paragraph(children) => (TagGroup::new(Tag::P), children),
        Node::Table(children) => (TagGroup::new(Tag::Table), children),
        Node::Row(children) => (TagGroup::new(Tag::TR), children),
        Node::HeadCell(children) => (TagGroup::new(Tag::TH(TableHeaderScope::Column)), children),
        Node::Cell(children) => (TagGroup::new(Tag::TD), children),
        Node::Figure {
            alt,
            page,
            bounds,
            children,
        } => {
            let [x, y, w, h] = *bounds;
            let bounds = Rect::from_xywh(x, y, w, h).map(|rect| BBox::new(*page, rect));
            (
                TagGroup::new(Tag::Figure(Some(alt.clone())).with_bbox(bounds)),
                children,
            )
        }
    };
    for child in children {
        if let Some(child) = self::group(child, leaves) {
            group.push(child);
        }
    }
    Some(group.into())
}

fn draw(surface: &mut Surface<'_>, op: &Op, fonts: &Fonts, leaves: &mut [Option<Identifier>]) {
    let artifact = |kind| ContentTag::Artifact(Artifact::with_kind(kind));
    let texts = op
        .shapes
        .iter()
        .all(|shape| matches!(shape, Shape::Text { .. }));
    let tag = match op.role {
        Role::Leaf(_) if texts => ContentTag::Span(SpanTag::empty()),
        Role::Leaf(_) => ContentTag::Other,
        Role::Header => artifact(ArtifactType::Header),
        Role::Footer => artifact(ArtifactType::Footer),
        Role::Watermark => artifact(ArtifactType::Watermark),
        Role::Decoration => artifact(ArtifactType::Layout),
    };
    let identifier = surface.start_tagged(tag);
    if let Role::Leaf(number) = op.role
        && let Some(leaf) = leaves.get_mut(number)
    {
        *leaf = Some(identifier);
    }
    let watermark = op.role == Role::Watermark;
    for shape in &op.shapes {
        draw_shape(surface, shape, fonts, watermark);
    }
    surface.end_tagged();
}

fn fill([r, g, b]: Rgb, opacity: f32) -> Fill {
    Fill {
        paint: rgb::Color::new(r, g, b).into(),
        opacity: NormalizedF32::new(opacity).unwrap_or(NormalizedF32::ONE),
        rule: FillRule::default(),
    }
}

fn draw_shape(surface: &mut Surface<'_>, shape: &Shape, fonts: &Fonts, watermark: bool) {
    match shape {
        Shape::Line {
            points,
            colour,
            width,
            fill: inside,
        } => {
            let mut path = PathBuilder::new();
            let mut points = points.iter();
            if let Some((x, y)) = points.next() {
                path.move_to(*x, *y);
            }
            for (x, y) in points {
                path.line_to(*x, *y);
            }
            if inside.is_some() {
                path.close();
            }
            draw_path(surface, path, *colour, *width, *inside);
        }
        Shape::Circle {
            centre: (x, y),
            radius,
            stroke,
            fill,
        } => {
            // Four cubic curves; 0.5523 is the usual handle length for a quarter circle.
            let (r, k) = (*radius, *radius * 0.552_3);
            let mut path = PathBuilder::new();
            path.move_to(x + r, *y);
            path.cubic_to(x + r, y + k, x + k, y + r, *x, y + r);
            path.cubic_to(x - k, y + r, x - r, y + k, x - r, *y);
            path.cubic_to(x - r, y - k, x - k, y - r, *x, y - r);
            path.cubic_to(x + k, y - r, x + r, y - k, x + r, *y);
            path.close();
            draw_path(surface, path, *stroke, 0.6, *fill);
        }
        Shape::Text {
            at: (x, y),
            size,
            text,
            anchor,
            colour,
            bold,
        } => {
            let face = fonts.face(*bold);
            let width = face.width(text, *size);
            let left = match anchor {
                Anchor::Start => *x,
                Anchor::Middle => x - width / 2.0,
                Anchor::End => x - width,
            };
            if text.trim().is_empty() {
                return;
            }
            let opacity = if watermark { WATERMARK_OPACITY } else { 1.0 };
            surface.set_stroke(None);
            surface.set_fill(Some(fill(*colour, opacity)));
            if watermark {
                surface.push_transform(&Transform::from_rotate_at(-50.0, *x, *y));
            }
            let start = Point::from_xy(left, *y);
            surface.draw_text(
                start,
                face.font.clone(),
                *size,
                text,
                false,
                TextDirection::LeftToRight,
            );
            if watermark {
                surface.pop();
            }
        }
    }
}

fn draw_path(
    surface: &mut Surface<'_>,
    path: PathBuilder,
    stroke: Rgb,
    width: f32,
    inside: Option<Rgb>,
) {
    let Some(path) = path.finish() else {
        return;
    };
    surface.set_fill(inside.map(|colour| fill(colour, 1.0)));
    let [r, g, b] = stroke;
    surface.set_stroke(Some(Stroke {
        paint: rgb::Color::new(r, g, b).into(),
        width,
        ..Stroke::default()
    }));
    surface.draw_path(&path);
}

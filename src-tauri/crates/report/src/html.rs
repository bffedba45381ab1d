//! The report as one HTML file: no scripts, nothing loaded from elsewhere, everything escaped.

use crate::compose::{self, Block, Table};
use crate::model::{Paper, ReportContent};
use crate::picture::{Anchor, Picture, Rgb, Shape};
use std::fmt::Write as _;

const STYLE: &str = "body{font:14px/1.45 'IBM Plex Sans',system-ui,sans-serif;color:#1a1a1a;max-width:52rem;margin:2rem auto;padding:0 1rem;\
font-variant-numeric:tabular-nums}h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem;border-bottom:1px solid #d9dde1}\
table{border-collapse:collapse;width:100%;font-size:.9em}caption{text-align:left;color:#5f666d;padding:.2rem 0}\
th,td{text-align:left;padding:.15rem .5rem;border-bottom:1px solid #d9dde1;vertical-align:top;overflow-wrap:anywhere}\
.n{text-align:right;white-space:nowrap}dl{display:grid;grid-template-columns:12rem 1fr;margin:.3rem 0}dt{color:#5f666d}\
dd{margin:0;overflow-wrap:anywhere}svg{max-width:100%;height:auto}figure{margin:.5rem 0}.mark{color:#b3261e;font-weight:600}\
.stamp{position:fixed;inset:40% 0 auto;text-align:center;font-size:4rem;color:#b3261e;opacity:.13;transform:rotate(-28deg);pointer-events:none}\
header p,footer{color:#5f666d}.sign{border-top:1px solid #1a1a1a;width:20rem;margin-top:3rem}";

/// `text` with everything that HTML reads as markup escaped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `text` escaped, and kept from turning the direction of what stands around it.
fn isolated(text: &str) -> String {
    format!("<bdi>{}</bdi>", escape(text))
}

/// The report as one self-contained HTML document in UTF-8.
#[must_use]
pub fn render_html(content: &ReportContent) -> String {
    let title = escape(&compose::title(content));
    let paper = match content.paper {
        Paper::A4 => "A4",
        Paper::Letter => "letter",
    };
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<title>{title}</title>\n<style>@page{{size:{paper};margin:15mm}}{STYLE}</style>\n</head>\n<body>\n"
    );
    if let Some(mark) = content.provenance.watermark() {
        let _ = writeln!(
            out,
            "<div class=\"stamp\" aria-hidden=\"true\">{}</div>",
            escape(mark)
        );
    }
    let institution = crate::text::field(&content.institution);
    let _ = writeln!(
        out,
        "<header>\n<p>{}</p>\n<h1>{title}</h1>\n<p>{}</p>\n</header>\n<main>",
        isolated(&institution),
        isolated(&compose::banner(content))
    );
    for block in compose::compose(content) {
        write_block(&mut out, &block);
    }
    let _ = write!(
        out,
        "</main>\n<footer><p>{}</p></footer>\n</body>\n</html>\n",
        escape(compose::NO_DIAGNOSIS)
    );
    out
}

// Writing to a String cannot fail.
fn write_block(out: &mut String, block: &Block) {
    match block {
        Block::Heading(text) => {
            let _ = writeln!(out, "<h2>{}</h2>", escape(text));
        }
        Block::Paragraph { text, bold } => {
            let class = if *bold { " class=\"mark\"" } else { "" };
            let _ = writeln!(out, "<p{class}>{}</p>", isolated(text));
        }
        Block::Facts(facts) => {
            out.push_str("<dl>\n");
            for (label, value) in facts {
                let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", isolated(label), isolated(value));
            }
            out.push_str("</dl>\n");
        }
        Block::Table(table) => write_table(out, table),
        Block::Figure(picture) => write_picture(out, picture),
        Block::Unsigned => out.push_str(
            "<p class=\"mark\">Draft: not signed.</p>\n<p class=\"sign\">Name, date, signature</p>\n",
        ),
    }
}

fn write_table(out: &mut String, table: &Table) {
    let _ = writeln!(
        out,
        "<table>\n<caption>{}</caption>\n<thead><tr>",
        isolated(&table.caption)
    );
    for (name, _, right) in &table.columns {
        let class = if *right { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", escape(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str(if row.bold {
            "<tr class=\"mark\">"
        } else {
            "<tr>"
        });
        for ((_, _, right), cell) in table.columns.iter().zip(&row.cells) {
            let class = if *right { " class=\"n\"" } else { "" };
            let _ = write!(out, "<td{class}>{}</td>", isolated(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn colour([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn write_picture(out: &mut String, picture: &Picture) {
    let alt = escape(&picture.alt);
    let _ = writeln!(
        out,
        "<figure><svg role=\"img\" aria-label=\"{alt}\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\">",
        w = picture.width,
        h = picture.height
    );
    for shape in &picture.shapes {
        match shape {
            Shape::Line {
                points,
                colour: stroke,
                width,
                fill,
            } => {
                let name = if fill.is_some() {
                    "polygon"
                } else {
                    "polyline"
                };
                let _ = write!(out, "<{name} points=\"");
                for (x, y) in points {
                    let _ = write!(out, "{x:.2},{y:.2} ");
                }
                let fill = fill.map_or_else(|| "none".to_owned(), colour);
                let _ = writeln!(
                    out,
                    "\" fill=\"{fill}\" stroke=\"{}\" stroke-width=\"{width}\"/>",
                    colour(*stroke)
                );
            }
            Shape::Circle {
                centre,
                radius,
                stroke,
                fill,
            } => {
                let fill = fill.map_or_else(|| "none".to_owned(), colour);
                let _ = writeln!(
                    out,
                    "<circle cx=\"{:.2}\" cy=\"{:.2}\" r=\"{radius:.2}\" fill=\"{fill}\" stroke=\"{}\" stroke-width=\"0.6\"/>",
                    centre.0,
                    centre.1,
                    colour(*stroke)
                );
            }
            Shape::Text {
                at,
                size,
                text,
                anchor,
                colour: fill,
                bold,
            } => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                let weight = if *bold { " font-weight=\"600\"" } else { "" };
                let _ = writeln!(
                    out,
                    "<text x=\"{:.2}\" y=\"{:.2}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{}\"{weight}>{}</text>",
                    at.0,
                    at.1,
                    colour(*fill),
                    escape(text)
                );
            }
        }
    }
    out.push_str("</svg></figure>\n");
}

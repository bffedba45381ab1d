//! Blocks into pages: lines, columns and page breaks, and the tree of what they mean.

use crate::compose::{Block, Row, Sheet, Table};
use crate::font::Fonts;
use crate::limits::{BODY_PT, MARGIN_PT, TABLE_PT};
use crate::model::Paper;
use crate::picture::{Anchor, BLACK, GREY, LIGHT, Picture, RED, Rgb, Shape};

/// What a drawn thing is to a reader that cannot see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the tree, under this number.
    Leaf(usize),
    /// Repeated at the top of each page.
    Header,
    /// Repeated at its foot.
    Footer,
    /// Across the page.
    Watermark,
    /// Rules and the like.
    Decoration,
}

/// Shapes drawn together.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) role: Role,
    pub(crate) shapes: Vec<Shape>,
}

/// A node of the tree.
#[derive(Debug)]
pub(crate) enum Node {
    Leaf(usize),
    Heading {
        level: u16,
        title: String,
        page: usize,
        y: f32,
        children: Vec<Node>,
    },
    Paragraph(Vec<Node>),
    Table(Vec<Node>),
    Row(Vec<Node>),
    HeadCell(Vec<Node>),
    Cell(Vec<Node>),
    Figure {
        alt: String,
        page: usize,
        bounds: [f32; 4],
        children: Vec<Node>,
    },
}

/// The report as pages of shapes.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) size: (f32, f32),
    pub(crate) pages: Vec<Vec<Op>>,
    pub(crate) tree: Vec<Node>,
    pub(crate) leaves: usize,
}

/// Room that a page's header and foot take, points.
const HEAD_PT: f32 = 22.0;
const FOOT_PT: f32 = 26.0;
/// Line height over size.
const LEADING: f32 = 1.35;

struct Layout<'a> {
    fonts: &'a Fonts,
    out: Pages,
    y: f32,
}

/// Lays a document out.
pub(crate) fn lay_out(sheet: &Sheet, fonts: &Fonts) -> Pages {
    let size = match sheet.paper {
        Paper::A4 => (595.28, 841.89),
        Paper::Letter => (612.0, 792.0),
    };
    let mut layout = Layout {
        fonts,
        out: Pages {
            size,
            pages: vec![Vec::new()],
            tree: Vec::new(),
            leaves: 0,
        },
        y: MARGIN_PT + HEAD_PT,
    };
    if !sheet.institution.trim().is_empty() {
        layout.paragraph(&sheet.institution, 9.0, false, GREY);
    }
    layout.heading(&sheet.title, 1, 17.0);
    let blocks = &sheet.blocks;
    for (n, block) in blocks.iter().enumerate() {
        layout.keep_together(&blocks[n..]);
        layout.block(block);
    }
    layout.furniture(sheet);
    layout.out
}

impl Layout<'_> {
    fn width(&self) -> f32 {
        self.out.size.0 - 2.0 * MARGIN_PT
    }

    fn bottom(&self) -> f32 {
        self.out.size.1 - MARGIN_PT - FOOT_PT
    }

    fn page(&self) -> usize {
        self.out.pages.len() - 1
    }

    fn leaf(&mut self, shapes: Vec<Shape>) -> Node {
        let number = self.out.leaves;
        self.out.leaves += 1;
        self.push(Role::Leaf(number), shapes);
        Node::Leaf(number)
    }

    fn push(&mut self, role: Role, shapes: Vec<Shape>) {
        if let Some(page) = self.out.pages.last_mut() {
            page.push(Op { role, shapes });
        }
    }

    /// Begins a page unless `height` more points fit on this one.
    fn room(&mut self, height: f32) {
        let top = MARGIN_PT + HEAD_PT;
        if self.y + height > self.bottom() && self.y > top + 1.0 {
            self.out.pages.push(Vec::new());
            self.y = top;
        }
    }

    /// Begins a page where the heading and paragraphs that come next would part from the picture
    /// that they introduce, or from the beginning of their table.
    fn keep_together(&mut self, blocks: &[Block]) {
        let mut height = 0.0;
        for block in blocks {
            height += match block {
                Block::Heading(_) => 24.0,
                Block::Paragraph { text, bold } => {
                    let lines = self
                        .fonts
                        .face(*bold)
                        .wrap(text, BODY_PT, self.width())
                        .len();
                    lines as f32 * BODY_PT * LEADING + 4.0
                }
                Block::Figure(picture) => {
                    let scale = (self.width() / picture.width).min(1.0);
                    height += picture.height * scale + 8.0;
                    break;
                }
                Block::Table(_) => TABLE_PT * 5.0,
                Block::Facts(facts) => facts.len().min(8) as f32 * BODY_PT * LEADING,
                Block::Unsigned => 90.0,
            };
            if !matches!(block, Block::Heading(_) | Block::Paragraph { .. }) {
                break;
            }
        }
        let page = self.bottom() - MARGIN_PT - HEAD_PT;
        if height < page {
            self.room(height);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(text) => self.heading(text, 2, 12.0),
            Block::Paragraph { text, bold } => {
                self.paragraph(text, BODY_PT, *bold, if *bold { RED } else { BLACK });
            }
            Block::Facts(facts) => self.facts(facts),
            Block::Table(table) => self.table(table),
            Block::Figure(picture) => self.figure(picture),
            Block::Unsigned => self.unsigned(),
        }
    }

    fn heading(&mut self, text: &str, level: u16, size: f32) {
        self.room(size * 5.0);
        self.y += size * 0.6;
        let (page, top) = (self.page(), self.y);
        let children = self.lines(text, (MARGIN_PT, self.width()), size, true, BLACK);
        self.y += size * 0.2;
        let title = text.to_owned();
        self.out.tree.push(Node::Heading {
            level,
            title,
            page,
            y: top,
            children,
        });
    }

    fn paragraph(&mut self, text: &str, size: f32, bold: bool, colour: Rgb) {
        let children = self.lines(text, (MARGIN_PT, self.width()), size, bold, colour);
        self.y += size * 0.35;
        self.out.tree.push(Node::Paragraph(children));
    }

    /// Wrapped lines from `x`, each on the page it falls on.
    fn lines(
        &mut self,
        text: &str,
        (x, width): (f32, f32),
        size: f32,
        bold: bool,
        colour: Rgb,
    ) -> Vec<Node> {
        let lines = self.fonts.face(bold).wrap(text, size, width);
        lines
            .into_iter()
            .map(|line| {
                self.room(size * LEADING);
                self.y += size * LEADING;
                let shape = label(
                    line,
                    (x, self.y - size * 0.3),
                    size,
                    bold,
                    colour,
                    Anchor::Start,
                );
                self.leaf(vec![shape])
            })
            .collect()
    }

    fn facts(&mut self, facts: &[(String, String)]) {
        let left = 118.0;
        for (name, value) in facts {
            self.room(BODY_PT * LEADING);
            let (page, top) = (self.page(), self.y);
            let mut children = self.lines(name, (MARGIN_PT, left - 8.0), BODY_PT, false, GREY);
            let after = self.y;
            if self.page() == page {
                self.y = top;
            }
            let width = self.width() - left;
            children.extend(self.lines(value, (MARGIN_PT + left, width), BODY_PT, false, BLACK));
            if self.page() == page {
                self.y = self.y.max(after);
            }
            self.out.tree.push(Node::Paragraph(children));
        }
        self.y += 4.0;
    }

    fn table(&mut self, table: &Table) {
        self.room(TABLE_PT * 5.0);
        self.y += 2.0;
        let head = Row {
            cells: table
                .columns
                .iter()
                .map(|(name, ..)| name.clone())
                .collect(),
            bold: true,
        };
        let mut rows = vec![self.row(table, &head, true, true)];
        for row in &table.rows {
            let height = self.row_height(table, row);
            if self.y + height > self.bottom() {
                self.room(f32::INFINITY);
                // The header stands again on each page, but only once in the tree.
                self.row(table, &head, true, false);
            }
            rows.push(self.row(table, row, false, true));
        }
        self.y += 6.0;
        self.out.tree.push(Node::Table(rows));
    }

    fn cells(&self, table: &Table, row: &Row) -> Vec<Vec<String>> {
        let total: f32 = table.columns.iter().map(|(_, share, _)| share).sum();
        let face = self.fonts.face(row.bold);
        table
            .columns
            .iter()
            .zip(&row.cells)
            .map(|((_, share, _), cell)| {
                face.wrap(cell, TABLE_PT, self.width() * share / total - 6.0)
            })
            .collect()
    }

    fn row_height(&self, table: &Table, row: &Row) -> f32 {
        let lines = self
            .cells(table, row)
            .iter()
            .map(Vec::len)
            .max()
            .unwrap_or(1);
        lines as f32 * TABLE_PT * LEADING + 3.0
    }

    fn row(&mut self, table: &Table, row: &Row, head: bool, tagged: bool) -> Node {
        let total: f32 = table.columns.iter().map(|(_, share, _)| share).sum();
        let cells = self.cells(table, row);
        let height = self.row_height(table, row);
        let colour = match (head, row.bold) {
            (true, _) => GREY,
            (false, true) => RED,
            (false, false) => BLACK,
        };
        let mut x = MARGIN_PT;
        let mut nodes = Vec::new();
        for ((_, share, right), lines) in table.columns.iter().zip(cells) {
            let width = self.width() * share / total;
            let shapes: Vec<Shape> = lines
                .into_iter()
                .enumerate()
                .map(|(n, line)| {
                    let y = self.y + (n as f32 + 1.0) * TABLE_PT * LEADING - TABLE_PT * 0.3;
                    let (at, anchor) = if *right {
                        (x + width - 6.0, Anchor::End)
                    } else {
                        (x, Anchor::Start)
                    };
                    label(line, (at, y), TABLE_PT, row.bold, colour, anchor)
                })
                .collect();
            if tagged {
                let leaf = vec![self.leaf(shapes)];
                nodes.push(if head {
                    Node::HeadCell(leaf)
                } else {
                    Node::Cell(leaf)
                });
            } else {
                self.push(Role::Decoration, shapes);
            }
            x += width;
        }
        self.y += height;
        let rule = Shape::Line {
            points: vec![
                (MARGIN_PT, self.y - 1.0),
                (MARGIN_PT + self.width(), self.y - 1.0),
            ],
            colour: if head { GREY } else { LIGHT },
            width: 0.4,
            fill: None,
        };
        self.push(Role::Decoration, vec![rule]);
        Node::Row(nodes)
    }

    fn figure(&mut self, picture: &Picture) {
        let scale = (self.width() / picture.width).min(1.0);
        let (width, height) = (picture.width * scale, picture.height * scale);
        self.room(height + 6.0);
        let x = MARGIN_PT;
        let shapes = picture
            .shapes
            .iter()
            .map(|shape| moved(shape, (x, self.y), scale, self.fonts))
            .collect();
        let bounds = [x, self.y, width, height];
        let child = self.leaf(shapes);
        self.out.tree.push(Node::Figure {
            alt: picture.alt.clone(),
            page: self.page(),
            bounds,
            children: vec![child],
        });
        self.y += height + 8.0;
    }

    fn unsigned(&mut self) {
        self.room(80.0);
        self.paragraph("Draft: not signed.", BODY_PT, true, RED);
        self.y += 34.0;
        let rule = Shape::Line {
            points: vec![(MARGIN_PT, self.y), (MARGIN_PT + 220.0, self.y)],
            colour: BLACK,
            width: 0.6,
            fill: None,
        };
        self.push(Role::Decoration, vec![rule]);
        self.paragraph("Name, date, signature", TABLE_PT, false, GREY);
    }

    /// Header, foot and watermark of every page, now that their number is known.
    fn furniture(&mut self, sheet: &Sheet) {
        let (width, height) = self.out.size;
        let count = self.out.pages.len();
        let banner = self.short(&sheet.banner, width - 2.0 * MARGIN_PT - 70.0);
        let made = crate::text::field(&format!("{} · {}", sheet.software, sheet.created));
        let made = self.short(&made, width - 2.0 * MARGIN_PT);
        let mark = sheet.watermark;
        for (n, page) in self.out.pages.iter_mut().enumerate() {
            let top = MARGIN_PT + 8.0;
            let foot = height - MARGIN_PT - 4.0;
            let rule = |y| Shape::Line {
                points: vec![(MARGIN_PT, y), (width - MARGIN_PT, y)],
                colour: LIGHT,
                width: 0.6,
                fill: None,
            };
            let number = format!("page {} of {count}", n + 1);
            let head = vec![
                label(
                    banner.clone(),
                    (MARGIN_PT, top),
                    8.0,
                    true,
                    BLACK,
                    Anchor::Start,
                ),
                label(
                    number,
                    (width - MARGIN_PT, top),
                    8.0,
                    false,
                    GREY,
                    Anchor::End,
                ),
                rule(top + 5.0),
            ];
            let note = "No diagnostic conclusion is drawn. Alerts are no alarms in the sense of IEC 60601-1-8.";
            let feet = vec![
                rule(foot - 20.0),
                label(
                    made.clone(),
                    (MARGIN_PT, foot - 10.0),
                    7.0,
                    false,
                    GREY,
                    Anchor::Start,
                ),
                label(
                    note.to_owned(),
                    (MARGIN_PT, foot),
                    7.0,
                    false,
                    GREY,
                    Anchor::Start,
                ),
            ];
            page.push(Op {
                role: Role::Header,
                shapes: head,
            });
            page.push(Op {
                role: Role::Footer,
                shapes: feet,
            });
            if let Some(mark) = mark {
                let at = (width / 2.0, height / 2.0);
                let text = label(mark.to_owned(), at, 46.0, true, RED, Anchor::Middle);
                page.push(Op {
                    role: Role::Watermark,
                    shapes: vec![text],
                });
            }
        }
    }

    /// The first line of `text` within `width`, with '…' where there is more.
    fn short(&self, text: &str, width: f32) -> String {
        let mut lines = self.fonts.bold.wrap(text, 8.0, width - 8.0).into_iter();
        let first = lines.next().unwrap_or_default();
        if lines.next().is_some() {
            format!("{first}…")
        } else {
            first
        }
    }
}

fn label(
    text: String,
    at: (f32, f32),
    size: f32,
    bold: bool,
    colour: Rgb,
    anchor: Anchor,
) -> Shape {
    Shape::Text {
        at,
        size,
        text,
        anchor,
        colour,
        bold,
    }
}

/// A picture's shape on the page.
fn moved(shape: &Shape, (dx, dy): (f32, f32), scale: f32, fonts: &Fonts) -> Shape {
    let place = |(x, y): (f32, f32)| (x * scale + dx, y * scale + dy);
    match shape {
        Shape::Line {
            points,
            colour,
            width,
            fill,
        } => Shape::Line {
            points: points.iter().map(|point| place(*point)).collect(),
            colour: *colour,
            width: width * scale,
            fill: *fill,
        },
        Shape::Circle {
            centre,
            radius,
            stroke,
            fill,
        } => Shape::Circle {
            centre: place(*centre),
            radius: radius * scale,
            stroke: *stroke,
            fill: *fill,
        },
        Shape::Text {
            at,
            size,
            text,
            anchor,
            colour,
            bold,
        } => Shape::Text {
            at: place(*at),
            size: size * scale,
            text: fonts.face(*bold).printable(text),
            anchor: *anchor,
            colour: *colour,
            bold: *bold,
        },
    }
}

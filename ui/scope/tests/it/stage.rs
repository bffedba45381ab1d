//! A canvas on a screen of a given density, and what reaches the graphics side.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use egui::{Color32, Pos2, Shape, TextureId, TexturesDelta, vec2};
use egui_kittest::{Harness, TestRenderer};
use scope::Scope;
use ui_types::{ScopeEvent, ScopeSettings};

/// An image and its width.
#[derive(Clone, Default)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) pixels: Vec<Color32>,
}

/// Keeps textures as a graphics card would.
#[derive(Clone, Default)]
struct Graphics(Rc<RefCell<HashMap<TextureId, Picture>>>);

impl TestRenderer for Graphics {
    fn handle_delta(&mut self, delta: &mut TexturesDelta) {
        let mut pictures = self.0.borrow_mut();
        for (id, changes) in delta.set.drain() {
            for change in changes {
                let egui::ImageData::Color(image) = &change.image;
                let picture = pictures.entry(id).or_default();
                match change.pos {
                    None => {
                        picture.width = image.size[0];
                        picture.pixels.clone_from(&image.pixels);
                    }
                    Some([left, top]) => {
                        for y in 0..image.size[1] {
                            let to = (top + y) * picture.width + left;
                            let from = y * image.size[0];
                            picture.pixels[to..to + image.size[0]]
                                .copy_from_slice(&image.pixels[from..from + image.size[0]]);
                        }
                    }
                }
            }
        }
        for id in delta.free.drain() {
            pictures.remove(&id);
        }
    }
}

/// The canvas and the clock it is shown.
pub(crate) struct Stage {
    pub(crate) harness: Harness<'static, (Scope, f64)>,
    graphics: Graphics,
}

impl Stage {
    /// A canvas of 1,000 × 700 CSS pixels at a density.
    pub(crate) fn new(ppp: f32, settings: ScopeSettings) -> Self {
        Self::of_size(1_000.0, 700.0, ppp, settings)
    }

    pub(crate) fn of_size(width: f32, height: f32, ppp: f32, settings: ScopeSettings) -> Self {
        let graphics = Graphics::default();
        let harness = Harness::builder()
            .with_size(vec2(width, height))
            .with_pixels_per_point(ppp)
            .with_step_dt(1.0 / 60.0)
            .with_context_setup(|ctx| ctx.set_fonts(scope::fonts()))
            .renderer(graphics.clone())
            .build_ui_state(
                |ui, (scope, now_s): &mut (Scope, f64)| scope.ui(ui, *now_s),
                (Scope::new(settings), 0.0),
            );
        Self { harness, graphics }
    }

    pub(crate) fn scope(&mut self) -> &mut Scope {
        &mut self.harness.state_mut().0
    }

    /// Passes time and paints a frame.
    pub(crate) fn frame(&mut self) {
        self.harness.state_mut().1 += 0.05;
        self.harness.step();
    }

    /// Bytes of a feed, at the stage's clock.
    pub(crate) fn push(&mut self, generation: u32, bytes: &[u8]) {
        let (scope, now_s) = self.harness.state_mut();
        scope.push(generation, bytes, *now_s);
    }

    pub(crate) fn begin_feed(&mut self, generation: u32) {
        let (scope, now_s) = self.harness.state_mut();
        scope.begin_feed(generation, *now_s);
    }

    pub(crate) fn events(&mut self) -> Vec<ScopeEvent> {
        self.scope().take_events().collect()
    }

    /// Every text painted, with where it stands.
    pub(crate) fn texts(&self) -> Vec<(String, Pos2)> {
        fn collect(shape: &Shape, found: &mut Vec<(String, Pos2)>) {
            match shape {
                Shape::Text(text) => found.push((text.galley.text().to_owned(), text.pos)),
                Shape::Vec(shapes) => shapes.iter().for_each(|shape| collect(shape, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        for clipped in &self.harness.output().shapes {
            collect(&clipped.shape, &mut found);
        }
        found
    }

    pub(crate) fn says(&self, text: &str) -> bool {
        self.texts().iter().any(|(found, _)| found.contains(text))
    }

    /// Every straight line painted.
    pub(crate) fn lines(&self) -> Vec<[Pos2; 2]> {
        let shapes = &self.harness.output().shapes;
        let lines = shapes.iter().filter_map(|clipped| match &clipped.shape {
            Shape::LineSegment { points, .. } => Some(*points),
            _ => None,
        });
        lines.collect()
    }

    /// The drawn traces as they lie on the graphics side: the texture that is as large as they are.
    pub(crate) fn picture(&mut self) -> Picture {
        let size = self.scope().traces().expect("a frame was painted").size();
        let ppp = self.harness.ctx.pixels_per_point();
        let wanted = (size * ppp).round();
        let pictures = self.graphics.0.borrow();
        let (width, height) = (wanted.x as usize, wanted.y as usize);
        pictures
            .values()
            .find(|picture| picture.width == width && picture.pixels.len() == width * height)
            .cloned()
            .expect("the traces were drawn")
    }
}

/// A calibrated screen: 96 dots an inch are 3.78 CSS pixels a millimetre, told by a ruler.
pub(crate) fn calibrated(px_per_mm: f64) -> ScopeSettings {
    ScopeSettings {
        px_per_mm,
        calibrated: true,
        ..ScopeSettings::default()
    }
}

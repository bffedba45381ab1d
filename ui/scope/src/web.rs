//! The module as the page sees it: a canvas element with WebGL2, the pointer's events, frames when something
//! is to be seen. No key ever comes here: keyboard, Tab and hot keys stay with the page.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use egui::{Context, Event, Modifiers, PointerButton, Pos2, RawInput, Rect, pos2, vec2};
use js_sys::{Function, Object, Promise, Reflect};
use ui_types::{ScopeEvent, ScopeSettings};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsError, JsValue};
use web_sys::{
    AddEventListenerOptions, HtmlCanvasElement, MouseEvent, PointerEvent, ResizeObserver,
    WebGl2RenderingContext, WheelEvent, Window,
};

use crate::damage::{Damage, Extent};
use crate::limits::{TICK_MS, WHEEL_LINE_PT};
use crate::scope::Scope;
use crate::theme;

thread_local! {
    /// Told when the module panics; a module serves one canvas at a time.
    static ON_FAILURE: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// A live canvas. Made by [`Canvas::create`]; `destroy` before it is let go.
#[wasm_bindgen(js_name = Scope)]
pub struct Canvas {
    shared: Rc<Shared>,
    listeners: RefCell<Vec<Listener>>,
    observer: ResizeObserver,
    ticks: i32,
    // They are called for as long as the canvas lives.
    _on_resize: Closure<dyn FnMut()>,
    _on_tick: Closure<dyn FnMut()>,
}

impl std::fmt::Debug for Canvas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canvas").finish_non_exhaustive()
    }
}

struct Shared {
    window: Window,
    canvas: HtmlCanvasElement,
    on_event: Function,
    inner: RefCell<Inner>,
    scheduled: Cell<bool>,
    alive: Cell<bool>,
    on_frame: RefCell<Option<Closure<dyn FnMut()>>>,
}

struct Inner {
    scope: Scope,
    ctx: Context,
    /// None while the graphics context is lost.
    painter: Option<egui_glow::Painter>,
    damage: Damage,
    events: Vec<Event>,
    size_px: [u32; 2],
    ppp: f32,
}

struct Listener {
    target: web_sys::EventTarget,
    kind: &'static str,
    callback: Closure<dyn FnMut(web_sys::Event)>,
}

#[wasm_bindgen(js_class = Scope)]
impl Canvas {
    /// Takes a canvas element over. `on_event` gets the JSON of each `ScopeEvent`.
    pub fn create(canvas_id: &str, settings_json: &str, on_event: Function) -> Promise {
        match Self::make(canvas_id, settings_json, on_event) {
            Ok(canvas) => Promise::resolve(&JsValue::from(canvas)),
            Err(error) => Promise::reject(&error),
        }
    }

    fn make(canvas_id: &str, settings_json: &str, on_event: Function) -> Result<Self, JsValue> {
        report_panics(&on_event);
        let window = web_sys::window().ok_or_else(|| error("there is no window"))?;
        let canvas: HtmlCanvasElement = window
            .document()
            .and_then(|document| document.get_element_by_id(canvas_id))
            .ok_or_else(|| error("there is no element of this id"))?
            .dyn_into()
            .map_err(|_| error("the element is no canvas"))?;
        let settings: ScopeSettings =
            serde_json::from_str(settings_json).map_err(|problem| error(&problem.to_string()))?;
        canvas.style().set_property("touch-action", "none")?;
        canvas.style().set_property("cursor", "crosshair")?;
        let painter = painter(&canvas)?;
        let shared = Rc::new(Shared {
            window,
            canvas,
            on_event,
            inner: RefCell::new(Inner {
                scope: Scope::new(settings),
                ctx: context(),
                painter: Some(painter),
                damage: Damage::default(),
                events: Vec::new(),
                size_px: [0, 0],
                ppp: 1.0,
            }),
            scheduled: Cell::new(false),
            alive: Cell::new(true),
            on_frame: RefCell::new(None),
        });
        let on_frame = callback(&shared, Shared::frame);
        shared.on_frame.replace(Some(on_frame));
        let on_resize = callback(&shared, Shared::resize);
        let on_tick = callback(&shared, Shared::tick);
        let observer = ResizeObserver::new(on_resize.as_ref().unchecked_ref())?;
        observer.observe(&shared.canvas);
        let ticks = shared
            .window
            .set_interval_with_callback_and_timeout_and_arguments_0(
                on_tick.as_ref().unchecked_ref(),
                TICK_MS,
            )?;
        let canvas = Self {
            listeners: RefCell::new(listen(&shared)?),
            shared,
            observer,
            ticks,
            _on_resize: on_resize,
            _on_tick: on_tick,
        };
        canvas.shared.resize();
        Ok(canvas)
    }

    /// A feed begins; it is shown once its history is there.
    pub fn begin_feed(&self, generation: u32) {
        let now_s = self.shared.now_s();
        self.shared
            .with(|inner| inner.scope.begin_feed(generation, now_s));
    }

    /// Bytes of a feed.
    pub fn push(&self, generation: u32, bytes: &[u8]) {
        let now_s = self.shared.now_s();
        self.shared
            .with(|inner| inner.scope.push(generation, bytes, now_s));
    }

    /// A page of a recording.
    pub fn show_page(&self, bytes: &[u8]) {
        self.shared.with(|inner| inner.scope.show_page(bytes));
    }

    /// JSON of `ScopeSettings`.
    ///
    /// # Errors
    /// When it cannot be read; the settings before stay.
    pub fn settings(&self, json: &str) -> Result<(), JsError> {
        let mut result = Ok(());
        self.shared
            .with(|inner| result = inner.scope.settings(json));
        result.map_err(|problem| JsError::new(&problem.to_string()))
    }

    /// JSON of `ScopeState`.
    #[must_use]
    pub fn state(&self) -> String {
        let inner = self.shared.inner.try_borrow();
        let state = inner.map(|inner| inner.scope.state()).unwrap_or_default();
        serde_json::to_string(&state).unwrap_or_default()
    }

    /// Lets the canvas and everything of it go.
    pub fn destroy(&self) {
        self.shared.alive.set(false);
        self.observer.disconnect();
        self.shared.window.clear_interval_with_handle(self.ticks);
        for listener in self.listeners.borrow_mut().drain(..) {
            // A listener that is not there any more is as good as removed.
            let _ = listener.target.remove_event_listener_with_callback(
                listener.kind,
                listener.callback.as_ref().unchecked_ref(),
            );
        }
        if let Ok(mut inner) = self.shared.inner.try_borrow_mut()
            && let Some(mut painter) = inner.painter.take()
        {
            painter.destroy();
        }
        ON_FAILURE.with_borrow_mut(|told| *told = None);
    }
}

impl Shared {
    fn now_s(&self) -> f64 {
        self.window
            .performance()
            .map_or(0.0, |clock| clock.now() / 1e3)
    }

    /// Changes something, tells the page what came of it, and has it painted.
    fn with(&self, change: impl FnOnce(&mut Inner)) {
        // Not to be had: the module has panicked, or the page calls from within `on_event`.
        if let Ok(mut inner) = self.inner.try_borrow_mut() {
            change(&mut inner);
        }
        self.tell();
        self.schedule();
    }

    fn tell(&self) {
        let events: Vec<_> = match self.inner.try_borrow_mut() {
            Ok(mut inner) => inner.scope.take_events().collect(),
            Err(_) => return,
        };
        for event in events {
            send(&self.on_event, &event);
        }
    }

    fn schedule(&self) {
        if !self.alive.get() || self.scheduled.get() {
            return;
        }
        if let Some(on_frame) = &*self.on_frame.borrow() {
            let asked = self
                .window
                .request_animation_frame(on_frame.as_ref().unchecked_ref());
            self.scheduled.set(asked.is_ok());
        }
    }

    fn frame(&self) {
        self.scheduled.set(false);
        if !self.alive.get() {
            return;
        }
        let now_s = self.now_s();
        let mut again = false;
        if let Ok(mut inner) = self.inner.try_borrow_mut() {
            if inner.scope.wants_frame(now_s) {
                inner.paint(now_s);
            }
            again = inner.painter.is_some() && inner.scope.restless();
        }
        self.tell();
        if again {
            self.schedule();
        }
    }

    /// Once a second: a silent feed is noticed, and a window moved to another screen.
    fn tick(&self) {
        let ppp = self.window.device_pixel_ratio() as f32;
        let other = self.inner.try_borrow().is_ok_and(|inner| inner.ppp != ppp);
        if other {
            self.resize();
        } else {
            self.schedule();
        }
    }

    fn resize(&self) {
        let ppp = (self.window.device_pixel_ratio() as f32).max(0.1);
        let rect = self.canvas.get_bounding_client_rect();
        let px = |length: f64| (length * f64::from(ppp)).round().max(1.0) as u32;
        let size_px = [px(rect.width()), px(rect.height())];
        self.with(|inner| {
            if inner.size_px != size_px || inner.ppp != ppp {
                self.canvas.set_width(size_px[0]);
                self.canvas.set_height(size_px[1]);
                inner.size_px = size_px;
                inner.ppp = ppp;
                inner.damage.forget(); // a canvas that is given a size is empty
                inner.scope.touched();
            }
        });
    }

    fn context_lost(&self) {
        self.with(|inner| inner.painter = None);
    }

    /// The browser gives the context back, empty.
    fn context_restored(&self) {
        let made = painter(&self.canvas);
        self.with(|inner| match made {
            Ok(painter) => {
                inner.painter = Some(painter);
                inner.ctx = context();
                inner.damage.forget();
                inner.scope.graphics_lost();
            }
            Err(problem) => inner.scope.fail(format!("no graphics: {problem:?}")),
        });
    }

    fn pointer(&self, event: &web_sys::Event) {
        let Some(pointer) = event.dyn_ref::<PointerEvent>() else {
            return;
        };
        let pos = place(pointer);
        let pressed = match event.type_().as_str() {
            "pointerdown" => {
                // Without it the end of a drag outside would be lost; not to be had for a synthetic pointer.
                let _ = self.canvas.set_pointer_capture(pointer.pointer_id());
                Some(true)
            }
            "pointerup" => Some(false),
            _ => None,
        };
        // While a button is held the canvas keeps the pointer, wherever a window manager says it is.
        if event.type_() == "pointerleave" && pointer.buttons() != 0 {
            return;
        }
        let gone = matches!(event.type_().as_str(), "pointerleave" | "pointercancel");
        let button = match pointer.button() {
            2 => PointerButton::Secondary,
            1 => PointerButton::Middle,
            _ => PointerButton::Primary,
        };
        let now_s = self.now_s();
        self.with(|inner| {
            inner.scope.touched();
            if gone {
                inner.events.push(Event::PointerGone);
                return;
            }
            inner.events.push(Event::PointerMoved(pos));
            if let Some(pressed) = pressed {
                // A press, a drag and a release between two frames would be seen as one and be none: what
                // came before is seen first, then the button.
                inner.paint(now_s);
                inner.events.push(Event::PointerButton {
                    pos,
                    button,
                    pressed,
                    modifiers: Modifiers::NONE,
                });
                inner.paint(now_s);
            }
        });
    }

    fn wheel(&self, event: &web_sys::Event) {
        let Some(wheel) = event.dyn_ref::<WheelEvent>() else {
            return;
        };
        event.prevent_default();
        let unit = match wheel.delta_mode() {
            WheelEvent::DOM_DELTA_LINE => WHEEL_LINE_PT,
            WheelEvent::DOM_DELTA_PAGE => 10.0 * WHEEL_LINE_PT,
            _ => 1.0,
        };
        let x_pt = f64::from(place(wheel).x);
        self.with(|inner| {
            inner.scope.wheel(
                wheel.delta_x() * unit,
                wheel.delta_y() * unit,
                wheel.ctrl_key(),
                x_pt,
            );
        });
    }
}

impl Inner {
    fn paint(&mut self, now_s: f64) {
        let Some(painter) = &mut self.painter else {
            return;
        };
        let size = vec2(self.size_px[0] as f32, self.size_px[1] as f32) / self.ppp;
        let mut input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, size)),
            max_texture_side: Some(painter.max_texture_side()),
            time: Some(now_s),
            events: std::mem::take(&mut self.events),
            focused: true,
            ..RawInput::default()
        };
        for viewport in input.viewports.values_mut() {
            viewport.native_pixels_per_point = Some(self.ppp);
        }
        let scope = &mut self.scope;
        let mut output = self.ctx.run_ui(input, |ui| scope.ui(ui, now_s));
        let extent = Extent {
            size_px: self.size_px,
            ppp: output.pixels_per_point,
        };
        let traces = scope.traces_texture();
        let changed = self
            .damage
            .take(output.shapes, &output.textures_delta, traces, extent);
        let primitives = self.ctx.tessellate(changed, output.pixels_per_point);
        painter.paint_and_update_textures(
            self.size_px,
            output.pixels_per_point,
            &primitives,
            &mut output.textures_delta,
        );
    }
}

fn context() -> Context {
    let ctx = Context::default();
    ctx.set_fonts(theme::fonts());
    ctx
}

fn painter(canvas: &HtmlCanvasElement) -> Result<egui_glow::Painter, JsValue> {
    let options = Object::new();
    // The traces smooth themselves; what was painted stays, so that it can be read back and printed.
    for (name, value) in [
        ("antialias", false),
        ("alpha", false),
        ("depth", false),
        ("stencil", false),
        ("preserveDrawingBuffer", true),
    ] {
        Reflect::set(&options, &name.into(), &value.into())?;
    }
    let context: WebGl2RenderingContext = canvas
        .get_context_with_context_options("webgl2", &options)?
        .ok_or_else(|| error("this browser has no WebGL2"))?
        .dyn_into()
        .map_err(|_| error("the canvas serves another kind of graphics"))?;
    #[allow(
        clippy::arc_with_non_send_sync,
        reason = "the painter wants one that can be sent; a page has one thread"
    )]
    let gl = Arc::new(glow::Context::from_webgl2_context(context));
    egui_glow::Painter::new(gl, "", None, false).map_err(|problem| error(&problem.to_string()))
}

fn listen(shared: &Rc<Shared>) -> Result<Vec<Listener>, JsValue> {
    let mut listeners = Vec::new();
    let mut add = |kind: &'static str, act: fn(&Shared, &web_sys::Event)| -> Result<(), JsValue> {
        let weak = Rc::downgrade(shared);
        let callback = Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| {
            if let Some(shared) = weak.upgrade() {
                act(&shared, &event);
            }
        });
        let options = AddEventListenerOptions::new();
        options.set_passive(false); // the wheel scrolls the traces, not the page
        shared
            .canvas
            .add_event_listener_with_callback_and_add_event_listener_options(
                kind,
                callback.as_ref().unchecked_ref(),
                &options,
            )?;
        listeners.push(Listener {
            target: shared.canvas.clone().into(),
            kind,
            callback,
        });
        Ok(())
    };
    for kind in [
        "pointermove",
        "pointerdown",
        "pointerup",
        "pointerleave",
        "pointercancel",
    ] {
        add(kind, Shared::pointer)?;
    }
    add("wheel", Shared::wheel)?;
    // A press would take the focus from the field that is being typed in.
    add("mousedown", |_, event| event.prevent_default())?;
    add("webglcontextlost", |shared, event| {
        event.prevent_default(); // asks for it back
        shared.context_lost();
    })?;
    add("webglcontextrestored", |shared, _| {
        shared.context_restored();
    })?;
    Ok(listeners)
}

fn callback(shared: &Rc<Shared>, act: fn(&Shared)) -> Closure<dyn FnMut()> {
    let weak = Rc::downgrade(shared);
    Closure::new(move || {
        if let Some(shared) = weak.upgrade() {
            act(&shared);
        }
    })
}

fn place(event: &MouseEvent) -> Pos2 {
    pos2(event.offset_x() as f32, event.offset_y() as f32)
}

fn send(on_event: &Function, event: &ScopeEvent) {
    let json = serde_json::to_string(event).unwrap_or_default();
    // What the page throws is the page's; the canvas goes on.
    let _ = on_event.call1(&JsValue::NULL, &json.into());
}

/// A panic ends the module: the page is told, and makes a new one.
fn report_panics(on_event: &Function) {
    ON_FAILURE.with_borrow_mut(|told| *told = Some(on_event.clone()));
    std::panic::set_hook(Box::new(|info| {
        let message = info.to_string();
        let on_event = ON_FAILURE.with(|told| told.try_borrow().ok().and_then(|told| told.clone()));
        if let Some(on_event) = on_event {
            send(&on_event, &ScopeEvent::Failed { message });
        }
    }));
}

fn error(text: &str) -> JsValue {
    js_sys::Error::new(text).into()
}

//! The calls of bridge.js: the shell, the canvas, and what the browser does for the pages.

use js_sys::Function;
use leptos::prelude::*;
use leptos::web_sys;
use serde::Deserialize;
use ui_types::{
    ApiError, Call, EmergencyStopReply, ErrorCode, FeedRequest, PageRequest, Progress,
    ScopeSettings, ScopeState,
};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(raw_module = "./bridge.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = call)]
    async fn js_call(name: &str, body: &str, on_progress: &Function) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = emergencyStop)]
    async fn js_emergency_stop() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = heartbeat)]
    async fn js_heartbeat() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = screen)]
    async fn js_screen() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = setScreen)]
    async fn js_set_screen(value: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = quit)]
    async fn js_quit(confirmed: bool) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = listen)]
    async fn js_listen(event: &str, then: &Function) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = warmScope)]
    fn js_warm_scope();
    #[wasm_bindgen(catch, js_name = createScope)]
    async fn js_create_scope(
        canvas: &str,
        settings: &str,
        fresh: bool,
        on_event: &Function,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = scopeSettings)]
    fn js_scope_settings(handle: f64, settings: &str);
    #[wasm_bindgen(js_name = scopeState)]
    fn js_scope_state(handle: f64) -> String;
    #[wasm_bindgen(js_name = destroyScope)]
    fn js_destroy_scope(handle: f64);
    #[wasm_bindgen(catch, js_name = openFeed)]
    async fn js_open_feed(
        handle: f64,
        generation: u32,
        request: &str,
        on_text: &Function,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = closeFeed)]
    async fn js_close_feed(id: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = readPage)]
    async fn js_read_page(
        handle: f64,
        request: &str,
        on_text: &Function,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = keyDownNs)]
    fn js_key_down_ns(event: &web_sys::KeyboardEvent) -> i64;
    #[wasm_bindgen(js_name = nowNs)]
    fn js_now_ns() -> i64;
    #[wasm_bindgen(catch, js_name = styleReport)]
    fn js_style_report(frame: &web_sys::HtmlElement, style: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(catch, js_name = copyText)]
    async fn js_copy_text(text: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = download)]
    fn js_download(name: &str, text: &str);
    #[wasm_bindgen(catch, js_name = beep)]
    fn js_beep() -> Result<(), JsValue>;
}

fn api_error(thrown: &JsValue) -> ApiError {
    let text = thrown.as_string().unwrap_or_else(|| format!("{thrown:?}"));
    serde_json::from_str(&text).unwrap_or_else(|_| ApiError::new(ErrorCode::Internal, text, ""))
}

fn read<T: for<'de> Deserialize<'de>>(reply: &JsValue) -> Result<T, ApiError> {
    let text = reply.as_string().unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| {
        ApiError::new(
            ErrorCode::Internal,
            format!("the reply cannot be read: {error}"),
            "",
        )
    })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Asks the engine.
pub(crate) async fn call<C: Call>(body: &C) -> Result<C::Reply, ApiError> {
    call_with_progress(body, |_| {}).await
}

/// Asks the engine for something long, and hears how far it is.
pub(crate) async fn call_with_progress<C: Call>(
    body: &C,
    on_progress: impl Fn(Progress) + 'static,
) -> Result<C::Reply, ApiError> {
    let heard = Closure::<dyn Fn(String)>::new(move |text: String| {
        if let Ok(progress) = serde_json::from_str(&text) {
            on_progress(progress);
        }
    });
    let reply = js_call(C::NAME, &json(body), heard.as_ref().unchecked_ref()).await;
    // A step that arrives after the reply finds nobody; the channel may hold its callback longer than we do.
    let reply = reply.map_err(|thrown| api_error(&thrown));
    heard.forget_later();
    read(&reply?)
}

/// Lets JavaScript keep a closure whose last call may still be on its way.
trait ForgetLater {
    fn forget_later(self);
}

impl ForgetLater for Closure<dyn Fn(String)> {
    fn forget_later(self) {
        set_timeout(move || drop(self), std::time::Duration::from_secs(1));
    }
}

pub(crate) async fn emergency_stop() -> Result<EmergencyStopReply, ApiError> {
    read(
        &js_emergency_stop()
            .await
            .map_err(|thrown| api_error(&thrown))?,
    )
}

pub(crate) async fn heartbeat() {
    // A shell that does not hear it reloads the page; there is nothing to say here.
    let _ = js_heartbeat().await;
}

/// The screen, as the shell knows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Screen {
    pub(crate) px_per_mm: f64,
    pub(crate) calibrated: bool,
    pub(crate) source: String,
    pub(crate) monitor: String,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            px_per_mm: ScopeSettings::default().px_per_mm,
            calibrated: false,
            source: "assumed".to_owned(),
            monitor: String::new(),
        }
    }
}

pub(crate) async fn screen() -> Result<Screen, ApiError> {
    read(&js_screen().await.map_err(|thrown| api_error(&thrown))?)
}

pub(crate) async fn set_screen(px_per_mm: f64) -> Result<(), ApiError> {
    js_set_screen(px_per_mm)
        .await
        .map(drop)
        .map_err(|thrown| api_error(&thrown))
}

pub(crate) async fn quit(confirmed: bool) {
    let _ = js_quit(confirmed).await; // the window closes, or the shell asks again
}

/// Hears an event of the shell as long as the page lives, with what it carries as JSON.
pub(crate) async fn listen(event: &str, then: impl Fn(&str) + 'static) {
    let heard = Closure::<dyn Fn(String)>::new(move |text: String| then(&text));
    if js_listen(event, heard.as_ref().unchecked_ref())
        .await
        .is_ok()
    {
        heard.forget(); // the program's whole life
    }
}

/// Makes the canvas' module ready before a canvas is wanted.
pub(crate) fn warm_scope() {
    js_warm_scope();
}

/// A canvas of traces.
pub(crate) struct Scope {
    handle: f64,
    // Dropped after the canvas that calls it.
    _on_event: Closure<dyn Fn(String)>,
}

impl Scope {
    pub(crate) async fn create(
        canvas: &str,
        settings: &ScopeSettings,
        fresh: bool,
        on_event: impl Fn(ui_types::ScopeEvent) + 'static,
    ) -> Result<Self, ApiError> {
        let heard = Closure::<dyn Fn(String)>::new(move |text: String| {
            if let Ok(event) = serde_json::from_str(&text) {
                on_event(event);
            }
        });
        let made = js_create_scope(
            canvas,
            &json(settings),
            fresh,
            heard.as_ref().unchecked_ref(),
        )
        .await;
        let handle = made.map_err(|thrown| api_error(&thrown))?;
        Ok(Self {
            handle: handle.as_f64().unwrap_or_default(),
            _on_event: heard,
        })
    }

    pub(crate) fn handle(&self) -> f64 {
        self.handle
    }

    pub(crate) fn settings(&self, settings: &ScopeSettings) {
        js_scope_settings(self.handle, &json(settings));
    }

    pub(crate) fn state(&self) -> Option<ScopeState> {
        serde_json::from_str(&js_scope_state(self.handle)).ok()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        js_destroy_scope(self.handle);
    }
}

/// An open live feed; closed when dropped.
pub(crate) struct Feed {
    id: f64,
    // Kept a little longer than the feed: a message may be on its way.
    heard: Option<Closure<dyn Fn(String, String)>>,
}

impl Feed {
    pub(crate) async fn open(
        scope: f64,
        generation: u32,
        request: &FeedRequest,
        on_text: impl Fn(&str, &str) + 'static,
    ) -> Result<Self, ApiError> {
        let heard = Closure::<dyn Fn(String, String)>::new(move |kind: String, text: String| {
            on_text(&kind, &text);
        });
        let id = js_open_feed(
            scope,
            generation,
            &json(request),
            heard.as_ref().unchecked_ref(),
        )
        .await;
        let id = id.map_err(|thrown| api_error(&thrown))?;
        Ok(Self {
            id: id.as_f64().unwrap_or_default(),
            heard: Some(heard),
        })
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let id = self.id;
        let heard = self.heard.take();
        leptos::task::spawn_local(async move {
            let _ = js_close_feed(id).await; // it may have ended by itself
        });
        set_timeout(move || drop(heard), std::time::Duration::from_secs(5));
    }
}

/// Reads a page onto a canvas.
pub(crate) async fn read_page(
    scope: f64,
    request: &PageRequest,
    on_text: impl Fn(&str, &str) + 'static,
) -> Result<(), ApiError> {
    let heard = Closure::<dyn Fn(String, String)>::new(move |kind: String, text: String| {
        on_text(&kind, &text);
    });
    let read = js_read_page(scope, &json(request), heard.as_ref().unchecked_ref()).await;
    read.map(drop).map_err(|thrown| api_error(&thrown))
}

pub(crate) fn key_down_ns(event: &web_sys::KeyboardEvent) -> i64 {
    js_key_down_ns(event)
}

pub(crate) fn now_ns() -> i64 {
    js_now_ns()
}

/// Offset of this machine's zone from UTC now, minutes.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn zone_offset_min() -> i32 {
    -(js_sys::Date::new_0().get_timezone_offset() as i32)
}

pub(crate) fn style_report(frame: &web_sys::HtmlElement, style: &str) {
    let _ = js_style_report(frame, style); // unstyled, it can still be read
}

pub(crate) async fn copy_text(text: &str) -> bool {
    js_copy_text(text).await.is_ok()
}

pub(crate) fn download(name: &str, text: &str) {
    js_download(name, text);
}

pub(crate) fn beep() {
    let _ = js_beep(); // a station without sound shows the alert all the same
}

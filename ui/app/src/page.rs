//! The outermost view.

use leptos::prelude::*;

/// The program's window.
pub(crate) fn program() -> impl IntoView {
    view! { <main><h1 id="program">"NeuraScale"</h1></main> }
}

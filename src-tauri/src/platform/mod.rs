//! What differs between systems: keys seen before the page, a hung page's process, the monitor's
//! millimetres, native dialogs, one window per person and data folder.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    Instance, ask_to_close, monitor, only_instance, prepare, restart_page, tell,
};

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{
    Instance, ask_to_close, monitor, only_instance, prepare, restart_page, tell,
};

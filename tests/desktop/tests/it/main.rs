//! The real window on a screen in memory, driven as a person would.

mod bedside;
mod canvas;
mod marked;
mod pages;
mod session;
mod shell;
mod sign_in;

//! The store as its owner sees it, and everything that can go wrong with its file.

mod backup;
mod crash;
mod faults;
mod golden;
mod keys;
mod rows;
mod support;

//! The page of a run with a prompt, served to a browser on this computer.
//!
//! # Architecture
//! [`Server`] listens on a loopback address and nowhere else. `guard` decides who is answered: a request has to name this
//! server as its host, to come from its own page, and to know the token of the address that was printed. `http` knows the
//! paths. Behind them is a table of `rooms`. A `room` is a session of the [`debugger`] on a thread of its own: it takes
//! lines and answers with text, and makes the [`page`] of what was done. HTTP is hyper's.
//!
//! What a session may use is bounded ([`limits`]), and what is not answered because of a bound says so. docs/serve.md has the
//! paths, the JSON and the bounds.
//!
//! # What it doesn't implement
//! Serving somebody else: there are no users, no TLS and no addresses but loopback. Writing files: what is saved goes to the
//! browser.

mod guard;
mod http;
pub mod limits;
mod open;
mod room;
mod rooms;
mod token;

pub use http::{Options, Server};
pub use open::Offer;

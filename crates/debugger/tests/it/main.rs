//! Sessions, as somebody types them.

mod clients;
mod habits;
mod places;
mod sessions;

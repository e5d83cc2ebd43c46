//! Sessions, as somebody types them.

mod sessions;

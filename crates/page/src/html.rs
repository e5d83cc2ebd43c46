//! The page as one file.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use record::formats::xml::Escaped;

/// The viewer: web/ builds it.
const VIEWER: &str = include_str!("../viewer.html");
/// Stands in the viewer where the data goes.
const DATA: &str = "@DATA@";
/// Stands in the viewer where the title goes.
const TITLE: &str = "@TITLE@";

/// Packs the data as a browser unpacks it: gzip.
pub(crate) fn packed(json: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to a vector cannot fail.
    let _ = packer.write_all(json);
    packer.finish().unwrap_or_default()
}

/// The file.
pub(crate) fn html(title: &str, json: &[u8]) -> String {
    let data = STANDARD.encode(packed(json));
    let (head, rest) = VIEWER.split_once(DATA).unwrap_or((VIEWER, ""));
    format!("{}{data}{rest}", head.replace(TITLE, &Escaped(title).to_string()))
}

/// The viewer without data, for a server that sends the data by itself.
pub fn viewer(title: &str) -> String {
    let (head, rest) = VIEWER.split_once(DATA).unwrap_or((VIEWER, ""));
    format!("{}{rest}", head.replace(TITLE, &Escaped(title).to_string()))
}

//! Text in XML and HTML.

use core::fmt::{self, Display, Write as _};

/// Text between tags or in an attribute, of XML and of HTML. What XML cannot hold at all is replaced.
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(letter)?,
                '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                    f.write_char('\u{fffd}')?
                }
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_kind_is_xml() {
        assert_eq!(
            Escaped("<a b=\"&'c\">\u{1b}\n").to_string(),
            "&lt;a b=&quot;&amp;&#39;c&quot;&gt;\u{fffd}\n"
        );
    }
}

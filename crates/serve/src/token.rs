//! The secret of a server: who knows it may use it.

use core::fmt;

use subtle::ConstantTimeEq as _;

/// Bytes of chance in a token.
const BYTES: usize = 32;

/// A token, as text.
pub struct Token(String);

/// It is a secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A new one from the system's source of chance. No machine has anything of it.
    ///
    /// # Errors
    /// Where the system has none.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// As it stands in an address or a cookie.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A text is this token. How long the answer takes does not tell how much of it is right.
    pub fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_eq!(one.as_str().len(), 2 * BYTES);
        assert!(one.is(one.as_str()));
        for wrong in [other.as_str(), "", &one.as_str()[1..], &format!("{}0", one.as_str())] {
            assert!(!one.is(wrong), "{wrong}");
        }
        assert_eq!(format!("{one:?}"), "Token");
    }
}

//! What readers of TOML and JSON say, in words for people: their messages have the names of types.

/// A message such as `invalid type: string "x", expected u32`, in words. Others stay as they are.
pub fn in_words(message: &str) -> String {
    let Some((found, expected)) = message.split_once(", expected ") else { return message.to_owned() };
    let Some(found) = found.strip_prefix("invalid type: ").or_else(|| found.strip_prefix("invalid value: "))
    else {
        return message.to_owned();
    };
    format!("this is {}; expected {}", this(found), expectation(expected))
}

/// What was found.
fn this(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    let value = value.strip_prefix("point ").unwrap_or(value).trim_matches('`');
    match kind {
        "string" | "str" => format!("the text {value}"),
        "integer" | "floating" => format!("the number {value}"),
        "boolean" => value.to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        "null" | "unit" => "nothing".to_owned(),
        _ => found.to_owned(),
    }
}

/// What a type is to who writes a file.
fn expectation(expected: &str) -> String {
    let whole = |least: i128, most: u128| format!("a whole number from {least} to {most}");
    match expected {
        "u8" => whole(0, u8::MAX.into()),
        "u16" => whole(0, u16::MAX.into()),
        "u32" => whole(0, u32::MAX.into()),
        // A table of TOML has 64 bits with a sign.
        "u64" | "usize" => whole(0, u64::MAX.into()),
        "i8" => whole(i8::MIN.into(), i8::MAX as u128),
        "i16" => whole(i16::MIN.into(), i16::MAX as u128),
        "i32" => whole(i32::MIN.into(), i32::MAX as u128),
        "i64" | "isize" => whole(i64::MIN.into(), i64::MAX as u128),
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" => "a list in brackets, [ ]".to_owned(),
        "a string" | "a borrowed string" => "a text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a map" => "a table".to_owned(),
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged ") => {
            "a table".to_owned()
        }
        _ => expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_is_named() {
        let check = |message, expect| assert_eq!(in_words(message), expect);
        check(
            "invalid type: string \"x\", expected u32",
            "this is the text \"x\"; expected a whole number from 0 to 4294967295",
        );
        check(
            "invalid value: integer `-1`, expected u8",
            "this is the number -1; expected a whole number from 0 to 255",
        );
        check(
            "invalid type: floating point `4.5`, expected u16",
            "this is the number 4.5; expected a whole number from 0 to 65535",
        );
        check(
            "invalid type: integer `3`, expected a string",
            "this is the number 3; expected a text in quotes",
        );
        check(
            "invalid type: boolean `true`, expected a sequence",
            "this is true; expected a list in brackets, [ ]",
        );
        check("invalid type: sequence, expected struct File", "this is a list; expected a table");
        check("invalid type: map, expected a boolean", "this is a table; expected true or false");
        for other in ["missing field `cpus`", "unknown field `x`, expected one of `a`, `b`", ""] {
            check(other, other);
        }
    }
}

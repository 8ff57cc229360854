//! Values in GVariant's text form, as annotations carry them: `uint64 5`, `['a', 'b']`. Pure.
//!
//! Source: GLib "GVariant Text Format"; dictionaries and maybes are left out, because no property
//! of a unit is one.

use super::wire::Value;

/// How deep arrays and tuples may be nested.
const MAX_DEPTH: u32 = 8;

/// Reads the whole of `text` as one value.
///
/// # Errors
/// What is wrong, in words.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text, depth: 0 };
    let value = parser.value(None)?;
    match parser.next_char() {
        None => Ok(value),
        Some(_) => Err(format!("{:?} is left over", parser.rest)),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: u32,
}

impl<'a> Parser<'a> {
    /// The next character that is no space; it stays.
    fn next_char(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.next_char() == Some(wanted);
        if found {
            self.rest = &self.rest[wanted.len_utf8()..];
        }
        found
    }

    /// Letters, digits and what numbers may hold besides.
    fn word(&mut self) -> &'a str {
        let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_'));
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn value(&mut self, wanted: Option<&str>) -> Result<Value, String> {
        match self.next_char() {
            None => Err("a value is missing".to_owned()),
            Some(quote @ ('\'' | '"')) => {
                let text = self.quoted(quote)?;
                Ok(match wanted {
                    Some("o") => Value::Path(text),
                    Some("g") => Value::Signature(text),
                    Some("s") | None => Value::Text(text),
                    Some(other) => return Err(format!("a text where {other:?} is wanted")),
                })
            }
            Some('[') => self.nested(|parser| parser.array(wanted)),
            Some('(') => self.nested(Self::tuple),
            Some('<') => {
                self.eat('<');
                let inner = self.nested(|parser| parser.value(None))?;
                if self.eat('>') {
                    Ok(Value::Variant(Box::new(inner)))
                } else {
                    Err("a variant is not closed by >".to_owned())
                }
            }
            Some('@') => {
                self.eat('@');
                let (signature, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
                self.rest = rest;
                self.value(Some(signature))
            }
            Some(_) => self.bare(wanted),
        }
    }

    fn nested(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Value, String>,
    ) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        let value = inner(self);
        self.depth -= 1;
        value
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut letters = self.rest[1..].char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, plain @ ('\\' | '\'' | '"'))) => text.push(plain),
                    _ => return Err("an escape other than \\n, \\t, \\\\ and quotes".to_owned()),
                },
                letter if letter == quote => {
                    self.rest = &self.rest[1 + at + 1..];
                    return Ok(text);
                }
                // D-Bus ends its texts with it.
                '\0' => return Err("a NUL character".to_owned()),
                letter => text.push(letter),
            }
        }
        Err(format!("a text is not closed by {quote}"))
    }

    fn array(&mut self, wanted: Option<&str>) -> Result<Value, String> {
        let element = match wanted {
            None => None,
            Some(signature) => Some(
                signature.strip_prefix('a').ok_or_else(|| format!("an array as {signature:?}"))?,
            ),
        };
        self.eat('[');
        let mut items: Vec<Value> = Vec::new();
        while !self.eat(']') {
            if !items.is_empty() && !self.eat(',') {
                return Err("an array is not closed by ]".to_owned());
            }
            let first = items.first().map(Value::signature);
            let item = self.value(element.or(first.as_deref()).filter(|it| it.len() == 1))?;
            if first.is_some_and(|first| first != item.signature()) {
                return Err("an array of several types".to_owned());
            }
            items.push(item);
        }
        let signature = match (items.first(), element) {
            (Some(item), _) => item.signature(),
            (None, Some(element)) if !element.is_empty() => element.to_owned(),
            (None, _) => return Err("an empty array needs its type: @as []".to_owned()),
        };
        Ok(Value::Array(signature, items))
    }

    fn tuple(&mut self) -> Result<Value, String> {
        self.eat('(');
        let mut fields = Vec::new();
        while !self.eat(')') {
            if !fields.is_empty() && !self.eat(',') {
                return Err("a tuple is not closed by )".to_owned());
            }
            // The comma after a single field.
            if self.next_char() != Some(')') {
                fields.push(self.value(None)?);
            }
        }
        if fields.is_empty() { Err("an empty tuple".to_owned()) } else { Ok(Value::Struct(fields)) }
    }

    /// A number, a truth value, or the name of a type and its value.
    fn bare(&mut self, wanted: Option<&str>) -> Result<Value, String> {
        let word = self.word();
        let letter = match word {
            "true" | "false" if matches!(wanted, None | Some("b")) => {
                return Ok(Value::Bool(word == "true"));
            }
            "boolean" => "b",
            "byte" => "y",
            "int16" => "n",
            "uint16" => "q",
            "int32" => "i",
            "uint32" => "u",
            "int64" => "x",
            "uint64" => "t",
            "double" => "d",
            "string" => "s",
            "objectpath" => "o",
            "signature" => "g",
            _ => return number(word, wanted),
        };
        if self.rest.starts_with(' ') {
            return self.value(Some(letter));
        }
        Err(format!("{word} without a value"))
    }
}

fn number(word: &str, wanted: Option<&str>) -> Result<Value, String> {
    let wrong = || format!("{word:?} is no {}", wanted.unwrap_or("value"));
    let negative = word.starts_with('-');
    let digits = word.trim_start_matches(['-', '+']);
    if wanted == Some("d") || wanted.is_none() && digits.contains('.') {
        return word.parse().map(Value::F64).map_err(|_| wrong());
    }
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let magnitude = magnitude.map_err(|_| wrong())?;
    let number = if negative { -magnitude } else { magnitude };
    let value = match wanted {
        Some("y") => number.try_into().ok().map(Value::Byte),
        Some("n") => number.try_into().ok().map(Value::I16),
        Some("q") => number.try_into().ok().map(Value::U16),
        Some("i") | None => number.try_into().ok().map(Value::I32),
        Some("u") => number.try_into().ok().map(Value::U32),
        Some("x") => number.try_into().ok().map(Value::I64),
        Some("t") => number.try_into().ok().map(Value::U64),
        Some(_) => None,
    };
    value.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_kinds() {
        let text = |text: &str| Value::text(text);
        let byte = |number| Value::Byte(number);
        for (source, want) in [
            ("5", Value::I32(5)),
            ("-5", Value::I32(-5)),
            ("uint64 90000000", Value::U64(90_000_000)),
            ("@t 7", Value::U64(7)),
            ("byte 0x1f", byte(31)),
            ("true", Value::Bool(true)),
            ("boolean false", Value::Bool(false)),
            ("0.5", Value::F64(0.5)),
            ("double 2", Value::F64(2.0)),
            ("'a b'", text("a b")),
            (r#""it's""#, text("it's")),
            (r"'a\'b\\'", text("a'b\\")),
            ("objectpath '/x'", Value::Path("/x".to_owned())),
            ("['a', 'b']", Value::texts(["a".to_owned(), "b".to_owned()])),
            ("@as []", Value::texts([])),
            ("[byte 1, 2]", Value::Array("y".to_owned(), vec![byte(1), byte(2)])),
            ("@ay [1, 0x02]", Value::Array("y".to_owned(), vec![byte(1), byte(2)])),
            ("('a', uint32 3)", Value::Struct(vec![text("a"), Value::U32(3)])),
            ("('a',)", Value::Struct(vec![text("a")])),
            ("<'a'>", Value::Variant(Box::new(text("a")))),
            (
                "[('a', true)]",
                Value::Array(
                    "(sb)".to_owned(),
                    vec![Value::Struct(vec![text("a"), Value::Bool(true)])],
                ),
            ),
        ] {
            assert_eq!(parse(source), Ok(want), "{source}");
        }
    }

    #[test]
    fn what_is_no_value_is_named() {
        for (source, want) in [
            ("", "missing"),
            ("'a", "not closed"),
            ("[]", "needs its type"),
            ("[1, 'a']", "a text where"),
            ("1 2", "left over"),
            ("uint64 -1", "is no t"),
            ("uint64", "without a value"),
            ("{'a': 1}", "is no value"),
            ("[[[[[[[[[[1]]]]]]]]]]", "too deep"),
            ("99999999999", "is no value"),
            ("()", "empty tuple"),
        ] {
            let error = parse(source).unwrap_err();
            assert!(error.contains(want), "{source}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_wild(text in "[ a-z0-9'\"\\\\\\[\\](),<>@.-]{0,40}") {
            drop(parse(&text));
        }
    }
}

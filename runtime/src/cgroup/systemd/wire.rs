//! D-Bus messages as bytes. Pure: `bus.rs` sends and receives them.
//!
//! Only what a caller of systemd needs: method calls with any arguments, and of what comes back
//! the header and the simple arguments before the first compound one.
//!
//! Source: D-Bus Specification, "Type system", "Message Protocol".

/// The largest message that is taken; systemd's answers to our calls have some hundred bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The part of a message whose size is known beforehand.
pub const FIXED_BYTES: usize = 16;

/// A value with its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `y`
    Byte(u8),
    /// `b`
    Bool(bool),
    /// `n`
    I16(i16),
    /// `q`
    U16(u16),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `d`
    F64(f64),
    /// `s`
    Text(String),
    /// `o`
    Path(String),
    /// `g`
    Signature(String),
    /// `v`
    Variant(Box<Value>),
    /// `a` of the type with this signature
    Array(String, Vec<Value>),
    /// `(...)`
    Struct(Vec<Value>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An array of texts.
    #[cfg(test)]
    pub fn texts(list: impl IntoIterator<Item = String>) -> Self {
        Self::Array("s".to_owned(), list.into_iter().map(Self::Text).collect())
    }

    /// The type's letters.
    pub fn signature(&self) -> String {
        match self {
            Self::Array(element, _) => format!("a{element}"),
            Self::Struct(fields) => {
                let inner: String = fields.iter().map(Self::signature).collect();
                format!("({inner})")
            }
            simple => simple.letter().to_string(),
        }
    }

    fn letter(&self) -> char {
        match self {
            Self::Byte(_) => 'y',
            Self::Bool(_) => 'b',
            Self::I16(_) => 'n',
            Self::U16(_) => 'q',
            Self::I32(_) => 'i',
            Self::U32(_) => 'u',
            Self::I64(_) => 'x',
            Self::U64(_) => 't',
            Self::F64(_) => 'd',
            Self::Text(_) => 's',
            Self::Path(_) => 'o',
            Self::Signature(_) => 'g',
            Self::Variant(_) => 'v',
            Self::Array(..) => 'a',
            Self::Struct(_) => '(',
        }
    }

    /// The text of a text, path or signature.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Path(text) | Self::Signature(text) => Some(text),
            _ => None,
        }
    }
}

/// The multiple of bytes from the message's begin at which a value of this type starts.
fn alignment(letter: char) -> usize {
    match letter {
        'y' | 'g' | 'v' => 1,
        'n' | 'q' => 2,
        'x' | 't' | 'd' | '(' => 8,
        _ => 4,
    }
}

fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

/// Appends `value` to `out`, whose first byte is aligned to 8 in the message.
fn encode(out: &mut Vec<u8>, value: &Value) {
    pad(out, alignment(value.letter()));
    match value {
        Value::Byte(number) => out.push(*number),
        Value::Bool(flag) => out.extend(u32::from(*flag).to_le_bytes()),
        Value::I16(number) => out.extend(number.to_le_bytes()),
        Value::U16(number) => out.extend(number.to_le_bytes()),
        Value::I32(number) => out.extend(number.to_le_bytes()),
        Value::U32(number) => out.extend(number.to_le_bytes()),
        Value::I64(number) => out.extend(number.to_le_bytes()),
        Value::U64(number) => out.extend(number.to_le_bytes()),
        Value::F64(number) => out.extend(number.to_le_bytes()),
        Value::Text(text) | Value::Path(text) => {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
            out.push(0);
        }
        Value::Signature(text) => {
            out.push(text.len() as u8);
            out.extend(text.as_bytes());
            out.push(0);
        }
        Value::Variant(inner) => {
            encode(out, &Value::Signature(inner.signature()));
            encode(out, inner);
        }
        Value::Array(element, items) => {
            let length_at = out.len();
            out.extend([0; 4]);
            pad(out, element.chars().next().map_or(1, alignment));
            let begin = out.len();
            for item in items {
                encode(out, item);
            }
            let length = (out.len() - begin) as u32;
            out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        }
        Value::Struct(fields) => {
            for field in fields {
                encode(out, field);
            }
        }
    }
}

/// A method of a remote object.
#[derive(Debug, Clone, Copy)]
pub struct Method<'a> {
    /// The peer's name; `None` on a connection with one peer only.
    pub destination: Option<&'a str>,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
}

/// The bytes of a call with `arguments`; its answer will carry `serial`.
pub fn call(serial: u32, method: &Method, arguments: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    for argument in arguments {
        encode(&mut body, argument);
    }

    let field = |code, value| Value::Struct(vec![Value::Byte(code), Value::Variant(value)]);
    let mut fields = vec![
        field(1, Box::new(Value::Path(method.path.to_owned()))),
        field(2, Box::new(Value::text(method.interface))),
        field(3, Box::new(Value::text(method.member))),
    ];
    fields.extend(method.destination.map(|name| field(6, Box::new(Value::text(name)))));
    if !arguments.is_empty() {
        let signature = arguments.iter().map(Value::signature).collect();
        fields.push(field(8, Box::new(Value::Signature(signature))));
    }
    // Little-endian, a method call, no flags, protocol 1.
    let mut out = vec![b'l', 1, 0, 1];
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(serial.to_le_bytes());
    encode(&mut out, &Value::Array("(yv)".to_owned(), fields));
    pad(&mut out, 8);
    out.extend(body);
    out
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The answer to the call with this serial.
    Return(u32),
    /// The call with this serial failed; the error's name.
    Error(u32, String),
    /// A signal; its member.
    Signal(String),
    /// Something else.
    Other,
}

/// A received message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// Its arguments up to the first compound one.
    pub arguments: Vec<Value>,
}

/// The size of the whole message that begins with these bytes; `None`: no message, or too large.
pub fn total_bytes(fixed: &[u8; FIXED_BYTES]) -> Option<usize> {
    let number = |at: usize| {
        let bytes = [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
        u32::from_le_bytes(bytes) as usize
    };
    if fixed[0] != b'l' || fixed[3] != 1 {
        return None;
    }
    let header = (FIXED_BYTES + number(12)).next_multiple_of(8);
    let total = header.checked_add(number(4))?;
    (total <= MAX_BYTES).then_some(total)
}

/// Reads a whole message; `None` if it breaks the rules.
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let fixed: &[u8; FIXED_BYTES] = bytes.get(..FIXED_BYTES)?.try_into().ok()?;
    if total_bytes(fixed)? != bytes.len() {
        return None;
    }
    let mut reader = Reader { bytes, at: 12 };
    let end = FIXED_BYTES + reader.u32()? as usize;
    let (mut reply, mut error, mut member, mut signature) = (0, None, None, String::new());
    while reader.at < end {
        reader.align(8)?;
        let code = reader.take(1)?[0];
        let letters = reader.short_text()?;
        let value = reader.value(single(&letters)?)?;
        match (code, value) {
            (3, Value::Text(text)) => member = Some(text),
            (4, Value::Text(text)) => error = Some(text),
            (5, Value::U32(number)) => reply = number,
            (8, Value::Signature(text)) => signature = text,
            _ => {}
        }
    }
    reader.align(8)?;
    let kind = match (bytes[1], error, member) {
        (2, ..) => Kind::Return(reply),
        (3, Some(name), _) => Kind::Error(reply, name),
        (4, _, Some(member)) => Kind::Signal(member),
        _ => Kind::Other,
    };
    let mut arguments = Vec::new();
    for letter in signature.chars() {
        if matches!(letter, 'a' | '(' | 'v' | 'h') {
            break;
        }
        arguments.push(reader.value(letter)?);
    }
    Some(Message { kind, arguments })
}

fn single(signature: &str) -> Option<char> {
    let mut letters = signature.chars();
    letters.next().filter(|_| letters.next().is_none())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) -> Option<()> {
        self.at = self.at.next_multiple_of(to);
        (self.at <= self.bytes.len()).then_some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.align(N)?;
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn text_of(&mut self, length: usize) -> Option<String> {
        let text = std::str::from_utf8(self.take(length)?).ok()?.to_owned();
        self.take(1).map(|_| text)
    }

    fn short_text(&mut self) -> Option<String> {
        let length = self.take(1)?[0];
        self.text_of(length.into())
    }

    fn value(&mut self, letter: char) -> Option<Value> {
        Some(match letter {
            'y' => Value::Byte(self.take(1)?[0]),
            'b' => Value::Bool(self.u32()? != 0),
            'n' => Value::I16(i16::from_le_bytes(self.array()?)),
            'q' => Value::U16(u16::from_le_bytes(self.array()?)),
            'i' => Value::I32(i32::from_le_bytes(self.array()?)),
            'u' => Value::U32(self.u32()?),
            'x' => Value::I64(i64::from_le_bytes(self.array()?)),
            't' => Value::U64(u64::from_le_bytes(self.array()?)),
            'd' => Value::F64(f64::from_le_bytes(self.array()?)),
            's' | 'o' => {
                let length = self.u32()? as usize;
                let text = self.text_of(length)?;
                if letter == 's' { Value::Text(text) } else { Value::Path(text) }
            }
            'g' => Value::Signature(self.short_text()?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    const HELLO: Method = Method {
        destination: Some("org.freedesktop.DBus"),
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member: "Hello",
    };

    #[test]
    fn a_call_has_the_layout_of_the_specification() {
        let bytes = call(1, &HELLO, &[]);
        let want = "6c01000100000000010000006d000000\
            01016f00150000002f6f72672f667265656465736b746f702f444275730000000201730014000000\
            6f72672e667265656465736b746f702e4442757300000000030173000500000048656c6c6f000000\
            06017300140000006f72672e667265656465736b746f702e4442757300000000";
        assert_eq!(hex(&bytes), want);
        assert_eq!(total_bytes(&bytes[..16].try_into().unwrap()), Some(bytes.len()));
    }

    #[test]
    fn values_are_aligned() {
        let pair = |name: &str, value| {
            Value::Struct(vec![Value::text(name), Value::Variant(Box::new(value))])
        };
        let list = Value::Array("(sv)".to_owned(), vec![pair("A", Value::U64(5))]);
        assert_eq!(list.signature(), "a(sv)");
        let mut out = Vec::new();
        encode(&mut out, &list);
        // Length 24, gap to 8, "A", its signature "t", gap, the number.
        let want = "1800000000000000 0100000041000174 0000000000000000 0500000000000000";
        assert_eq!(hex(&out), want.replace(' ', ""));
        let mut out = vec![1];
        encode(&mut out, &Value::texts(["b".to_owned()]));
        assert_eq!(hex(&out), "01000000 06000000 01000000 6200".replace(' ', ""));
        let mut out = Vec::new();
        encode(&mut out, &Value::Array("t".to_owned(), Vec::new()));
        assert_eq!(hex(&out), "0000000000000000");
    }

    /// Turns a call into what a peer would send: calls carry what answers carry.
    fn answer(kind: u8, arguments: &[Value], extra: &[(u8, Value)]) -> Vec<u8> {
        let mut body = Vec::new();
        for argument in arguments {
            encode(&mut body, argument);
        }

        let field = |(code, value): &(u8, Value)| {
            Value::Struct(vec![Value::Byte(*code), Value::Variant(Box::new(value.clone()))])
        };
        let mut fields: Vec<Value> = extra.iter().map(field).collect();
        let signature = arguments.iter().map(Value::signature).collect();
        fields.push(field(&(8, Value::Signature(signature))));
        let mut out = vec![b'l', kind, 1, 1];
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(7_u32.to_le_bytes());
        encode(&mut out, &Value::Array("(yv)".to_owned(), fields));
        pad(&mut out, 8);
        out.extend(body);
        out
    }

    #[test]
    fn answers_errors_and_signals_are_told_apart() {
        let path = Value::Path("/job/7".to_owned());
        let reply = answer(2, std::slice::from_ref(&path), &[(5, Value::U32(3))]);
        let want = Message { kind: Kind::Return(3), arguments: vec![path.clone()] };
        assert_eq!(parse(&reply), Some(want));
        let name = Value::text("org.example.No");
        let error = answer(3, &[Value::text("no")], &[(5, Value::U32(3)), (4, name)]);
        assert_eq!(parse(&error).unwrap().kind, Kind::Error(3, "org.example.No".to_owned()));
        let arguments = [Value::U32(1), path, Value::text("u"), Value::text("done")];
        let signal = answer(4, &arguments, &[(3, Value::text("JobRemoved"))]);
        let got = parse(&signal).unwrap();
        assert_eq!(got.kind, Kind::Signal("JobRemoved".to_owned()));
        assert_eq!(got.arguments, arguments);
        let compound = [Value::U32(1), Value::texts(["x".to_owned()]), Value::U32(2)];
        let signal = answer(4, &compound, &[(3, Value::text("S"))]);
        assert_eq!(parse(&signal).unwrap().arguments, [Value::U32(1)]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_wild(mut bytes in proptest::collection::vec(0_u8.., 16..200)) {
            (bytes[0], bytes[3]) = (b'l', 1);
            drop(parse(&bytes));
            // The sizes right, the rest wild.
            let body = (bytes.len() as u32).saturating_sub(48) & !7;
            let header = bytes.len() as u32 - body - 16;
            bytes[4..8].copy_from_slice(&body.to_le_bytes());
            bytes[12..16].copy_from_slice(&header.to_le_bytes());
            drop(parse(&bytes));
        }

        #[test]
        fn a_broken_answer_is_no_panic(at in 0_usize..120, byte in 0_u8..) {
            let arguments = [Value::Path("/a".to_owned()), Value::U64(7)];
            let mut bytes = answer(2, &arguments, &[(5, Value::U32(3))]);
            let at = at % bytes.len();
            bytes[at] = byte;
            drop(parse(&bytes));
        }
    }
}

//! How a value is written into a state: its fields one after the other, each message with its
//! length before it. Pure.
//!
//! A field that is missing at the end of a message has its default, so later versions add fields
//! at the end. By hand: with prost the program is 14 kB larger.

/// A value of a state.
pub trait Field: Sized + Default {
    /// Writes it behind the others.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes it off the front. `None`: it is cut off.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

/// One copy of what all of them do.
#[inline(never)]
fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

#[inline(never)]
fn split<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(front)
}

fn with_length(out: &mut Vec<u8>, bytes: &[u8]) {
    (bytes.len() as u32).put(out);
    write(out, bytes);
}

/// Writes a message with its length before it.
pub fn put_message(out: &mut Vec<u8>, fields: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    0_u32.put(out);
    fields(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// The bytes of a message with its length before it.
#[inline(never)]
pub fn take_message<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::take(bytes)?;
    split(bytes, length as usize)
}

/// The next field of a message; its default if there are no more.
pub fn take_field<T: Field>(fields: &mut &[u8]) -> Option<T> {
    if fields.is_empty() { Some(T::default()) } else { T::take(fields) }
}

impl Field for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        write(out, &self.to_le_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        split(bytes, 8)?.try_into().ok().map(Self::from_le_bytes)
    }
}

impl Field for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        write(out, &self.to_le_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        split(bytes, 4)?.try_into().ok().map(Self::from_le_bytes)
    }
}

impl Field for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u32).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u32::take(bytes).map(|number| number as Self)
    }
}

impl Field for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u64).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u64::take(bytes).map(|number| number as Self)
    }
}

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        write(out, &[u8::from(*self)]);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(split(bytes, 1)? != [0])
    }
}

impl Field for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        with_length(out, self);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        take_message(bytes).map(<[u8]>::to_vec)
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        with_length(out, self.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(Vec::take(bytes)?).ok()
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        if bool::take(bytes)? { T::take(bytes).map(Some) } else { Some(None) }
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        for value in self {
            value.put(out);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let count = u32::take(bytes)?;
        let mut values = Self::new();
        for _ in 0..count {
            values.push(T::take(bytes)?);
        }
        Some(values)
    }
}

/// Writes and reads the named fields of a message, in this order, for ever.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::handover::field::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $crate::handover::field::put_message(out, |out| {
                    $(self.$field.put(out);)*
                });
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let mut fields = $crate::handover::field::take_message(bytes)?;
                let mut message = Self::default();
                $(message.$field = $crate::handover::field::take_field(&mut fields)?;)*
                Some(message)
            }
        }
    };
}

/// A message of a state: its fields are written and read in their order.
macro_rules! message {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name { $($(#[$inner])* pub $field: $type,)* }
        $crate::handover::field::fields!($name { $($field),* });
    };
}

pub(super) use {fields, message};

#[cfg(test)]
mod tests {
    use super::*;

    message!(
        /// As it was once.
        Old { number: u32, names: Vec<String>, }
    );
    message!(
        /// As it is now.
        New { number: u32, names: Vec<String>, more: Option<i64>, has_it: bool, }
    );

    fn new() -> New {
        let names = vec!["a".to_owned(), String::new()];
        New { number: 7, names, more: Some(-1), has_it: true }
    }

    #[test]
    fn fields_are_added_at_the_end() {
        let (mut bytes, mut old) = (Vec::new(), Vec::new());
        new().put(&mut bytes);
        Old { number: 7, names: new().names }.put(&mut old);
        assert_eq!(New::take(&mut &bytes[..]), Some(new()));
        let less = New { more: None, has_it: false, ..new() };
        assert_eq!(New::take(&mut &old[..]), Some(less));
        assert_eq!(Old::take(&mut &bytes[..]).unwrap().names, new().names);
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        let mut bytes = Vec::new();
        new().put(&mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(New::take(&mut &bytes[..length]), None, "{length}");
        }
        // A count that no memory would be enough for.
        assert_eq!(Vec::<New>::take(&mut &[0xff; 9][..]), None);
    }
}

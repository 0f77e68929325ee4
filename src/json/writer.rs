//! Objects and arrays, written without white space (docs/rules/values.md#json-that-is-written). What is begun is ended: the members are
//! written by a closure.

use std::io::Write;

use super::text::write_string;
use crate::time::TimestampNs;

/// An object by itself.
pub fn object(members: impl FnOnce(&mut ObjectWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, members);
    out
}

/// Appends an object with these members.
pub fn write_object(out: &mut Vec<u8>, members: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.push(b'{');
    members(&mut ObjectWriter { out, is_empty: true });
    out.push(b'}');
}

/// Appends an array with these items.
pub fn write_array(out: &mut Vec<u8>, items: impl FnOnce(&mut ArrayWriter<'_>)) {
    out.push(b'[');
    items(&mut ArrayWriter { out, is_empty: true });
    out.push(b']');
}

/// The members of one object, in the order they are written.
pub struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl ObjectWriter<'_> {
    /// Begins a member; its value is to be appended to what is returned.
    pub fn member(&mut self, name: &str) -> &mut Vec<u8> {
        separate(self.out, &mut self.is_empty);
        write_string(name, self.out);
        self.out.push(b':');
        self.out
    }

    /// A string.
    pub fn text(&mut self, name: &str, text: &str) {
        write_string(text, self.member(name));
    }

    /// A string, if there is one.
    pub fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A list of strings.
    pub fn texts<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) {
        self.array(name, |items| texts.into_iter().for_each(|text| items.text(text)));
    }

    /// A moment, as a string.
    pub fn time(&mut self, name: &str, moment: TimestampNs) {
        let out = self.member(name);
        out.push(b'"');
        moment.write_rfc3339(out);
        out.push(b'"');
    }

    /// A moment, if there is one.
    pub fn time_if(&mut self, name: &str, moment: Option<TimestampNs>) {
        if let Some(moment) = moment {
            self.time(name, moment);
        }
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, number: impl Into<i128>) {
        let number: i128 = number.into();
        write!(self.member(name), "{number}").unwrap_or_else(|_| unreachable!("memory takes every byte"));
    }

    /// True or false.
    pub fn flag(&mut self, name: &str, is: bool) {
        self.json(name, if is { b"true" } else { b"false" });
    }

    /// A null.
    pub fn null(&mut self, name: &str) {
        self.json(name, b"null");
    }

    /// A value that is JSON already.
    pub fn json(&mut self, name: &str, json: &[u8]) {
        self.member(name).extend_from_slice(json);
    }

    /// An object inside this one.
    pub fn object(&mut self, name: &str, members: impl FnOnce(&mut ObjectWriter<'_>)) {
        write_object(self.member(name), members);
    }

    /// An array inside this object.
    pub fn array(&mut self, name: &str, items: impl FnOnce(&mut ArrayWriter<'_>)) {
        write_array(self.member(name), items);
    }
}

/// The items of one array.
pub struct ArrayWriter<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl ArrayWriter<'_> {
    /// Begins an item; its value is to be appended to what is returned.
    pub fn item(&mut self) -> &mut Vec<u8> {
        separate(self.out, &mut self.is_empty);
        self.out
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        write_string(text, self.item());
    }

    /// A value that is JSON already.
    pub fn json(&mut self, json: &[u8]) {
        self.item().extend_from_slice(json);
    }

    /// An object.
    pub fn object(&mut self, members: impl FnOnce(&mut ObjectWriter<'_>)) {
        write_object(self.item(), members);
    }
}

fn separate(out: &mut Vec<u8>, is_empty: &mut bool) {
    if !std::mem::replace(is_empty, false) {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimestampMs;

    #[test]
    fn objects_and_arrays_nest_and_are_escaped() {
        let written = object(|out| {
            out.text("a\"b", "x\n");
            out.text_if("none", None);
            out.number("n", -7);
            out.number("large", u64::MAX);
            out.flag("yes", true);
            out.null("z");
            out.time_if("t", Some(TimestampMs(500).moment()));
            out.texts("list", ["p", "q"]);
            out.array("items", |items| {
                items.object(|_| {});
                items.object(|out| out.json("j", b"[1]"));
                items.json(b"2");
            });
            out.object("inner", |out| out.array("empty", |_| {}));
        });
        let expected = concat!(
            r#"{"a\"b":"x\n","n":-7,"large":18446744073709551615,"yes":true,"z":null,"t":"1970-01-01T00:00:00.5Z","#,
            r#""list":["p","q"],"items":[{},{"j":[1]},2],"inner":{"empty":[]}}"#
        );
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}

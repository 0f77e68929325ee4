//! What an address's query or a form holds: names with their values, several of one name too.

/// Names and values, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FormFields(Vec<(String, String)>);

impl FormFields {
    /// Reads `a=1&b=2`. What is no UTF-8 after decoding is read with replacement characters, which no id has.
    pub(crate) fn read(text: &str) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        Self(text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect())
    }

    /// The last value of a name, without white space around it; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> String {
        self.raw(name).trim().to_owned()
    }

    /// The last value of a name as it was typed.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.iter().rev().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// Every value of a name that is not empty, each once, in their order.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (_, value) in self.0.iter().filter(|(known, value)| known == name && !value.is_empty()) {
            if seen.insert(value.as_str()) {
                all.push(value.clone());
            }
        }
        all
    }

    /// Whether the name is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let ahead = rest.clone().take(2).filter_map(hex).collect::<Vec<u8>>();
                if let [high, low] = ahead[..] {
                    bytes.push(16 * high + low);
                    rest.nth(1);
                } else {
                    bytes.push(b'%');
                }
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The ids of a pasted list, each with its line: one a line, of a spreadsheet's row the first cell, in quotes or not.
pub(crate) fn pasted_ids(text: &str) -> Vec<(usize, String)> {
    let cell = |line: &str| line.split(['\t', ';']).next().unwrap_or_default().trim().trim_matches('"').trim().to_owned();
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, cell(line)));
    lines.filter(|(_, id)| !id.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let fields = FormFields::read("a=1+2&a=%C3%A9&b&c=%&d=%4&e=%zz&s=x&s=y&s=x&t=+z+");
        assert_eq!(fields.text("a"), "é");
        assert_eq!(
            (fields.text("b"), fields.text("c"), fields.text("d"), fields.text("e")),
            (String::new(), "%".into(), "%4".into(), "%zz".into())
        );
        assert_eq!(fields.all("s"), ["x", "y"]);
        assert_eq!((fields.text("t"), fields.raw("t")), ("z".into(), " z "));
        assert!(fields.has("b") && !fields.has("z"));
    }

    #[test]
    fn a_pasted_list_keeps_its_line_numbers() {
        let found = pasted_ids("NW-1\r\n\r\n\"NW-2\"\tExcavator\n  NW 3 ;x\n");
        assert_eq!(found, [(1, "NW-1".into()), (3, "NW-2".into()), (4, "NW 3".into())]);
    }
}

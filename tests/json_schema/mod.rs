//! As much of JSON Schema (2020-12) as sharecast's own schemas use. A keyword that is not known here is a panic, so nothing goes unchecked.

use serde_json::Value;

/// What is wrong with a value by a schema; none if it is valid. `root` is the document that references lead into.
pub(crate) fn violation(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    check(root, schema, value, "$")
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let keywords = match schema {
        Value::Bool(true) => return None,
        Value::Bool(false) => return Some(format!("{at}: nothing may be here")),
        Value::Object(keywords) => keywords,
        _ => panic!("no schema: {schema}"),
    };
    keywords.iter().find_map(|(keyword, said)| match keyword.as_str() {
        "$schema" | "$defs" | "title" | "description" => None,
        "$ref" => {
            let pointer = said.as_str().unwrap().strip_prefix('#').expect("a reference within the document");
            check(root, root.pointer(pointer).unwrap_or_else(|| panic!("{said} leads nowhere")), value, at)
        }
        "type" => {
            let fits = |kind: &Value| has_type(value, kind.as_str().unwrap());
            let is_one = said.as_array().map_or_else(|| fits(said), |kinds| kinds.iter().any(fits));
            (!is_one).then(|| format!("{at}: {value} is not of type {said}"))
        }
        "const" => (value != said).then(|| format!("{at}: {value} is not {said}")),
        "enum" => (!said.as_array().unwrap().contains(value)).then(|| format!("{at}: {value} is none of {said}")),
        "anyOf" => {
            let wrong: Vec<String> = said.as_array().unwrap().iter().map_while(|schema| check(root, schema, value, at)).collect();
            (wrong.len() == said.as_array().unwrap().len()).then(|| format!("{at}: none of: {}", wrong.join("; ")))
        }
        "oneOf" => {
            let valid = said.as_array().unwrap().iter().filter(|schema| check(root, schema, value, at).is_none()).count();
            (valid != 1).then(|| format!("{at}: {value} fits {valid} alternatives"))
        }
        "required" => {
            let missing = said.as_array().unwrap().iter().find(|name| value.is_object() && value.get(name.as_str().unwrap()).is_none());
            missing.map(|name| format!("{at}: {name} is missing"))
        }
        "properties" => value
            .as_object()
            .and_then(|members| members.iter().find_map(|(name, member)| check(root, said.get(name)?, member, &format!("{at}.{name}")))),
        "additionalProperties" => value.as_object().and_then(|members| {
            let named = keywords.get("properties");
            let mut others = members.iter().filter(|(name, _)| named.is_none_or(|named| named.get(name).is_none()));
            others.find_map(|(name, member)| check(root, said, member, &format!("{at}.{name}")))
        }),
        "items" => value.as_array().and_then(|items| items.iter().find_map(|item| check(root, said, item, &format!("{at}[*]")))),
        other => panic!("{other} is not known here"),
    })
}

fn has_type(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

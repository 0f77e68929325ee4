//! Results of tests in the XML that CI servers read (JUnit's).

/// What became of a test.
pub(super) enum CaseResult {
    /// It passed.
    Passed,
    /// It failed; in words.
    Failed(String),
    /// Its file is wrong; in words.
    Wrong(String),
}

/// One test.
pub(super) struct Case {
    /// Its file.
    pub(super) name: String,
    pub(super) result: CaseResult,
}

/// The report.
pub(super) fn write(cases: &[Case]) -> String {
    let count = |is: fn(&CaseResult) -> bool| cases.iter().filter(|case| is(&case.result)).count();
    let failures = count(|result| matches!(result, CaseResult::Failed(_)));
    let errors = count(|result| matches!(result, CaseResult::Wrong(_)));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"sharecast\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">\n",
        cases.len()
    );
    for Case { name, result } in cases {
        let name = escaped(name);
        xml += &format!("    <testcase classname=\"sharecast\" name=\"{name}\"");
        xml += &match result {
            CaseResult::Passed => "/>\n".to_owned(),
            CaseResult::Failed(what) => of_what("failure", what),
            CaseResult::Wrong(what) => of_what("error", what),
        };
    }
    xml + "  </testsuite>\n</testsuites>\n"
}

fn of_what(element: &str, what: &str) -> String {
    let first = escaped(what.lines().next().unwrap_or_default());
    format!(">\n      <{element} message=\"{first}\">{}</{element}>\n    </testcase>\n", escaped(what))
}

/// A text as XML holds it; characters that XML 1.0 cannot hold are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '"' => escaped += "&quot;",
            '\n' | '\t' => escaped.push(c),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_counts_and_escapes() {
        let case = |name: &str, result| Case { name: name.to_owned(), result };
        let xml = write(&[
            case("a", CaseResult::Passed),
            case("b<c", CaseResult::Failed("x \"1\" < 2\n+ &\u{1}".to_owned())),
            case("d", CaseResult::Wrong("no".to_owned())),
        ]);
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{xml}");
        assert!(
            xml.contains(
                "name=\"b&lt;c\">\n      <failure message=\"x &quot;1&quot; &lt; 2\">x &quot;1&quot; &lt; 2\n+ &amp;\u{fffd}</failure>"
            ),
            "{xml}"
        );
        assert!(xml.contains("<error message=\"no\">no</error>") && xml.contains("name=\"a\"/>"), "{xml}");
    }
}

//! Conditions of hostile shape on a small thread: each is refused, or read and evaluated, and none ends the process.

use sharecast::json::tape::Tape;
use sharecast::profile::condition::{Condition, ShareFacts};

const SHARE: ShareFacts<'static> =
    ShareFacts { id: "s1", owner: "nw", target: "acme", asset: "NW-7", target_asset: "EX-1", permission: "view", label: None };

/// On half the stack that a thread has unasked, in a build without optimisation.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn hostile_sources_are_refused_or_read_on_a_small_stack() {
    let parts = [
        "(",
        "[",
        "!",
        "-",
        "!-",
        "-!",
        "- ",
        "! ",
        "{",
        "a.",
        "a[",
        "a(",
        ".a",
        "1+",
        "1-",
        "-1",
        "true?true:",
        "true?",
        "true&&",
        "true||",
        "1==",
        "1<",
        "1 in ",
        "'a'+",
        "f(",
        "[[1],",
        "((1)+",
        "has(",
        "record.a.all(x,",
        "[1].all(x,true)&&",
        "1*1+",
        "'",
        "\"",
        "'''",
        "\\",
        "//",
        "/",
        "/*",
        "0x",
        "1e",
        "1.",
        "9",
        "?",
        ":",
        ",",
        "&",
        "|",
        "=",
        "<",
        ">",
        "%",
        "*",
        "é",
        "😀",
        "\u{0}",
        "`",
        "@",
        "#",
        "x ",
        "in ",
        "r'",
        "b'",
        "true?(true):(",
        "size(",
        "record[",
        "a.b(c).",
        "record.a.startsWith(",
        "!(",
        "-(",
        "[-",
        "(!",
        "true?[",
        "1:",
        "true ? 1 : true ? 2 : ",
    ];
    on_a_small_stack(move || {
        for part in parts {
            for (before, after) in [("", ""), ("", "1"), ("", "true"), ("record.a == ", "x"), ("", ")"), ("[", "]")] {
                for count in [1, 33, 100, 249, 260, 4096 / part.len()] {
                    let source = format!("{before}{}{after}", part.repeat(count));
                    if let Ok(condition) = Condition::parse(&source) {
                        let mut tape = Tape::default();
                        tape.parse(b"{}").unwrap();
                        let _ = condition.holds(b"{}", &tape, &SHARE);
                    }
                }
            }
        }
    });
}

#[test]
fn what_people_write_is_not_too_deep() {
    let many = |part: &str, join: &str, count| vec![part; count].join(join);
    for (source, is_taken) in [
        (many("record.a.b.c == 1", " || ", 100), true),
        (many("record.a.b.c == 1", " && ", 100), true),
        (format!("record.a in [{}]", many("12345", ", ", 500)), true),
        (many("1", " + ", 200) + " == 200", true),
        (many("true", " ? ", 1) + &" ? true : true".repeat(150), true),
        (format!("{}true{}", "(".repeat(32), ")".repeat(32)), true),
        (format!("{}1{} == 1", "[".repeat(32), "]".repeat(32)), true),
        (format!("record{}", ".a".repeat(200)), true),
        (format!("record{}", "[0]".repeat(200)), true),
        (many("1", " + ", 300) + " == 300", false),
        (format!("{}true{}", "(".repeat(33), ")".repeat(33)), false),
    ] {
        on_a_small_stack(move || {
            let read = Condition::parse(&source);
            assert_eq!(read.is_ok(), is_taken, "{source}: {:?}", read.err());
            if let Ok(condition) = read {
                let mut tape = Tape::default();
                tape.parse(b"{}").unwrap();
                let _ = condition.holds(b"{}", &tape, &SHARE);
            }
        });
    }
}

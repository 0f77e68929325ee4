//! The projector that remembers shapes against the one that reads and walks each record by itself: one meaning, byte for byte.
//!
//! SHARECAST_SEED names the first seed, SHARECAST_RECORDS how many records are projected; a failure prints the seed of its world, which
//! is run again alone by SHARECAST_SEED=<seed> SHARECAST_RECORDS=1.

use sharecast::id::{Epoch, StreamIndex, StreamName};
use sharecast::json::document;
use sharecast::json::path::Path;
use sharecast::profile::compile::Profile;
use sharecast::profile::parties::{Parties, Provenance};
use sharecast::profile::project::Projector;
use sharecast::profile::spec::ProfileSpec;
use sharecast::record::mapping::{FieldSource, Mapping, Mode, Stream};

const RECORDS: u64 = 20_000;
/// Records of one world: its profiles and shapes.
const RECORDS_OF_A_WORLD: u64 = 400;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// Names of one length, spelled with and without escapes, long ones that differ in the middle alone, and some that paths know.
const NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "ts",
    "id",
    "\\u0061",
    "\\u0062",
    "é",
    "_share",
    "_sh\\u0061re",
    "temperature_of_oil_1_c",
    "temperature_of_fuel_1_c",
    "temperature_of_air_1_c",
    "",
];
const PATH_NAMES: &[&str] =
    &[".a", ".b", ".c", ".d", ".ts", ".id", ".é", "['_share']", "['temperature_of_oil_1_c']", "['temperature_of_fuel_1_c']", "['']"];
const SCALARS: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "1",
    "7",
    "1.0",
    "-2.50",
    "99.95",
    "0.5",
    "-0.4",
    "1e3",
    "1E-7",
    "12345678901234567890.5",
    "51.507351",
    "-0.127758",
    "1767225659.5",
    "1e300",
    "0.00000000000000000000000000049999",
    "\"\"",
    "\"x\"",
    "\"\\u0078\"",
    "\"SN-20418877\"",
    "\"é🚜ü\"",
    "\"a\\\"b\\\\\"",
    "\"2026-01-01T00:00:59.25Z\"",
    "\"0001-01-01T00:00:00Z\"",
    "true",
    "false",
    "null",
    "\"a,b\\\":{\"",
    "1.005",
    "18446744073709551615",
];
/// What no record may have, and what only looks like it.
const HOSTILE_SCALARS: &[&str] = &[
    "1e999",
    "-1e999",
    "0e999",
    "01",
    "-",
    "1.",
    "1.e3",
    "tru",
    "truex",
    "nul",
    "\"\\ud800\"",
    "\"\\ud83d\\ude9c\"",
    "\"\\x\"",
    "\"\u{1}\"",
    "\"\u{7f}\"",
    "\"",
    "",
    "{}",
    "[[]]",
    "1,1",
    "\"x\",\"a\":\"y\"",
];
const ACTIONS: &[&str] = &[
    r#""round":0"#,
    r#""round":3"#,
    r#""round":20"#,
    r#""bucket":0.5"#,
    r#""bucket":7"#,
    r#""truncate":"1m""#,
    r#""truncate":"7d""#,
    r#""mask":"hash""#,
    r#""mask":"redact""#,
    r#""mask":null"#,
    r#""mask":{"keep_last":2}"#,
    r#""mask":{"keep_first":1}"#,
    r#""const":{"a":1.0}"#,
    r#""const":7"#,
    r#""rename":"a""#,
    r#""rename":"b""#,
    r#""rename":"é""#,
    r#""rename":"n\"w""#,
    r#""rename":"ts""#,
    r#""rename":"new""#,
];

/// A record without its scalars: what stands before each of them, and at the end.
fn shape(random: &mut Random) -> Vec<String> {
    let (mut texts, mut out) = (Vec::new(), String::new());
    let has_blanks = random.one_in(5);
    if random.one_in(30) {
        // About as deep as a record may be.
        let depth = 124 + random.below(8);
        (0..depth).for_each(|at| out.push_str(if at % 2 == 0 { "{\"a\":" } else { "[" }));
        texts.push(std::mem::take(&mut out));
        (0..depth).rev().for_each(|at| out.push(if at % 2 == 0 { '}' } else { ']' }));
    } else {
        object(random, 0, has_blanks, &mut texts, &mut out);
    }
    texts.push(out);
    texts
}

fn blank(random: &mut Random, has_blanks: bool) -> &'static str {
    if has_blanks { random.of(&["", "", " ", "\n\t"]) } else { "" }
}

fn object(random: &mut Random, depth: usize, has_blanks: bool, texts: &mut Vec<String>, out: &mut String) {
    out.push('{');
    for at in 0..random.below(if depth == 0 { 12 } else { 5 }) {
        out.push_str(if at > 0 { "," } else { "" });
        out.push_str(blank(random, has_blanks));
        let name = random.of(NAMES);
        out.push_str(&format!("\"{name}\"{}:{}", blank(random, has_blanks), blank(random, has_blanks)));
        value(random, depth + 1, has_blanks, texts, out);
        out.push_str(blank(random, has_blanks));
    }
    out.push('}');
}

fn value(random: &mut Random, depth: usize, has_blanks: bool, texts: &mut Vec<String>, out: &mut String) {
    match random.below(if depth > 4 { 5 } else { 9 }) {
        0..=4 => texts.push(std::mem::take(out)),
        5 | 6 => object(random, depth, has_blanks, texts, out),
        _ => {
            out.push('[');
            for at in 0..random.below(4) {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(blank(random, has_blanks));
                value(random, depth + 1, has_blanks, texts, out);
            }
            out.push(']');
        }
    }
}

/// A record of the shape, or one that is nearly of it.
fn record(random: &mut Random, shape: &[String], usual: &[String]) -> Vec<u8> {
    let mut text = String::new();
    let differs = random.one_in(12).then(|| random.below(shape.len()));
    let (last, before) = shape.split_last().expect("an end");
    for (at, piece) in before.iter().enumerate() {
        if differs == Some(at) {
            // Another name of the same length, or another text altogether.
            text.push_str(&piece.replacen(random.of(&["\"a\"", "fuel", "\"", "{"]), random.of(&["\"b\"", "coal", "\"x", "[", "{"]), 1));
        } else {
            text.push_str(piece);
        }
        let scalar = match random.below(300) {
            0..100 => random.of(SCALARS),
            100 => random.of(HOSTILE_SCALARS),
            _ => &usual[at % usual.len()],
        };
        text.push_str(scalar);
    }
    text.push_str(last);
    let mut text = text.into_bytes();
    if random.one_in(60) {
        text.truncate(random.below(text.len() + 1));
    }
    if random.one_in(60) && !text.is_empty() {
        let at = random.below(text.len());
        text[at] = [0xff, 0xc0, 0x80, 0, 0x1f, b'"', b'\\', b',', b' ', b'0'][random.below(10)];
    }
    text
}

fn path(random: &mut Random) -> String {
    let mut path = "$".to_owned();
    for _ in 0..[0, 1, 1, 1, 1, 1, 2, 2, 2, 3][random.below(10)] {
        path.push_str(match random.below(12) {
            0 | 1 => "[*]",
            2 => random.of(&["[?@.a==1]", "[?@.b=='x']", "[?@.a==null]", "[?@.c==true]", "[?@.d==7]"]),
            _ => random.of(PATH_NAMES),
        });
    }
    path
}

fn paths(random: &mut Random, most: usize) -> Vec<String> {
    (0..random.below(most + 1)).map(|_| path(random)).collect()
}

fn mapping(random: &mut Random) -> Mapping {
    let some = |random: &mut Random, most| -> Vec<Path> {
        paths(random, most).iter().filter_map(|path| Path::parse(path).ok()).filter(|path| !path.is_root()).collect()
    };
    let source = |random: &mut Random| some(random, 1).pop().map_or(FieldSource::Key, FieldSource::Path);
    let (tenant, asset) = (source(random), source(random));
    let time = if random.one_in(2) { Path::parse("$.ts").ok() } else { some(random, 1).pop() };
    Mapping { tenant, asset, key_format: None, time, rewrite_tenant: some(random, 1), rewrite_asset: some(random, 1) }
}

fn profile(random: &mut Random, stream: &Stream) -> Option<(Profile, String)> {
    let quoted = |paths: Vec<String>| paths.iter().map(|path| format!("\"{path}\"")).collect::<Vec<_>>().join(",");
    let include = if random.one_in(3) { "\"$\"".to_owned() } else { quoted(paths(random, 4)) };
    let transforms: Vec<String> =
        (0..random.below(5)).map(|_| format!(r#"{{"path":"{}",{}}}"#, path(random), random.of(ACTIONS))).collect();
    let section =
        format!(r#"{{"t":{{"include":[{include}],"exclude":[{}],"transform":[{}]}}}}"#, quoted(paths(random, 2)), transforms.join(","));
    let spec = ProfileSpec::read(&document::parse(section.as_bytes()).ok()?).ok()?;
    Some((Profile::compile(&spec, std::slice::from_ref(stream)), section))
}

/// How many records it was, and how many were projected.
fn world(seed: u64, remembering: &mut Projector, plain: &mut Projector) -> u64 {
    let mut random = Random(seed);
    let name = StreamName::parse("t").expect("a name");
    let stream = Stream { name, index: StreamIndex(0), mode: Mode::Append, topic: "t.raw".to_owned(), mapping: mapping(&mut random) };
    let profiles: Vec<_> = (0..6).filter_map(|_| profile(&mut random, &stream)).collect();
    // Few shapes in turn, or so many that hardly one comes again.
    let count = if random.one_in(8) { 200 } else { 1 + random.below(5) };
    let shapes: Vec<_> = (0..count).map(|_| shape(&mut random)).collect();
    let usual: Vec<Vec<String>> = shapes.iter().map(|_| (0..9).map(|_| random.of(SCALARS).to_owned()).collect()).collect();
    let (owners, targets) = (["northwind", "southwind"], [("acme", "EX-1"), ("zenith", "EX \"2\""), ("acme", "EX-3")]);
    let mut projected = 0;
    for _ in 0..RECORDS_OF_A_WORLD {
        let which = random.below(shapes.len());
        let bytes = &record(&mut random, &shapes[which], &usual[which])[..];
        let text = String::from_utf8_lossy(bytes);
        let is_read = plain.load(bytes).map(|_| ());
        assert_eq!(remembering.load(bytes).map(|_| ()), is_read, "seed {seed}: {text}");
        if is_read.is_err() {
            continue;
        }
        for (profile, section) in &profiles {
            let Some(projection) = profile.section(StreamIndex(0)) else { continue };
            let owner = owners[random.below(2)];
            for _ in 0..1 + random.below(3) {
                let (target, target_asset) = targets[random.below(3)];
                let parties = Parties { owner, target, target_asset };
                let provenance = Provenance { share: "s1", revision: 2, epoch: Epoch(7), permission: None, backfill: None };
                let provenance = random.one_in(2).then_some(&provenance);
                let (mut expected, mut found) = (Vec::new(), Vec::new());
                let steps = plain.project(bytes, projection, &parties, provenance, &mut expected).to_vec();
                let other = remembering.project(bytes, projection, &parties, provenance, &mut found);
                assert_eq!(
                    (String::from_utf8_lossy(&found), other),
                    (String::from_utf8_lossy(&expected), &steps[..]),
                    "seed {seed}: {section} of {text}"
                );
            }
        }
        projected += 1;
    }
    projected
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number: {text}")))
}

#[test]
fn a_remembered_shape_is_projected_as_a_walk_projects_it() {
    let (first, records) = (number("SHARECAST_SEED", 1), number("SHARECAST_RECORDS", RECORDS));
    println!("SHARECAST_SEED={first} SHARECAST_RECORDS={records}");
    // Some worlds go through one projector, so that what it remembers of earlier ones is there.
    let (mut done, mut seed, mut projected) = (0, first, 0);
    let secret = Some(&b"secret"[..]);
    let (mut remembering, mut plain) = (Projector::new(secret), Projector::plain(secret));
    while done < records {
        if seed % 16 == 0 {
            let secret = (seed % 64 != 0).then_some(&b"secret"[..]);
            (remembering, plain) = (Projector::new(secret), Projector::plain(secret));
        }
        projected += world(seed, &mut remembering, &mut plain);
        done += RECORDS_OF_A_WORLD;
        seed += 1;
    }
    println!("{done} records, {projected} of them read and projected");
    assert!(projected > 0, "records are projected");
}

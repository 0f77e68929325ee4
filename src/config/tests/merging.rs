//! Files, overrides, substitution, and how errors look.

use super::*;

fn with(files: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read_file = |path: &str| match path {
        "/run/secret" => Ok("hunter2\n".to_owned()),
        _ => Err("not found".to_owned()),
    };
    Config::load(files, &ConfigEnv { env: &env, read_file: &read_file, host_name: "localhost", takes_setting: &|_, _| Taken::Yes })
}

#[test]
fn later_files_override_key_by_key() {
    let base = ("base", "kafka: { group: a, client: { x: '1', y: '2' } }\nworkers: 3\nbatch:\n  max_records: 5\n");
    let config = with(&[base, ("over", "kafka: { bootstrap: 'b:1', client: { y: '3' } }\nbatch:\nworkers: null\n")], &[]).unwrap();
    assert_eq!((config.kafka.group.as_str(), config.kafka.bootstrap.as_str(), config.workers), ("a", "b:1", 2));
    assert_eq!((config.kafka.client.get("x"), config.kafka.client.get("y"), config.batch.max_records), (Some("1"), Some("3"), 5));
}

#[test]
fn an_error_names_the_file_that_wrote_the_value() {
    let errors = with(&[("base", "workers: 3\n"), ("over", "\nworkers: many\n")], &[]).unwrap_err();
    assert_eq!((errors.0.len(), errors.0[0].source.as_str(), errors.0[0].place.map(|p| p.line)), (1, "over", Some(2)));
}

#[test]
fn the_environment_overrides_all_files() {
    let env = [
        ("SHARECAST__WORKERS", "7"),
        ("SHARECAST__FENCE__MAX_VIEW_AGE", "2s"),
        ("SHARECAST__FENCE__ENABLED", "true"),
        ("SHARECAST__OUTPUT__HEADERS", "[a, b]"),
        ("SHARECAST__KAFKA__CLIENT__SASL_PASSWORD", "012"),
        ("SHARECAST__MASK__SECRET", "12345"),
        ("SHARECAST_WORKERS", "nonsense"),
    ];
    let config = with(&[("f", "workers: 3\n")], &env).unwrap();
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "environment variable SHARECAST_WORKERS: this changes nothing: two underscores stand between keys\n    write `SHARECAST__WORKERS`"
        ]
    );
    assert_eq!((config.workers, config.fence.max_view_age.millis(), config.output.headers.len()), (7, 2000, 2));
    assert_eq!((config.kafka.client.get("sasl.password"), config.mask_secret.unwrap().expose()), (Some("012"), &b"12345"[..]));
    let errors = with(&[], &[("SHARECAST__WORKERS", "many"), ("SHARECAST__KAFKA__BOOTSTRP", "x"), ("SHARECAST__OUTPUT__HEADERS", "[a")])
        .unwrap_err();
    let mut sources: Vec<_> = errors.0.iter().map(|d| d.source.as_str()).collect();
    sources.sort();
    assert_eq!(
        sources,
        [
            "environment variable SHARECAST__KAFKA__BOOTSTRP",
            "environment variable SHARECAST__OUTPUT__HEADERS",
            "environment variable SHARECAST__WORKERS"
        ]
    );
    assert!(errors.to_string().contains("the nearest key is `bootstrap`") && !errors.to_string().contains("many"), "{errors}");
}

#[test]
fn a_variable_with_single_underscores_that_spells_a_key_is_warned_about() {
    let warned = |name: &str| with(&[], &[(name, "x")]).unwrap().warnings.first().map(|warning| warning.instead.clone());
    for (name, right) in [
        ("SHARECAST_KAFKA_BOOTSTRAP", "SHARECAST__KAFKA__BOOTSTRAP"),
        ("SHARECAST_FENCE_MAX_VIEW_AGE", "SHARECAST__FENCE__MAX_VIEW_AGE"),
        ("SHARECAST_KAFKA_CLIENT_SASL_PASSWORD", "SHARECAST__KAFKA__CLIENT__SASL_PASSWORD"),
    ] {
        assert_eq!(warned(name), Some(format!("write `{right}`")));
    }
    for other in ["SHARECAST_TEST_BOOTSTRAP", "SHARECAST_SEED", "SHARECAST_HOME", "SHARECASTLE_WORKERS"] {
        assert_eq!(warned(other), None, "{other}");
    }
}

#[test]
fn values_come_from_the_environment_and_from_files() {
    let config = with(
        &[("f", "workers: ${env:N}\nmask: { secret: \"a-${file:/run/secret}$${x}\" }\nkafka: { group: \"g-${env:N}\" }\n")],
        &[("N", "4")],
    )
    .unwrap();
    assert_eq!((config.workers, config.kafka.group.as_str(), config.mask_secret.unwrap().expose()), (4, "g-4", &b"a-hunter2${x}"[..]));
    for (value, what) in
        [("${env:NOPE}", "`NOPE` is not set"), ("${file:/nope}", "cannot be read"), ("${N}", "neither"), ("${env:N", "without its `}`")]
    {
        let errors = with(&[("f", &format!("kafka:\n  group: \"{value}\"\n"))], &[("N", "4")]).unwrap_err();
        assert!(errors.0.len() == 1 && errors.0[0].what.contains(what) && errors.0[0].place.is_some(), "{errors}");
    }
}

#[test]
fn no_secret_is_shown() {
    let config = with(&[("f", "mask: { secret: hunter2 }\nkafka: { client: { sasl.password: hunter3 } }")], &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter"));
    for text in [
        "mask: { secret: [hunter2] }",
        "mask: { sercet: hunter2 }",
        "kafka: { client: { sasl.password: hunter2, acks: 1 } }",
        "workers: ${file:/run/secret}",
        "mask: { secret: \"hunter2 }",
        "kafka: { client: { ssl.key.pem: \"\n  hunter2\n  hunter2\", acks: 1 } }",
        "sasl.password: hunter2\n",
        "mask:\n  secret: |\n    hunter2\n bad: [\n",
        "mask: { secret: hunter2, secret: hunter2 }",
        "{\"mask\":{\"secret\":\"hunter2\",\"x\":1}}",
    ] {
        let shown = with(&[("f", text)], &[]).unwrap_err().to_string();
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

#[test]
fn everything_wrong_is_said_at_once_in_the_order_of_the_file() {
    let text = "workers: 0\nstreams:\n  telemetry:\n    modus: append\n    topic: telemetry.raw\n    asset: $.asset\nlate_grace: 5\n";
    let lines: Vec<u32> = faults(text).iter().map(|fault| fault.0).collect();
    assert_eq!(lines, [1, 3, 4, 7]);
    let shown = load(text).unwrap_err().to_string();
    let expected = "c.yaml:4:5: unknown key `streams.telemetry.modus`\n    modus: append\n    ^\n    the nearest key is `mode`\n";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn json_is_yaml_with_its_own_escapes_and_tabs() {
    let config = load("{\n\t\"mask\": {\n\t\t\"secret\": \"caf\\u00e9 \\ud83d\\udd11\"\n\t}\n}\n").unwrap();
    assert_eq!(config.mask_secret.unwrap().expose(), "café 🔑".as_bytes());
    let fault = fault("{\"workers\": 1,\n \"workers\": 2}");
    assert!(fault.0 == 2 && fault.2.contains("written twice"), "{fault:?}");
    assert_eq!(super::fault("{\"workers\": 1, \"x\": }}").0, 1);
}

#[test]
fn a_configuration_is_a_map() {
    for text in ["- a\n", "text", "5"] {
        refuses(text, "not a map");
    }
    assert!(load("").is_ok());
}

proptest::proptest! {
    #[test]
    fn hostile_files_never_panic(text in "[a-z{}\\[\\]:,.$'\"\\n *&é0-9-]{0,80}") {
        let _ = load(&text);
        let _ = load(&format!("streams:\n  s: {{ topic: t, tenant: key.tenant, asset: \"{text}\", key_format: \"{text}\" }}\noutput: {{ topic: \"{text}\" }}\n"));
    }
}

//! librdkafka's settings: their names, their values, and what of them is shown.

use super::*;
use crate::config::Taken;
use crate::config::kafka::spelling::canonical;

/// As librdkafka does, for a few settings.
fn takes(name: &str, value: &str) -> Taken {
    match canonical(name) {
        "sasl.password" | "sasl.username" | "ssl.key.password" | "debug" | "compression.codec" => Taken::Yes,
        "queue.buffering.max.ms" if value.parse::<f64>().is_ok() => Taken::Yes,
        "queue.buffering.max.ms" | "ssl.key.pem" => Taken::WrongValue(format!("Invalid value \"{value}\"")),
        _ => Taken::UnknownName(Some("sasl.password".to_owned())),
    }
}

fn load_with(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(&[("c.yaml", text)], &ConfigEnv { env: &env, takes_setting: &takes, ..ConfigEnv::none() })
}

fn shown(text: &str) -> String {
    load_with(text, &[]).unwrap_err().to_string()
}

#[test]
fn an_unknown_name_is_an_error_with_its_place_and_the_nearest() {
    let what = shown("kafka:\n  client:\n    sasl.pasword: hunter2\n");
    assert_eq!(
        what,
        "c.yaml:3:5: `kafka.client.sasl.pasword` is no setting of librdkafka\n    sasl.pasword: ***\n    ^\n    the nearest is `sasl.password`"
    );
}

#[test]
fn no_value_is_shown_of_what_may_be_a_secret() {
    for text in [
        "kafka: { client: { sasl.pasword: hunter2 } }",
        "kafka: { client: { sasl.password: hunter2, x: 1 } }",
        "kafka: { client: { x: 1, xyzzy: hunter2 } }",
        "kafka: { client: { ssl.key.pem: hunter2 } }",
        "kafka: { clent: { xyzzy: hunter2 } }",
        "kafak: { client: { sasl.pasword: hunter2 } }",
        "kafka: { client: { xyzzy: { a: hunter2 } } }",
        "kafka: { client: { xyzzy: [hunter2] } }",
        "workers: many\nkafka: { client: { a: hunter2, b: [ } }",
        "kafka:\n  client:\n    sasl.pasword: hunter2\n    b: [\n",
        "kafka:\n  client:\n    sasl.pasword: |\n      hunter2\n   b: 1\n",
        "{ \"kafka\": { \"client\": { \"sasl.pasword\": \"hunter2\", } } }",
        "kafka: { client: { sasl.username: x, sasl.username: hunter2 } }",
        "kafka: { client: { sasl.mechanism: x, sasl.mechanisms: hunter2 } }",
        "pasword: hunter2",
        "mask: { sercet: hunter2 }",
        "kafka: { producer: { linger.ms: '${env:P}' } }",
    ] {
        let error = load_with(text, &[("P", "hunter2")]).unwrap_err();
        assert!(!error.to_string().contains("hunter"), "{text}: {error}");
        assert!(!format!("{error:?}").contains("hunter"), "{text}: {error:?}");
    }
    for name in ["SHARECAST__KAFKA__CLIENT__SASL_PASWORD", "SHARECAST__KAFKA__CLIENT__SSL_KEY_PEM", "SHARECAST__KAFKA__PRODUCER__LINGER_MS"]
    {
        let error = load_with("", &[(name, "hunter2")]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("environment variable {name}: ")) && !error.contains("hunter"), "{error}");
    }
    let config = load_with("kafka: { client: { sasl.password: hunter2 } }", &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter"));
}

#[test]
fn a_wrong_value_of_a_harmless_setting_is_shown() {
    let what = shown("kafka:\n  producer:\n    linger.ms: soon\n");
    assert!(what.starts_with("c.yaml:3:5: `kafka.producer.linger.ms` cannot be `soon`"), "{what}");
    assert!(what.contains("linger.ms: soon"), "{what}");
}

#[test]
fn two_spellings_of_one_setting_are_one() {
    assert!(shown("kafka:\n  producer:\n    linger.ms: 5\n    queue.buffering.max.ms: 6\n").starts_with("c.yaml:4:5: "));
    // A later file lays over an earlier one, however each spells it.
    let files = [("a", "kafka: { producer: { linger.ms: 5 } }"), ("b", "kafka: { producer: { queue.buffering.max.ms: 6 } }")];
    for (files, wanted) in [(files, "6"), ([files[1], files[0]], "5")] {
        let config = Config::load(&files, &ConfigEnv::none()).unwrap();
        let lingers: Vec<_> = config.kafka.producer.iter().filter(|(name, _)| *name != "compression.codec").collect();
        assert_eq!(lingers, [("queue.buffering.max.ms", wanted)]);
    }
}

#[test]
fn two_variables_that_spell_one_setting_are_one() {
    let both = [("SHARECAST__KAFKA__PRODUCER__LINGER_MS", "5"), ("SHARECAST__KAFKA__PRODUCER__QUEUE_BUFFERING_MAX_MS", "6")];
    let error = load_with("", &both).unwrap_err().to_string();
    assert!(error.starts_with("environment variable SHARECAST__KAFKA__PRODUCER__QUEUE_BUFFERING_MAX_MS: this and "), "{error}");
    assert!(error.contains("SHARECAST__KAFKA__PRODUCER__LINGER_MS are one setting"), "{error}");
    for one in both {
        assert!(load_with("", &[one]).is_ok());
    }
}

#[test]
fn compression_has_a_key_of_its_own() {
    let codec = |text: &str| load(text).map(|config| config.kafka.producer.get("compression.codec").unwrap().to_owned());
    for (text, word) in [
        ("", "lz4"),
        ("output: { compression: zstd }", "zstd"),
        ("output: { compression: none }", "none"),
        ("kafka: { producer: { compression.type: gzip } }", "gzip"),
        ("kafka: { producer: { compression.codec: Snappy } }", "snappy"),
        ("kafka: { client: { compression.codec: gzip } }", "gzip"),
        ("kafka: { client: { compression.type: gzip }, producer: { compression.codec: none } }", "none"),
    ] {
        assert_eq!(codec(text).unwrap(), word, "{text}");
    }
    for spelling in ["producer: { compression.type: lz4 }", "producer: { compression.codec: lz4 }", "client: { compression.type: lz4 }"] {
        refuses(&format!("output: {{ compression: lz4 }}\nkafka: {{ {spelling} }}\n"), "both say how records are compressed");
    }
    refuses("output: { compression: brotli }", "`output.compression` cannot be this text");
}

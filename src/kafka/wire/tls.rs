//! TLS by librdkafka's settings, through the OpenSSL that it brings: one trust store and one set of rules for both data planes.

use std::io;
use std::net::TcpStream;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::X509;

/// Where systems keep the certificates that they trust.
const TRUSTED: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The settings that are honoured here. A client with another one of `ssl.*` is librdkafka's.
pub(super) const HONOURED: [&str; 14] = [
    "enable.ssl.certificate.verification",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
];

/// How every connection of a client is made safe.
#[derive(Clone)]
pub(super) struct TlsSettings {
    connector: SslConnector,
    /// Whether a broker's certificate must be of the host that was asked for.
    checks_host: bool,
    verifies: bool,
}

impl TlsSettings {
    /// By librdkafka's settings of these names; none is not set.
    ///
    /// # Errors
    /// What cannot be read or is refused, without any value that may be a secret.
    pub(super) fn of(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(|error| error.to_string())?;
        let verifies = get("enable.ssl.certificate.verification").is_none_or(|word| word != "false");
        let checks_host = get("ssl.endpoint.identification.algorithm").is_none_or(|word| !word.eq_ignore_ascii_case("none"));
        if !verifies {
            builder.set_verify(SslVerifyMode::NONE);
        }
        let about = |name: &'static str| move |error: ErrorStack| format!("{name}: {error}");
        if let Some(list) = get("ssl.cipher.suites") {
            builder.set_cipher_list(&list).map_err(about("ssl.cipher.suites"))?;
        }
        if let Some(list) = get("ssl.curves.list") {
            builder.set_groups_list(&list).map_err(about("ssl.curves.list"))?;
        }
        if let Some(list) = get("ssl.sigalgs.list") {
            builder.set_sigalgs_list(&list).map_err(about("ssl.sigalgs.list"))?;
        }
        match (get("ssl.ca.pem"), get("ssl.ca.location").filter(|place| place != "probe")) {
            (Some(pem), _) => {
                for certificate in X509::stack_from_pem(pem.as_bytes()).map_err(about("ssl.ca.pem"))? {
                    builder.cert_store_mut().add_cert(certificate).map_err(about("ssl.ca.pem"))?;
                }
            }
            (None, Some(place)) => {
                let (file, folder) = if Path::new(&place).is_dir() { (None, Some(place.as_ref())) } else { (Some(place.as_ref()), None) };
                builder.load_verify_locations(file, folder).map_err(about("ssl.ca.location"))?;
            }
            (None, None) => {
                if let Some(place) = TRUSTED.iter().find(|place| Path::new(place).is_file()) {
                    builder.set_ca_file(place).map_err(about("the trusted certificates of this machine"))?;
                }
            }
        }
        let password = get("ssl.key.password");
        if let Some(pem) = get("ssl.certificate.pem") {
            let mut chain = X509::stack_from_pem(pem.as_bytes()).map_err(about("ssl.certificate.pem"))?.into_iter();
            let own = chain.next().ok_or("ssl.certificate.pem: it holds no certificate")?;
            builder.set_certificate(&own).map_err(about("ssl.certificate.pem"))?;
            for issuer in chain {
                builder.add_extra_chain_cert(issuer).map_err(about("ssl.certificate.pem"))?;
            }
        } else if let Some(place) = get("ssl.certificate.location") {
            builder.set_certificate_chain_file(place).map_err(about("ssl.certificate.location"))?;
        }
        if let Some(pem) = get("ssl.key.pem") {
            builder.set_private_key(&*private_key(pem.as_bytes(), password.as_deref(), "ssl.key.pem")?).map_err(about("ssl.key.pem"))?;
        } else if let Some(place) = get("ssl.key.location") {
            match std::fs::read(&place) {
                Ok(pem) if pem.starts_with(b"-----") => {
                    let key = private_key(&pem, password.as_deref(), "ssl.key.location")?;
                    builder.set_private_key(&key).map_err(about("ssl.key.location"))?;
                }
                Ok(_) => builder.set_private_key_file(place, SslFiletype::ASN1).map_err(about("ssl.key.location"))?,
                Err(error) => return Err(format!("ssl.key.location: {error}")),
            }
        }
        if let Some(place) = get("ssl.keystore.location") {
            let bytes = std::fs::read(place).map_err(|error| format!("ssl.keystore.location: {error}"))?;
            let store = Pkcs12::from_der(&bytes).and_then(|store| store.parse2(&get("ssl.keystore.password").unwrap_or_default()));
            let store = store.map_err(about("ssl.keystore.location"))?;
            if let (Some(key), Some(certificate)) = (store.pkey, store.cert) {
                builder.set_certificate(&certificate).map_err(about("ssl.keystore.location"))?;
                builder.set_private_key(&key).map_err(about("ssl.keystore.location"))?;
            }
            for issuer in store.ca.into_iter().flatten() {
                builder.add_extra_chain_cert(issuer).map_err(about("ssl.keystore.location"))?;
            }
        }
        Ok(Self { connector: builder.build(), checks_host, verifies })
    }

    /// Makes a connection to this host safe, within the waits of its socket.
    pub(super) fn handshake(&self, host: &str, stream: TcpStream) -> io::Result<SslStream<TcpStream>> {
        let mut configuration = self.connector.configure().map_err(io::Error::other)?;
        configuration.set_verify_hostname(self.checks_host && self.verifies);
        configuration.connect(host, stream).map_err(|error| io::Error::other(format!("TLS: {error}")))
    }
}

fn private_key(pem: &[u8], password: Option<&str>, name: &'static str) -> Result<PKey<Private>, String> {
    let key = match password {
        Some(password) => PKey::private_key_from_pem_passphrase(pem, password.as_bytes()),
        // Without a callback OpenSSL would ask at the terminal.
        None => PKey::private_key_from_pem_callback(pem, |_| Ok(0)),
    };
    key.map_err(|error| format!("{name}: {error}"))
}

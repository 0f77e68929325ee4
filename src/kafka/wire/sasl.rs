//! Logins: PLAIN and SCRAM (RFC 5802). What is said here is a secret and goes nowhere but to the broker.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sign::Signer;

/// No broker asks for more rounds; whoever does would have us compute for ever.
const MOST_ROUNDS: usize = 1_000_000;
const NONCE_BYTES: usize = 24;
/// There is no channel to bind to: `n,,` in base64.
const NO_BINDING: &str = "biws";

/// Who logs in, and how.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) mechanism: Mechanism,
    pub(super) username: String,
    pub(super) password: String,
}

/// How a login is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Plain, Self::ScramSha256, Self::ScramSha512].into_iter().find(|mechanism| mechanism.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Credentials {
    /// All that PLAIN says.
    pub(super) fn plain(&self) -> Vec<u8> {
        format!("\0{}\0{}", self.username, self.password).into_bytes()
    }

    /// A login by SCRAM, with a nonce of its own. None for PLAIN.
    pub(super) fn scram(&self) -> Result<Option<Scram<'_>>, ErrorStack> {
        let digest = match self.mechanism {
            Mechanism::Plain => return Ok(None),
            Mechanism::ScramSha256 => MessageDigest::sha256(),
            Mechanism::ScramSha512 => MessageDigest::sha512(),
        };
        let mut nonce = [0; NONCE_BYTES];
        openssl::rand::rand_bytes(&mut nonce)?;
        Ok(Some(Scram { credentials: self, digest, nonce: STANDARD.encode(nonce) }))
    }
}

/// A login by SCRAM.
pub(super) struct Scram<'c> {
    credentials: &'c Credentials,
    digest: MessageDigest,
    nonce: String,
}

/// What the server must say at the end: it knows the password too.
pub(super) struct ServerProof(Vec<u8>);

impl Scram<'_> {
    fn first_bare(&self) -> String {
        let username = self.credentials.username.replace('=', "=3D").replace(',', "=2C");
        format!("n={username},r={}", self.nonce)
    }

    /// The first word.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first_bare()).into_bytes()
    }

    /// The second and last word, after the server's first one.
    pub(super) fn last(&self, server_first: &[u8]) -> Result<(Vec<u8>, ServerProof), String> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| "the server's challenge is no text")?;
        let field = |name: char| server_first.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        let nonce = field('r').filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len());
        let nonce = nonce.ok_or("the server's challenge does not go with the question")?;
        let salt = field('s').and_then(|salt| STANDARD.decode(salt).ok()).ok_or("the server's challenge has no salt")?;
        let rounds = field('i').and_then(|rounds| rounds.parse().ok()).filter(|rounds| (1..=MOST_ROUNDS).contains(rounds));
        let rounds = rounds.ok_or("the server asks for a number of rounds that is none")?;

        let without_proof = format!("c={NO_BINDING},r={nonce}");
        let auth = format!("{},{server_first},{without_proof}", self.first_bare());
        let (proof, server) = self.proofs(&salt, rounds, auth.as_bytes()).map_err(|error| error.to_string())?;
        Ok((format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes(), ServerProof(server)))
    }

    /// The client's proof, and the server's.
    fn proofs(&self, salt: &[u8], rounds: usize, auth: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
        let mut salted = vec![0; self.digest.size()];
        pbkdf2_hmac(self.credentials.password.as_bytes(), salt, rounds, self.digest, &mut salted)?;
        let client_key = self.hmac(&salted, b"Client Key")?;
        let stored_key = hash(self.digest, &client_key)?;
        let signature = self.hmac(&stored_key, auth)?;
        let proof = client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
        let server_key = self.hmac(&salted, b"Server Key")?;
        Ok((proof, self.hmac(&server_key, auth)?))
    }

    fn hmac(&self, key: &[u8], text: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let key = PKey::hmac(key)?;
        let mut signer = Signer::new(self.digest, &key)?;
        signer.update(text)?;
        signer.sign_to_vec()
    }
}

impl ServerProof {
    /// Whether the server's last word is the one that only a server with the password can say.
    pub(super) fn accepts(&self, server_last: &[u8]) -> bool {
        let said = server_last.strip_prefix(b"v=").and_then(|rest| STANDARD.decode(rest.split(|byte| *byte == b',').next()?).ok());
        said.is_some_and(|said| said.len() == self.0.len() && openssl::memcmp::eq(&said, &self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    #[test]
    fn scram_is_that_of_the_rfc() {
        let credentials = Credentials { mechanism: Mechanism::ScramSha256, username: "user".to_owned(), password: "pencil".to_owned() };
        let digest = MessageDigest::sha256();
        let scram = Scram { credentials: &credentials, digest, nonce: "rOprNGfwEbeRWgbNEkqO".to_owned() };
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, server) = scram.last(challenge).unwrap();
        let wanted = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(last).unwrap(), wanted);
        assert!(server.accepts(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        for wrong in [&b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="[..], b"v=", b"e=other-error", b""] {
            assert!(!server.accepts(wrong));
        }
    }

    #[test]
    fn a_challenge_that_is_wrong_is_refused() {
        let credentials = Credentials { mechanism: Mechanism::ScramSha512, username: "a=b,c".to_owned(), password: "x".to_owned() };
        let scram = Scram { credentials: &credentials, digest: MessageDigest::sha512(), nonce: "mine".to_owned() };
        assert_eq!(scram.first(), b"n,,n=a=3Db=2Cc,r=mine");
        for wrong in [
            "r=other,s=QSXCR+Q6sek8bf92,i=4096",
            "r=mine,s=QSXCR+Q6sek8bf92,i=4096",
            "r=mine1,s=!,i=4096",
            "r=mine1,s=QSXCR+Q6sek8bf92,i=0",
            "r=mine1,s=QSXCR+Q6sek8bf92,i=99999999",
            "",
        ] {
            assert!(scram.last(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(scram.last(b"r=mine1,s=QSXCR+Q6sek8bf92,i=4096").is_ok());
    }
}

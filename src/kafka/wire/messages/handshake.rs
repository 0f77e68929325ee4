//! What a connection begins with: what the broker speaks, and the login.

use super::Api;
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::{FrameReader, FrameWriter, MalformedAnswer};

/// The feature whose level says by which protocol transactions end.
const TRANSACTION_VERSION: &str = "transaction.version";

/// What a broker speaks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::kafka::wire) struct BrokerVersions {
    pub(in crate::kafka::wire) error: ErrorCode,
    /// Key, oldest and newest version of each call.
    calls: Vec<(i16, i16, i16)>,
    /// Which state of the features it tells; a later one counts more.
    pub(in crate::kafka::wire) features_epoch: i64,
    /// The level of `transaction.version` that the cluster has agreed on.
    pub(in crate::kafka::wire) transaction_version: i16,
}

impl BrokerVersions {
    /// The first call that it does not speak in the version that is needed.
    pub(in crate::kafka::wire) fn lacks(&self) -> Option<Api> {
        let speaks = |api: &Api| {
            let known = self.calls.iter().find(|(key, ..)| *key == api.key());
            known.is_some_and(|(_, oldest, newest)| (*oldest..=*newest).contains(&api.version()))
        };
        // A broker without SASL does not list its calls.
        Api::ALL.into_iter().filter(|api| !matches!(api, Api::SaslHandshake | Api::SaslAuthenticate)).find(|api| !speaks(api))
    }
}

pub(in crate::kafka::wire) fn ask_versions(request: &mut FrameWriter) {
    request.string("sharecast").string(env!("CARGO_PKG_VERSION")).no_tags();
}

pub(in crate::kafka::wire) fn read_versions(mut answer: FrameReader<'_>) -> Result<BrokerVersions, MalformedAnswer> {
    let mut found = BrokerVersions { error: ErrorCode(answer.i16()?), features_epoch: -1, ..BrokerVersions::default() };
    if found.error == ErrorCode::UNSUPPORTED_VERSION {
        // Told in the oldest form, so that everybody can read it; the mock of librdkafka mixes it with another. Either is too old.
        found.calls = answer.old_array(6, |call| Ok((call.i16()?, call.i16()?, call.i16()?))).unwrap_or_default();
        return Ok(found);
    }
    found.calls = answer.array(7, |call| {
        let versions = (call.i16()?, call.i16()?, call.i16()?);
        call.skip_tags()?;
        Ok(versions)
    })?;
    let _throttle_ms = answer.i32()?;
    answer.tags(|tag, field| {
        match tag {
            1 => found.features_epoch = field.i64()?,
            2 => {
                let levels = field.array(6, |feature| {
                    let (name, newest) = (feature.string()?, feature.i16()?);
                    let _oldest = feature.i16()?;
                    feature.skip_tags()?;
                    Ok((name, newest))
                })?;
                let level = levels.into_iter().find(|(name, _)| *name == TRANSACTION_VERSION);
                found.transaction_version = level.map_or(0, |(_, level)| level);
            }
            _ => {}
        }
        Ok(())
    })?;
    answer.end()?;
    Ok(found)
}

pub(in crate::kafka::wire) fn ask_mechanism(request: &mut FrameWriter, mechanism: &str) {
    request.old_string(mechanism);
}

/// Whether the mechanism is taken, and which ones are.
pub(in crate::kafka::wire) fn read_mechanisms(mut answer: FrameReader<'_>) -> Result<(ErrorCode, Vec<String>), MalformedAnswer> {
    let error = ErrorCode(answer.i16()?);
    let mechanisms = answer.old_array(2, |mechanism| mechanism.old_string().map(str::to_owned))?;
    answer.end()?;
    Ok((error, mechanisms))
}

pub(in crate::kafka::wire) fn ask_login(request: &mut FrameWriter, token: &[u8]) {
    request.compact_bytes(token).no_tags();
}

/// What the broker says to a step of the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka::wire) struct LoginAnswer {
    pub(in crate::kafka::wire) error: ErrorCode,
    pub(in crate::kafka::wire) words: Option<String>,
    pub(in crate::kafka::wire) token: Vec<u8>,
    /// For how long the login counts; 0 is for ever.
    pub(in crate::kafka::wire) lifetime_ms: i64,
}

pub(in crate::kafka::wire) fn read_login(mut answer: FrameReader<'_>) -> Result<LoginAnswer, MalformedAnswer> {
    let error = ErrorCode(answer.i16()?);
    let words = answer.nullable_string()?.map(str::to_owned);
    let token = answer.compact_bytes()?.to_vec();
    let lifetime_ms = answer.i64()?;
    answer.skip_tags()?;
    answer.end()?;
    Ok(LoginAnswer { error, words, token, lifetime_ms })
}

//! The token that says to Apple who we are: signed by ourselves, used for a while, then signed anew.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use p256::ecdsa::SigningKey;
use satpost_domain::Timestamp;
use serde_json::json;

use crate::push::jwt::es256;

/// Apple refuses tokens that are older than an hour.
const USED_FOR: Duration = Duration::from_secs(50 * 60);
/// Apple refuses servers that sign more often than every 20 minutes.
const KEPT_FOR: Duration = Duration::from_secs(20 * 60);
/// Key ids and team ids have this many characters.
const ID_BYTES: usize = 10;

/// The signing key of an Apple developer team.
pub struct ApnsKey {
    key: SigningKey,
    key_id: String,
    team_id: String,
}

/// Why Apple's credentials cannot be used. Says nothing about the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApnsKeyError {
    /// The file is no key.
    #[error("the key file holds no P-256 key in PKCS#8 PEM, as Apple's .p8 files do")]
    Key,
    /// An id is none.
    #[error("{0} has {ID_BYTES} letters and digits")]
    Id(&'static str),
}

impl ApnsKey {
    /// Takes the text of a `.p8` file, the key's id and the team's id.
    ///
    /// # Errors
    /// [`ApnsKeyError`].
    pub fn new(pem: &str, key_id: &str, team_id: &str) -> Result<Self, ApnsKeyError> {
        let is_id =
            |id: &str| id.len() == ID_BYTES && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_id(key_id) {
            return Err(ApnsKeyError::Id("push.apns.key_id"));
        }
        if !is_id(team_id) {
            return Err(ApnsKeyError::Id("push.apns.team_id"));
        }
        let key = super::read_key(pem).ok_or(ApnsKeyError::Key)?;
        Ok(Self {
            key: SigningKey::from(&key),
            key_id: key_id.to_owned(),
            team_id: team_id.to_owned(),
        })
    }

    fn sign(&self, now: Timestamp) -> String {
        let header = json!({ "alg": "ES256", "kid": self.key_id });
        let claims = json!({ "iss": self.team_id, "iat": now.as_secs() });
        es256(&self.key, &header, &claims)
    }
}

/// Shows the ids only.
impl fmt::Debug for ApnsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApnsKey({} of {})", self.key_id, self.team_id)
    }
}

/// The token in use.
pub(super) struct ProviderToken {
    key: ApnsKey,
    signed: Mutex<Option<Signed>>,
}

struct Signed {
    token: String,
    at: Timestamp,
}

impl Signed {
    /// A token from the future was signed before the clock was put right.
    fn is_younger_than(&self, age: Duration, now: Timestamp) -> bool {
        self.at <= now && now.since(self.at) < age
    }
}

impl ProviderToken {
    pub(super) const fn new(key: ApnsKey) -> Self {
        Self {
            key,
            signed: Mutex::new(None),
        }
    }

    /// The token for now.
    pub(super) fn current(&self, now: Timestamp) -> String {
        self.token(now, |signed| signed.is_younger_than(USED_FOR, now))
            .0
    }

    /// Another token than `expired`; nothing when that one is so young that Apple would take another
    /// one as badly.
    pub(super) fn renew(&self, expired: &str, now: Timestamp) -> Option<String> {
        let keep =
            |signed: &Signed| signed.token != expired || signed.is_younger_than(KEPT_FOR, now);
        let (token, _) = self.token(now, keep);
        (token != expired).then_some(token)
    }

    /// The token that was signed last if it is to be kept, else a fresh one; true when it is fresh.
    fn token(&self, now: Timestamp, keep: impl Fn(&Signed) -> bool) -> (String, bool) {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signed) = signed.as_ref().filter(|signed| keep(signed)) {
            return (signed.token.clone(), false);
        }
        let token = self.key.sign(now);
        *signed = Some(Signed {
            token: token.clone(),
            at: now,
        });
        (token, true)
    }
}

#[cfg(test)]
mod tests {
    use p256::SecretKey;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn token() -> ProviderToken {
        ProviderToken::new(ApnsKey {
            key: SigningKey::from(SecretKey::from_slice(&[7; 32]).unwrap()),
            key_id: "ABCDE12345".to_owned(),
            team_id: "TEAM567890".to_owned(),
        })
    }

    fn minutes(minutes: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(minutes * 60))
    }

    #[test]
    fn uses_a_token_for_fifty_minutes() {
        let token = token();
        let first = token.current(NOW);
        assert_eq!(token.current(minutes(49)), first);
        assert_ne!(token.current(minutes(50)), first);
    }

    #[test]
    fn signs_anew_when_the_clock_was_put_back() {
        let token = token();
        let first = token.current(minutes(5));
        assert_ne!(token.current(NOW), first);
    }

    #[test]
    fn renews_an_expired_token_once_and_not_within_twenty_minutes() {
        let token = token();
        let first = token.current(NOW);
        assert_eq!(token.renew(&first, minutes(19)), None);
        let second = token.renew(&first, minutes(20)).unwrap();
        assert_ne!(first, second);
        let for_another = token.renew(&first, minutes(20));
        assert_eq!(
            for_another,
            Some(second.clone()),
            "somebody else was faster"
        );
        assert_eq!(token.renew(&second, minutes(21)), None);
    }

    #[test]
    fn refuses_ids_and_keys_that_are_none() {
        let error = |pem, key_id, team_id| ApnsKey::new(pem, key_id, team_id).unwrap_err();
        assert_eq!(
            error("", "short", "TEAM567890"),
            ApnsKeyError::Id("push.apns.key_id")
        );
        assert_eq!(
            error("", "ABCDE12345", "TEAM 67890"),
            ApnsKeyError::Id("push.apns.team_id")
        );
        assert_eq!(
            error("no key", "ABCDE12345", "TEAM567890"),
            ApnsKeyError::Key
        );
    }
}

//! Where the event log is. A connection string can have a password in it, so it is shown without.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use satpost_eventstoredb::adapter::{ConnectionString, ConnectionStringError, hide_credentials};
use serde::{Deserialize, Serialize, Serializer};

/// The word for the log in the data folder.
const EMBEDDED: &str = "embedded";

/// `embedded`, or a connection string of EventStoreDB. Debug, display and serialization hide user
/// and password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct LogLocation(String);

impl LogLocation {
    /// The log in the data folder.
    #[must_use]
    pub fn embedded() -> Self {
        Self(EMBEDDED.to_owned())
    }

    /// The text as it was given, with its password.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The cluster, or nothing when the log is embedded.
    ///
    /// # Errors
    /// [`ConnectionStringError`] when it is neither the word nor a connection string.
    pub fn cluster(&self) -> Result<Option<ConnectionString>, ConnectionStringError> {
        if self.0 == EMBEDDED {
            return Ok(None);
        }
        ConnectionString::parse(&self.0).map(Some)
    }
}

/// Takes any text; [`LogLocation::cluster`] checks it.
impl FromStr for LogLocation {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LogLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hide_credentials(&self.0))
    }
}

impl fmt::Debug for LogLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogLocation({self})")
    }
}

impl Serialize for LogLocation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    #[expect(
        clippy::result_large_err,
        reason = "the signature of figment's test jail"
    )]
    fn comes_from_the_environment_and_is_shown_without_its_password() {
        figment::Jail::expect_with(|jail| {
            jail.set_env("SATPOSTD_LOG", "esdb://admin:secret@db.example:2113");
            let config = Config::load(None, &[]).unwrap();
            assert!(config.log.cluster().unwrap().is_some());
            let shown = toml::to_string_pretty(&config).unwrap();
            assert!(shown.contains("esdb://***@db.example:2113"), "{shown}");
            assert!(!format!("{shown} {config:?}").contains("secret"));
            Ok(())
        });
    }

    #[test]
    #[expect(
        clippy::result_large_err,
        reason = "the signature of figment's test jail"
    )]
    fn refuses_what_is_no_log_and_shows_no_password() {
        figment::Jail::expect_with(|jail| {
            jail.set_env("SATPOSTD_LOG", "esdb://admin:secret@db.example:port");
            let error = Config::load(None, &[]).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
            jail.set_env("SATPOSTD_LOG", "embeded");
            assert!(Config::load(None, &[]).is_err());
            Ok(())
        });
    }
}

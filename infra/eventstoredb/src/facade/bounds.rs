//! The bounds of the facade. What its events may be like is bounded by the domain.

/// How many subscriptions the facade serves at a time.
pub(in crate::facade) const SUBSCRIPTIONS_MAX: usize = 256;
/// How many connections the facade has open at a time.
pub(in crate::facade) const CONNECTIONS_MAX: usize = 64;
/// How many events the facade reads at once for one call.
pub(in crate::facade) const PAGE_EVENTS: usize = 128;
/// The longest regular expression that the facade filters with, in bytes.
pub(in crate::facade) const REGEX_BYTES_MAX: usize = 1_024;
/// How many appends of one batch call the facade works on at once.
pub(in crate::facade) const APPENDS_IN_FLIGHT_MAX: usize = 64;

//! What is true of a watch list now.

use std::collections::BTreeMap;

use crate::ids::WatchId;
use crate::script::Script;

/// The state of one watch list; the default is empty.
///
/// An entry whose script was erased is no longer watched, so it does not appear here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watchlist {
    pub(super) by_script: BTreeMap<Script, WatchId>,
    pub(super) by_id: BTreeMap<WatchId, Script>,
}

//! Content that may be forgotten while the fact that it was there stays.

/// A part of an event whose bytes lie in the payload store and can be erased.
///
/// Replay and rebuild must work with both forms: an event outlives its sealed part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sealed<T> {
    /// The content is still there.
    Present(T),
    /// The content was erased; only the event remains.
    Erased,
}

impl<T> Sealed<T> {
    /// The content, if it is still there.
    #[must_use]
    pub const fn as_option(&self) -> Option<&T> {
        match self {
            Self::Present(content) => Some(content),
            Self::Erased => None,
        }
    }
}

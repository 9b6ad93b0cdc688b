//! Keeps a [`crate::ReadModel`] up to date: snapshot, catch-up, follow.

//! What the handler promises.

//! Property tests of the aggregates against models that are simple enough to be believed.

mod chain;

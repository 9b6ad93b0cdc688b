//! The bounded part of the crash laboratory. The same experiments run at the size of a release with
//! `make crashlab`.

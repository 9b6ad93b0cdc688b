//! `crashlab`: runs the experiments by hand.

fn main() {
    let options = satpost_crashlab::storage_operations::Options::new(1, 12);
    let report = satpost_crashlab::storage_operations::run(options);
    eprintln!("{report}");
}

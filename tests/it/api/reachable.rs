//! Every problem code is met by a test of this folder.

use std::fs;
use std::path::Path;

use satpost_api_types::problem::ProblemCode;
use satpost_tests::files::files_below;

#[test]
fn every_problem_code_is_met_by_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/api");
    let mut tests = String::new();
    for file in files_below(&folder) {
        tests += &fs::read_to_string(file).unwrap();
    }
    for code in ProblemCode::ALL {
        let met = tests.contains(&format!("Code::{code:?})"))
            || tests.contains(&format!("Code::{code:?},"));
        assert!(met, "no test meets {}", code.as_str());
    }
}

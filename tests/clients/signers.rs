//! Published signers of RFC 9421 make requests that the server takes, with one key and with two.

use satpost_api_types::problem::ProblemCode as Code;
use satpost_tests::http_server::HttpServer;

use crate::script::Script;

#[tokio::test]
async fn a_signer_for_python_is_understood() {
    let server = HttpServer::start().await;
    let printed = Script::python("signer").run(&[&server.base()]).await;
    assert_eq!(printed.trim(), Code::SignatureInvalid.as_str());
    server.stop().await;
}

#[tokio::test]
async fn a_signer_for_node_is_understood() {
    let server = HttpServer::start().await;
    let printed = Script::node("signer").run(&[&server.base()]).await;
    assert_eq!(printed.trim(), Code::SignatureMissing.as_str());
    server.stop().await;
}

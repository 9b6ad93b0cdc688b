//! Many questions in one call.

use bitcoincore_rpc::jsonrpc;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Inner, RpcError};

impl Inner {
    /// Asks the same method with each of `parameters`; the answers are in their order.
    pub(super) fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: &[Value],
    ) -> Result<Vec<Result<T, RpcError>>, RpcError> {
        let parameters: Vec<_> = parameters.iter().map(jsonrpc::arg).collect();
        let answers = self.with_client(method, |client| {
            let client = client.get_jsonrpc_client();
            let requests: Vec<_> = parameters
                .iter()
                .map(|parameters| client.build_request(method, Some(parameters)))
                .collect();
            client.send_batch(&requests).map_err(Into::into)
        })?;
        let answers = answers.into_iter().map(|answer| match answer {
            Some(answer) => answer
                .result()
                .map_err(|error| self.explain(method, error.into())),
            None => Err(RpcError::Unexpected {
                method,
                reason: "an answer is missing in a batch".to_owned(),
            }),
        });
        Ok(answers.collect())
    }
}

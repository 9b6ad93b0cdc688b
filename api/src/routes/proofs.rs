//! That a transaction is in a block, so that a phone can check it by itself.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use satpost_api_types::problem::ProblemCode;
use satpost_api_types::transactions::TransactionProof;
use satpost_domain::ClientId;
use satpost_domain::chain::BlockRef;
use satpost_domain::ids::Txid;
use satpost_projections::transaction_status::Status;

use crate::extract::{Query, Registered, State};
use crate::ports::BlockProof;
use crate::problem::ApiError;
use crate::respond::found;

/// The transaction id of the path.
pub(crate) struct NamedTransaction(Txid);

impl FromRequest for NamedTransaction {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let txid = request.match_info().query("txid").parse();
        std::future::ready(
            txid.map(Self)
                .map_err(|_| ApiError::malformed("a transaction id has 64 hexadecimal characters")),
        )
    }
}

/// Proves that a transaction is in its block.
///
/// Signed by the identity key of a registered client, for transactions that touch its watched
/// addresses. The Merkle path leads to the root in the header; that the header belongs to the chain is
/// for the client to know.
#[utoipa::path(
    get, path = "/v1/transactions/{txid}/proof", tag = "transactions", security(("signature" = [])),
    params(("txid" = String, Path, pattern = "^[0-9a-f]{64}$", description = "The transaction id, in display order")),
    responses((status = 200, description = "The proof", body = TransactionProof))
)]
pub(crate) async fn get_transaction_proof(
    state: State,
    named: NamedTransaction,
    query: Query<Registered>,
) -> Result<HttpResponse, ApiError> {
    let NamedTransaction(txid) = named;
    let block = block_of(&state, &query.subject.0, &txid)?;
    let proof = state.proofs.block_proof(txid, block.hash).await?;
    Ok(found(transaction_proof(block, &proof)))
}

/// The block in which a transaction of `client` is.
fn block_of(state: &State, client: &ClientId, txid: &Txid) -> Result<BlockRef, ApiError> {
    let scripts = state.read_model.watched_scripts().hashes(client);
    let status = state.read_model.transaction_status();
    let unknown = || ApiError::new(ProblemCode::UnknownTransaction);
    let record = status.find(&scripts, txid).ok_or_else(unknown)?;
    match record.place().map(|place| place.state) {
        Some(Status::Confirmed { block }) => Ok(block),
        _ => Err(ApiError::new(ProblemCode::NotConfirmed)),
    }
}

fn transaction_proof(block: BlockRef, proof: &BlockProof) -> TransactionProof {
    TransactionProof {
        block_height: block.height,
        block_hash: block.hash.to_string(),
        header: hex::encode(proof.header),
        merkle: proof.merkle.iter().map(hex::encode).collect(),
        pos: proof.pos,
        tx: hex::encode(&proof.transaction),
    }
}

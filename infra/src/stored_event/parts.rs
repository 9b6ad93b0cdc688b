//! Structs that occur inside several events.

use satpost_domain::chain::{BlockRef, OutPoint, Touch};
use satpost_domain::ids::{BlockHash, ScriptHash, TokenHash, Txid};
use satpost_domain::mailbox::{DeliveryToken, TokenUse};
use serde::{Deserialize, Serialize};

use super::codes::Coded;

/// Name and type of each field, in the order of the bytes.
pub(super) type Fields = &'static [(&'static str, &'static str)];

macro_rules! stored_part {
    (
        $(#[doc = $doc:literal])+
        $name:ident { $($field:ident: $type:ty),+ $(,)? }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Serialize, Deserialize)]
        pub(super) struct $name { $($field: $type),+ }

        impl $name {
            const PART: (&'static str, Fields) = (
                stringify!($name),
                &[$((stringify!($field), stringify!($type))),+],
            );
        }
    };
}

stored_part!(
    /// A block.
    Block { height: u32, hash: BlockHash }
);
stored_part!(
    /// An output of a transaction.
    Output { txid: Txid, vout: u32 }
);
stored_part!(
    /// How a transaction touches a script; `outputs` are pairs of index and satoshi.
    Touched {
        script_hash: ScriptHash,
        received_sat: u64,
        spent_sat: u64,
        outputs: Vec<(u32, u64)>,
    }
);

stored_part!(
    /// A delivery token as its mailbox knows it.
    Token { hash: TokenHash, uses: Coded<TokenUse> }
);

/// Every part, for the catalogue.
pub(super) const ALL: [(&str, Fields); 4] = [Block::PART, Output::PART, Touched::PART, Token::PART];

impl From<DeliveryToken> for Token {
    fn from(token: DeliveryToken) -> Self {
        Self {
            hash: token.hash,
            uses: Coded(token.uses),
        }
    }
}

impl From<Token> for DeliveryToken {
    fn from(token: Token) -> Self {
        let Coded(uses) = token.uses;
        Self {
            hash: token.hash,
            uses,
        }
    }
}

impl From<&BlockRef> for Block {
    fn from(block: &BlockRef) -> Self {
        Self {
            height: block.height,
            hash: block.hash,
        }
    }
}

impl From<Block> for BlockRef {
    fn from(block: Block) -> Self {
        Self {
            height: block.height,
            hash: block.hash,
        }
    }
}

impl From<&Touch> for Touched {
    fn from(touch: &Touch) -> Self {
        Self {
            script_hash: touch.script_hash,
            received_sat: touch.received_sat,
            spent_sat: touch.spent_sat,
            outputs: touch.outputs.clone(),
        }
    }
}

impl From<Touched> for Touch {
    fn from(touch: Touched) -> Self {
        Self {
            script_hash: touch.script_hash,
            received_sat: touch.received_sat,
            spent_sat: touch.spent_sat,
            outputs: touch.outputs,
        }
    }
}

impl From<OutPoint> for Output {
    fn from(outpoint: OutPoint) -> Self {
        Self {
            txid: outpoint.txid,
            vout: outpoint.vout,
        }
    }
}

impl From<Output> for OutPoint {
    fn from(output: Output) -> Self {
        Self {
            txid: output.txid,
            vout: output.vout,
        }
    }
}

/// The stored form of the outputs a transaction spends.
pub(super) fn store_inputs(inputs: &[OutPoint]) -> Vec<Output> {
    inputs.iter().copied().map(Into::into).collect()
}

/// The outputs a transaction spends.
pub(super) fn load_inputs(inputs: Vec<Output>) -> Vec<OutPoint> {
    inputs.into_iter().map(Into::into).collect()
}

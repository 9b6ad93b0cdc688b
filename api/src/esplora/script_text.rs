//! Scripts as words and by kind, with the names that Esplora gives them.

use bitcoin::blockdata::script::Instruction;
use bitcoin::opcodes::{Class, ClassifyContext, Opcode};
use bitcoin::{Script, TxIn, TxOut};

/// The kind of a locking script.
pub(super) fn kind(script: &Script) -> &'static str {
    if script.is_empty() {
        "empty"
    } else if script.is_op_return() {
        "op_return"
    } else if script.is_p2pk() {
        "p2pk"
    } else if script.is_p2pkh() {
        "p2pkh"
    } else if script.is_p2sh() {
        "p2sh"
    } else if script.is_p2wpkh() {
        "v0_p2wpkh"
    } else if script.is_p2wsh() {
        "v0_p2wsh"
    } else if script.is_p2tr() {
        "v1_p2tr"
    } else if can_never_be_spent(script) {
        "provably_unspendable"
    } else {
        "unknown"
    }
}

/// True when the first operation fails whatever stands before the script.
fn can_never_be_spent(script: &Script) -> bool {
    let first = script.as_bytes().first().map(|byte| Opcode::from(*byte));
    first.is_some_and(|opcode| {
        matches!(
            opcode.classify(ClassifyContext::Legacy),
            Class::ReturnOp | Class::IllegalOp
        )
    })
}

/// The scripts inside the input, as words: that of P2SH, and that of P2WSH or of a taproot leaf.
pub(super) fn inner_scripts(input: &TxIn, prevout: &TxOut) -> (Option<String>, Option<String>) {
    let locking = &prevout.script_pubkey;
    let redeem = locking.is_p2sh().then(|| last_push(&input.script_sig));
    let redeem = redeem.flatten();
    let is_p2wsh = locking.is_p2wsh() || redeem.is_some_and(Script::is_p2wsh);
    let witness = if is_p2wsh {
        input.witness.last().map(Script::from_bytes)
    } else if locking.is_p2tr() {
        leaf(input)
    } else {
        None
    };
    (
        redeem.map(Script::to_asm_string),
        witness.map(Script::to_asm_string),
    )
}

/// The script of a taproot leaf: the last but one element when there are two or more, an annex
/// not counted (BIP 341). A key spend has none.
fn leaf(input: &TxIn) -> Option<&Script> {
    let mut items: Vec<&[u8]> = input.witness.iter().collect();
    if items.len() >= 2 && items.last().is_some_and(|last| last.first() == Some(&0x50)) {
        items.pop();
    }
    let count = items.len();
    (count >= 2).then(|| Script::from_bytes(items[count - 2]))
}

fn last_push(script: &Script) -> Option<&Script> {
    match script.instructions().last()?.ok()? {
        Instruction::PushBytes(bytes) => Some(Script::from_bytes(bytes.as_bytes())),
        Instruction::Op(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::ScriptBuf;

    use super::*;

    fn kind_of(hex: &str) -> &'static str {
        kind(&ScriptBuf::from_hex(hex).unwrap())
    }

    #[test]
    fn names_every_kind() {
        let key = "02".to_owned() + &"11".repeat(32);
        assert_eq!(kind_of(""), "empty");
        assert_eq!(kind_of("6a0401020304"), "op_return");
        assert_eq!(kind_of(&format!("21{key}ac")), "p2pk");
        assert_eq!(kind_of(&format!("76a914{}88ac", "22".repeat(20))), "p2pkh");
        assert_eq!(kind_of(&format!("a914{}87", "22".repeat(20))), "p2sh");
        assert_eq!(kind_of(&format!("0014{}", "22".repeat(20))), "v0_p2wpkh");
        assert_eq!(kind_of(&format!("0020{}", "22".repeat(32))), "v0_p2wsh");
        assert_eq!(kind_of(&format!("5120{}", "22".repeat(32))), "v1_p2tr");
        // OP_VERIF is illegal wherever it stands.
        assert_eq!(kind_of("65"), "provably_unspendable");
        // Pay to anchor, and a script of one's own.
        assert_eq!(kind_of("51024e73"), "unknown");
        assert_eq!(kind_of("51"), "unknown");
    }
}

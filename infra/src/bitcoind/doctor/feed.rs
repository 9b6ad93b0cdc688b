//! What the node's notifications lack.

use super::{Code, Finding};
use crate::bitcoind::check::{FeedQuality, feed_quality, publication};
use crate::bitcoind::rpc::Publication;

/// What should be changed about what the node publishes.
pub(super) fn findings(all: &[Publication]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(sequence) = publication(all, "pubsequence") {
        findings.extend(sequence_findings(sequence, all));
    } else {
        let sentence = "the node does not announce the changes of its mempool and its blocks; it is asked \
             once a second instead";
        let finding = Finding::new(Code::SequenceMissing, sentence);
        findings.push(finding.with_setting("zmqpubsequence=tcp://127.0.0.1:28334"));
    }
    match publication(all, "pubrawtx") {
        Some(rawtx) if rawtx.high_water_mark != 0 => {
            let sentence = format!(
                "the node drops transactions when {} wait, fewer than one full block causes; each that is \
                 missing is asked for by JSON-RPC",
                rawtx.high_water_mark
            );
            let finding = Finding::new(Code::RawtxDrops, sentence);
            findings.push(finding.with_setting("zmqpubrawtxhwm=0"));
        }
        Some(_) => {}
        None => {
            let sentence = "the node does not announce transactions; each is asked for by JSON-RPC";
            let finding = Finding::new(Code::RawtxMissing, sentence);
            findings.push(finding.with_setting("zmqpubrawtx=tcp://127.0.0.1:28333"));
        }
    }
    findings
}

fn sequence_findings(sequence: &Publication, all: &[Publication]) -> Option<Finding> {
    let shared: Vec<&str> = all
        .iter()
        .filter(|other| other.topic != sequence.topic && other.address == sequence.address)
        .map(|other| other.topic.trim_start_matches("pub"))
        .collect();
    let shares = format!(
        "at {} with {}; give it an address of its own",
        sequence.address,
        shared.join(", ")
    );
    let own = "zmqpubsequence=unix:/run/bitcoind/sequence.sock";
    match feed_quality(all) {
        FeedQuality::Lossy if sequence.high_water_mark != 0 => {
            let sentence = format!(
                "the node drops announcements of changes when {} wait, fewer than one full block causes; it is \
                 asked once a second as well",
                sequence.high_water_mark
            );
            let finding = Finding::new(Code::SequenceDrops, sentence);
            Some(finding.with_setting("zmqpubsequencehwm=0"))
        }
        FeedQuality::Lossy => {
            let sentence =
                format!("the node drops announcements of changes, which share a limit {shares}");
            Some(Finding::new(Code::SequenceDrops, sentence).with_setting(own))
        }
        FeedQuality::Complete if !shared.is_empty() => {
            let sentence =
                format!("the announcements of changes are delayed, being published {shares}");
            Some(Finding::new(Code::SequenceShared, sentence).with_setting(own))
        }
        FeedQuality::Complete | FeedQuality::Absent => None,
    }
}

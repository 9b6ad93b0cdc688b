//! How fast blocks are searched for very many scripts, beside a full parse with the `bitcoin` crate
//! and a hash map, and how much memory a script takes.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use bitcoin::Block;
use bitcoin::consensus::encode::deserialize;
use satpost_domain::ids::{CommandId, EventId, RequestDigest, WatchId};
use satpost_domain::script::Script;
use satpost_domain::watchlist::{WatchOptions, WatchlistEvent};
use satpost_domain::{
    ClientId, Envelope, Metadata, Position, Revision, Sealed, StreamId, Timestamp,
};
use satpost_projections::Projection as _;
use satpost_projections::watched_scripts::WatchedScripts;

use super::quantile;
use super::synthetic::{Numbers, block, script};
use crate::bench::BenchError;
use crate::bench::cost::resident_bytes;
use crate::bench::report::Report;
use crate::bitcoind::block_search;
use crate::bitcoind::rpc::RawBlock;
use crate::bitcoind::scanner::{self, MalformedBlock, Visitor};

/// How many blocks are searched in a round: more than the caches of a processor hold.
const BLOCKS: usize = 48;
/// How many scripts a client has.
const SCRIPTS_PER_CLIENT: u64 = 1_000;
const SEED: u64 = 0x5ca1_ab1e;

/// Measures with `count` watched scripts.
pub(super) fn run(count: usize, rounds: usize, report: &mut Report) -> Result<(), BenchError> {
    let mut numbers = Numbers(SEED);
    let blocks: Vec<RawBlock> = (0..BLOCKS)
        .map(|_| block(&mut numbers, count as u64))
        .collect();
    let bytes: usize = blocks.iter().map(|block| block.bytes.len()).sum();
    let megabytes = bytes as f64 / 1e6;

    // One after the other, so that both fit into memory.
    let before = resident_bytes();
    let watched = watched_scripts(count as u64);
    let per_script = (resident_bytes() - before) / count as f64;
    let (mut ours, mut with_ids, mut walks) = (Vec::new(), Vec::new(), Vec::new());
    let mut found = 0;
    for _ in 0..rounds {
        let (touches, seconds) = timed(&blocks, |block| search(block, &watched))?;
        found = touches;
        ours.push(megabytes / seconds);
        let (_, seconds) = timed(&blocks, |block| {
            black_box(block_search::transactions(block)?);
            search(block, &watched)
        })?;
        with_ids.push(megabytes / seconds);
        let (_, seconds) = timed(&blocks, walk)?;
        walks.push(megabytes / seconds);
    }
    drop(watched);
    let scripts: HashMap<Vec<u8>, ()> = (0..count as u64)
        .map(|number| (script(number).into_bytes(), ()))
        .collect();
    let mut theirs = Vec::new();
    for _ in 0..rounds {
        let (outputs, seconds) = timed(&blocks, |block| Ok(parse(block, &scripts)))?;
        theirs.push(megabytes / seconds);
        if outputs > found {
            return Err(BenchError::of("the search of blocks")(format!(
                "{found} touches were found, and {outputs} outputs alone are of watched scripts"
            )));
        }
    }
    let case = format!("search for {count} scripts");
    let baseline = quantile(&mut theirs, 0.5);
    report.compared(&case, "speed", quantile(&mut ours, 0.5), "MB/s", baseline);
    let with_ids = quantile(&mut with_ids, 0.5);
    report.compared(&case, "with all ids", with_ids, "MB/s", baseline);
    report.compared(
        &case,
        "walk alone",
        quantile(&mut walks, 0.5),
        "MB/s",
        baseline,
    );
    report.figure(&case, "found", found as f64, "outputs and spends");
    report.figure(&case, "memory", per_script, "bytes/script");
    Ok(())
}

fn timed(
    blocks: &[RawBlock],
    mut one: impl FnMut(&RawBlock) -> Result<usize, MalformedBlock>,
) -> Result<(usize, f64), BenchError> {
    let start = Instant::now();
    let mut found = 0;
    for block in blocks {
        found += one(block).map_err(BenchError::of("the search of blocks"))?;
    }
    Ok((black_box(found), start.elapsed().as_secs_f64()))
}

/// How many outputs and spends of watched scripts there are.
fn search(block: &RawBlock, watched: &WatchedScripts) -> Result<usize, MalformedBlock> {
    let found = block_search::search(block, |script| watched.lookup(script), |_| None)?;
    let touches = found.sightings.iter().flat_map(|found| &found.touches);
    Ok(touches
        .map(|touch| touch.outputs.len() + usize::from(touch.spent_sat > 0))
        .sum())
}

/// Reads everything and looks for nothing.
fn walk(block: &RawBlock) -> Result<usize, MalformedBlock> {
    struct Outputs(usize);
    impl Visitor for Outputs {
        fn output(&mut self, _vout: u32, _value_sat: u64, script: &[u8]) {
            self.0 += script.len();
        }
    }
    let mut outputs = Outputs(0);
    scanner::walk(&block.bytes, block.spent.as_deref(), &mut outputs)?;
    Ok(outputs.0)
}

/// The baseline: every transaction built, and every output looked up. What is spent is not known
/// to it.
fn parse(block: &RawBlock, scripts: &HashMap<Vec<u8>, ()>) -> usize {
    let Ok(block) = deserialize::<Block>(&block.bytes) else {
        return 0;
    };
    let outputs = block.txdata.iter().flat_map(|body| &body.output);
    outputs
        .filter(|output| scripts.contains_key(output.script_pubkey.as_bytes()))
        .count()
}

fn watched_scripts(count: u64) -> WatchedScripts {
    let mut watched = WatchedScripts::default();
    for number in 0..count {
        watched.apply(&watched_event(number));
    }
    watched
}

fn watched_event(number: u64) -> Envelope {
    let mut client = [0; 32];
    client[..8].copy_from_slice(&(number / SCRIPTS_PER_CLIENT).to_le_bytes());
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    let at = Timestamp::from_millis(0);
    let script = Script::new(script(number).as_bytes());
    Envelope {
        stream: StreamId::watchlist(ClientId::from_stored(client)),
        revision: Revision(number % SCRIPTS_PER_CLIENT),
        position: Position::new(number + 1, 0),
        event_id: EventId::new(id),
        metadata: Metadata {
            command_id: CommandId::new(id),
            request_digest: RequestDigest::new(id),
            recorded_at: at,
        },
        event: WatchlistEvent::AddressWatched {
            id: WatchId::new(id),
            target: Sealed::Present(script.expect("a usual script can be watched").into()),
            options: WatchOptions::default(),
            at,
        }
        .into(),
    }
}

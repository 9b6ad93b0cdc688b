//! Random operations, compared one by one with a model that is too simple to be wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use satpost_commands::ports::{Appended, Expected, LogError};
use satpost_domain::{EventId, Position, Revision};

use crate::cases::{at, event_with_payload, expected_ids, ids, payload_id, stream};
use crate::harness::Harness;

/// One step of a random run. Streams, ids and payloads are few, so that steps meet.
#[derive(Debug, Clone)]
enum Step {
    Append {
        stream: u8,
        /// How far off the expectation is; 0 is right.
        off: i8,
        first_id: u8,
        count: u8,
        erase: Vec<u8>,
    },
    RepeatLast,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let append = (
        0..4_u8,
        prop_oneof![4 => Just(0_i8), 1 => -2..3_i8],
        0..6_u8,
        0..4_u8,
        prop::collection::vec(0..12_u8, 0..3),
    )
        .prop_map(|(stream, off, first_id, count, erase)| Step::Append {
            stream,
            off,
            first_id,
            count,
            erase,
        });
    prop_oneof![12 => append, 2 => Just(Step::RepeatLast), 1 => Just(Step::Reopen)]
}

/// The log as two lists and a map.
#[derive(Default)]
struct Model {
    /// Stream and id of every event.
    log: Vec<(u8, EventId)>,
    payloads: BTreeMap<u8, Vec<u8>>,
}

impl Model {
    /// The positions of a stream's events.
    fn stream(&self, stream: u8) -> Vec<u64> {
        let positions = (1..).zip(&self.log);
        positions
            .filter(|(_, (of, _))| *of == stream)
            .map(|(position, _)| position)
            .collect()
    }

    fn append(
        &mut self,
        stream: u8,
        expected: Option<u64>,
        numbers: std::ops::Range<u64>,
        erase: &[u8],
    ) -> Result<Appended, LogError> {
        let positions = self.stream(stream);
        let actual = positions.len().checked_sub(1).map(|last| last as u64);
        let new = expected_ids(numbers.clone());
        if actual != expected || (actual.is_none() && new.is_empty()) {
            let from = expected.map_or(0, |revision| revision as usize + 1);
            let found = positions.get(from..from + new.len()).unwrap_or_default();
            let known = found.iter().map(|at| self.log[*at as usize - 1].1);
            if !new.is_empty() && known.eq(new.iter().copied()) {
                return Ok(at((from + new.len() - 1) as u64, found[new.len() - 1]));
            }
            return Err(LogError::Conflict {
                actual: actual.map(Revision),
            });
        }
        for (number, id) in numbers.zip(new) {
            self.log.push((stream, id));
            self.payloads
                .insert(number as u8, self.log.len().to_le_bytes().to_vec());
        }
        for id in erase {
            self.payloads.remove(id);
        }
        let positions = self.stream(stream);
        Ok(at(
            positions.len() as u64 - 1,
            positions[positions.len() - 1],
        ))
    }
}

/// Stream, expected revision, ids and erasures of an append.
type Asked = (u8, Option<u64>, std::ops::Range<u64>, Vec<u8>);

struct Run {
    harness: Harness,
    model: Model,
    last: Option<Asked>,
}

impl Run {
    async fn append(
        &mut self,
        name: u8,
        expected: Option<u64>,
        numbers: std::ops::Range<u64>,
        erase: Vec<u8>,
    ) {
        let length = self.model.log.len();
        let new = (length + 1..)
            .zip(numbers.clone())
            .map(|(position, number)| {
                event_with_payload(number, payload_id(number), &position.to_le_bytes())
            })
            .collect();
        let erased = erase.iter().map(|id| payload_id((*id).into())).collect();
        let outcome = self
            .harness
            .store()
            .append(
                &stream(&name.to_string()),
                expected.map_or(Expected::NoStream, |last| Expected::Exact(Revision(last))),
                new,
                erased,
            )
            .await;
        let modelled = self.model.append(name, expected, numbers.clone(), &erase);
        assert_eq!(outcome, modelled);
        self.last = Some((name, expected, numbers, erase));
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Append {
                stream,
                off,
                first_id,
                count,
                erase,
            } => {
                let length = self.model.stream(*stream).len() as i64 + i64::from(*off);
                let expected = u64::try_from(length - 1).ok();
                let first = u64::from(*first_id);
                let numbers = first..first + u64::from(*count);
                self.append(*stream, expected, numbers, erase.clone()).await;
            }
            Step::RepeatLast => {
                if let Some((stream, expected, numbers, erase)) = self.last.clone() {
                    self.append(stream, expected, numbers, erase).await;
                }
            }
            Step::Reopen => self.harness.settle(),
        }
    }

    async fn compare(&self) {
        let store = self.harness.store();
        let all = store.read_all(Position::START, 10_000).await.unwrap();
        let modelled: Vec<_> = self.model.log.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids(&all), modelled);
        for number in 0..12 {
            let found = store.payload(payload_id(number.into())).await.unwrap();
            assert_eq!(found.as_ref(), self.model.payloads.get(&number));
        }
    }
}

pub(crate) async fn agrees_with_the_naive_model(harness: Harness) {
    let make = harness.maker();
    drop(harness);
    // Proptest is not async: the runs get a runtime of their own, on another thread.
    let outcome = tokio::task::spawn_blocking(move || {
        let config = Config {
            cases: 24,
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new(config).run(&prop::collection::vec(step(), 1..40), |steps| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut run = Run {
                    harness: make(),
                    model: Model::default(),
                    last: None,
                };
                for step in &steps {
                    run.step(step).await;
                }
                run.harness.settle();
                run.compare().await;
            });
            Ok(())
        })
    });
    if let Err(error) = outcome.await.unwrap() {
        panic!("{error}");
    }
}

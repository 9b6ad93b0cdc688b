//! Any order of storing, replacing, erasing, waiting and opening again gives what a map gives.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Canaries, Disk, Duration, LocalPayloadStore, PayloadId, TempDir};
use super::{distinctive, id, open_on, until_gone};
use crate::payload_store::PayloadStore as _;

#[derive(Debug, Clone)]
enum Step {
    /// Each with the number of its bytes.
    Store(Vec<(u16, usize)>),
    Erase(Vec<u16>),
    /// Lets the keeper work.
    Wait(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![0..200_usize, 20_000..64_000_usize];
    let stored = prop::collection::vec((0..24_u16, bytes), 1..5);
    prop_oneof![
        6 => stored.prop_filter_map("fits into one file", |stored| {
            let total: usize = stored.iter().map(|(_, bytes)| bytes + 64).sum();
            (total < 250_000).then_some(Step::Store(stored))
        }),
        5 => prop::collection::vec(0..24_u16, 1..8).prop_map(Step::Erase),
        2 => (0..15_u64).prop_map(Step::Wait),
        1 => Just(Step::Reopen),
    ]
}

/// A store, what should be in it, and what must be gone.
struct Run {
    folder: TempDir,
    store: Option<LocalPayloadStore>,
    model: BTreeMap<PayloadId, Vec<u8>>,
    erased: Canaries,
    /// Makes every payload distinctive.
    next: u16,
}

impl Run {
    async fn carry_out(&mut self, step: Step) {
        match step {
            Step::Store(payloads) => {
                let mut batch = Vec::new();
                for (number, bytes) in payloads {
                    let bytes = distinctive(self.next, bytes);
                    self.next += 1;
                    self.forget(id(number));
                    batch.push((id(number), bytes));
                }
                let store = self.store.as_ref().unwrap();
                let new = batch
                    .iter()
                    .map(|(id, bytes)| (*id, bytes.as_slice().into()));
                store.store(new.collect()).await.unwrap();
                self.model.extend(batch);
            }
            Step::Erase(numbers) => {
                let ids: Vec<_> = numbers.into_iter().map(id).collect();
                for id in &ids {
                    self.forget(*id);
                }
                self.store.as_ref().unwrap().erase(ids).await.unwrap();
            }
            Step::Wait(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            Step::Reopen => {
                // The lock must be free before.
                drop(self.store.take());
                self.store = Some(open_on(&self.folder, Disk));
            }
        }
    }

    /// Remembers what is about to go.
    fn forget(&mut self, id: PayloadId) {
        if let Some(bytes) = self.model.remove(&id) {
            // The keeper may move the file away that is just read.
            for _ in 0..10 {
                let gone = [(id, bytes.clone())];
                if self.erased.remember(self.folder.path(), &gone).is_ok() {
                    return;
                }
            }
            panic!("a living payload is not in the files");
        }
    }

    async fn check(&self) {
        let store = self.store.as_ref().unwrap();
        for number in 0..24 {
            let found = store.read(id(number)).await.unwrap();
            assert_eq!(found.as_ref(), self.model.get(&id(number)), "{number}");
        }
        let mut alive = store.alive().await.unwrap();
        alive.sort();
        let expected: Vec<_> = self.model.keys().copied().collect();
        assert_eq!(alive, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn holds_what_a_map_holds_and_no_trace_of_the_rest(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut run = Run {
                store: Some(open_on(&folder, Disk)),
                folder,
                model: BTreeMap::new(),
                erased: Canaries::default(),
                next: 1_000,
            };
            for step in steps {
                run.carry_out(step).await;
                run.check().await;
            }
            let folder = run.folder.path();
            assert_eq!(until_gone(&run.erased, folder).await, []);
            run.carry_out(Step::Reopen).await;
            run.check().await;
        });
    }
}

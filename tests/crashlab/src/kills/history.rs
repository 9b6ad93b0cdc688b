//! What clients saw, and the faults a correct server can never show.

use std::collections::{BTreeMap, BTreeSet};

/// The content of a message: who wrote it, and the how-manieth of its sender it is.
pub(super) type Tag = (usize, u64);

/// A message whose acceptance is certain in the end, because its sender asked until it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) tag: Tag,
    pub(super) recipient: usize,
}

/// A message as its recipient got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) seq: u64,
    pub(super) tag: Tag,
}

/// Everything one recipient got, in the order of first delivery, and what it noticed by itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    pub(super) recipient: usize,
    pub(super) messages: Vec<Received>,
    pub(super) faults: Vec<String>,
}

/// Every way in which the server broke its word.
pub(super) fn faults(sent: &[Sent], inboxes: &[Inbox]) -> Vec<String> {
    let mut faults = Vec::new();
    for inbox in inboxes {
        faults.extend(inbox.faults.iter().cloned());
        let wanted: BTreeSet<Tag> = sent
            .iter()
            .filter(|message| message.recipient == inbox.recipient)
            .map(|message| message.tag)
            .collect();
        let mut got = BTreeSet::new();
        let mut last_of_sender: BTreeMap<usize, u64> = BTreeMap::new();
        for (index, message) in inbox.messages.iter().enumerate() {
            let (sender, number) = message.tag;
            if message.seq != index as u64 + 1 {
                faults.push(format!(
                    "queue {}: seq {} in place {}",
                    inbox.recipient,
                    message.seq,
                    index + 1
                ));
            }
            if !wanted.contains(&message.tag) {
                faults.push(format!(
                    "queue {}: {:?} was never sent there",
                    inbox.recipient, message.tag
                ));
            }
            if !got.insert(message.tag) {
                faults.push(format!(
                    "queue {}: {:?} came twice",
                    inbox.recipient, message.tag
                ));
            }
            let before = last_of_sender.insert(sender, number);
            if before.is_some_and(|before| before > number) {
                faults.push(format!(
                    "queue {}: {:?} came after a later one",
                    inbox.recipient, message.tag
                ));
            }
        }
        for lost in wanted.difference(&got) {
            faults.push(format!(
                "queue {}: {lost:?} was accepted and is lost",
                inbox.recipient
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [Sent; 2] = [
        Sent {
            tag: (0, 1),
            recipient: 0,
        },
        Sent {
            tag: (0, 2),
            recipient: 0,
        },
    ];

    fn inbox(messages: &[(u64, Tag)]) -> Vec<Inbox> {
        let messages = messages
            .iter()
            .map(|&(seq, tag)| Received { seq, tag })
            .collect();
        vec![Inbox {
            recipient: 0,
            messages,
            faults: Vec::new(),
        }]
    }

    #[test]
    fn finds_no_fault_in_a_correct_history() {
        assert_eq!(
            faults(&SENT, &inbox(&[(1, (0, 1)), (2, (0, 2))])),
            Vec::<String>::new()
        );
    }

    #[test]
    fn reports_a_lost_a_doubled_a_foreign_and_a_reordered_message() {
        let reports = |messages: &[(u64, Tag)], word: &str| {
            let faults = faults(&SENT, &inbox(messages));
            assert!(
                faults.iter().any(|fault| fault.contains(word)),
                "{word}: {faults:?}"
            );
        };
        reports(&[(1, (0, 1))], "lost");
        reports(&[(1, (0, 1)), (2, (0, 2)), (3, (0, 2))], "twice");
        reports(&[(1, (0, 1)), (2, (0, 2)), (3, (7, 7))], "never sent");
        reports(&[(1, (0, 2)), (2, (0, 1))], "after a later one");
        reports(&[(1, (0, 1)), (3, (0, 2))], "in place");
    }
}

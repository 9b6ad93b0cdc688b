//! The checker finds no fault where there is none, and each that there is.

use satpost_domain::hash::sha256;
use satpost_domain::ids::ChainHash;
use satpost_domain::{MessageId, MessagingKey};

use super::super::history::{Delivered, Fetch, History, Part, Said, Send, Settle, Span, Time};
use super::*;

const QUEUE: MessagingKey = MessagingKey::from_stored([1; 32]);

fn id(seq: u64) -> MessageId {
    MessageId::new(u128::from(seq).to_be_bytes())
}

fn delivered(seq: u64) -> Delivered {
    let chain = (1..=seq).fold(chain_start(&QUEUE), |chain, seq| {
        extend_chain(chain, seq, id(seq), sha256(&seq.to_be_bytes()))
    });
    Delivered {
        seq,
        id: id(seq),
        tag: (0, seq),
        digest: sha256(&seq.to_be_bytes()),
        chain,
    }
}

fn line(asked: Time, messages: Vec<Delivered>, begins: u64) -> Fetch {
    let last = messages.last();
    let head = last.map_or((begins, chain_at(begins)), |last| (last.seq, last.chain));
    Fetch {
        part: Part::Line,
        asked,
        answered: asked + 5,
        is_whole: true,
        messages,
        head,
    }
}

fn chain_at(seq: u64) -> ChainHash {
    if seq == 0 {
        chain_start(&QUEUE)
    } else {
        delivered(seq).chain
    }
}

fn settle(asked: Time, said: Said, deleted: u64) -> Settle {
    let answered = Some(asked + 5);
    Settle {
        said,
        span: Span { asked, answered },
        deleted,
        is_done: true,
    }
}

/// Four messages are sent one after the other, the last of them twice; the second is parked. All are
/// fetched and let go.
fn correct() -> History {
    let mut history = History::new(QUEUE);
    for seq in 1..=4 {
        let asked = seq * 10;
        let answered = Some(asked + 5);
        history.sends.push(Send {
            tag: (0, seq),
            span: Span { asked, answered },
            id: Some(id(seq)),
        });
    }
    let again = Span {
        asked: 46,
        answered: None,
    };
    history.sends.push(Send {
        tag: (0, 4),
        span: again,
        id: None,
    });
    let all = (1..=4).map(delivered).collect();
    let aside = Fetch {
        part: Part::Parked,
        ..line(130, vec![delivered(2)], 2)
    };
    history.fetches = vec![
        line(100, all, 0),
        line(120, vec![delivered(3), delivered(4)], 2),
        aside,
        line(200, Vec::new(), 4),
    ];
    history.settles = vec![
        settle(110, Said::Park(vec![id(2)]), 0),
        settle(114, Said::Through(2), 1),
        settle(140, Said::Through(4), 2),
        settle(150, Said::Done(vec![id(2)]), 1),
    ];
    history.is_drained = true;
    history
}

#[track_caller]
fn expect(change: impl FnOnce(&mut History), word: &str) {
    let mut history = correct();
    change(&mut history);
    let faults = faults(&history);
    assert!(
        faults.iter().any(|fault| fault.contains(word)),
        "{word}: {faults:?}"
    );
}

#[test]
fn a_correct_history_has_no_fault() {
    assert_eq!(faults(&correct()), Vec::<String>::new());
}

#[test]
fn what_nobody_was_told_may_have_happened_or_not() {
    let unknown = Span {
        asked: 60,
        answered: None,
    };
    let mut history = correct();
    history.sends.push(Send {
        tag: (9, 9),
        span: unknown,
        id: None,
    });
    assert_eq!(faults(&history), Vec::<String>::new());
    // The last message was sent by somebody who was never told.
    for send in history.sends.iter_mut().filter(|send| send.tag.1 == 4) {
        (send.span.answered, send.id) = (None, None);
    }
    assert_eq!(faults(&history), Vec::<String>::new());
    history.settles[2].span.answered = None;
    (history.settles[2].deleted, history.settles[2].is_done) = (0, false);
    assert_eq!(faults(&history), Vec::<String>::new());
}

#[test]
fn finds_a_message_that_is_lost() {
    let lose = |history: &mut History| {
        for fetch in &mut history.fetches {
            fetch.messages.retain(|message| message.seq != 4);
        }
    };
    expect(lose, "is lost");
    let lose_first = |history: &mut History| {
        for fetch in &mut history.fetches {
            fetch.messages.retain(|message| message.seq != 1);
        }
    };
    expect(lose_first, "nothing was ever delivered at 1");
}

#[test]
fn finds_a_message_that_came_twice() {
    let double = |history: &mut History| {
        let mut fifth = delivered(5);
        fifth.tag = (0, 4);
        history.fetches[0].messages.push(fifth);
    };
    expect(double, "is doubled");
    let two_ids = |history: &mut History| history.sends[4].id = Some(id(7));
    expect(two_ids, "two ids");
}

#[test]
fn finds_a_message_that_was_never_sent_or_became_another() {
    expect(
        |history| history.fetches[0].messages.push(delivered(5)),
        "never sent",
    );
    expect(
        |history| history.fetches[1].messages[0].tag = (0, 9),
        "has become",
    );
    expect(
        |history| history.sends[2].id = Some(id(8)),
        "under another id",
    );
}

#[test]
fn finds_messages_in_another_order() {
    // The first was there before the second was sent.
    let reorder = |history: &mut History| {
        let sends = &mut history.sends;
        let spans = (sends[0].span, sends[1].span);
        (sends[1].span, sends[0].span) = spans;
    };
    expect(reorder, "stands behind");
    expect(
        |history| history.fetches[0].messages.swap(0, 1),
        "not in the order of seq",
    );
    let early = |history: &mut History| {
        history.fetches[0].asked = 1;
        history.fetches[0].answered = 2;
    };
    expect(early, "before it was sent");
}

#[test]
fn accepts_either_order_of_messages_that_were_sent_at_once() {
    let mut history = correct();
    history.sends[1].span.asked = 11;
    let spans = (history.sends[0].span, history.sends[1].span);
    (history.sends[1].span, history.sends[0].span) = spans;
    assert_eq!(faults(&history), Vec::<String>::new());
}

#[test]
fn finds_a_message_that_came_back() {
    let resurrect = |history: &mut History| history.fetches[3].messages = vec![delivered(3)];
    expect(resurrect, "3 came back");
    let from_parked = |history: &mut History| history.fetches[2].asked = 160;
    expect(from_parked, "came back from what was parked");
    let not_parked = |history: &mut History| history.settles[0].said = Said::Park(vec![id(3)]);
    expect(not_parked, "parked by nobody");
}

#[test]
fn finds_a_message_that_was_let_go_without_being_asked() {
    let skip = |history: &mut History| {
        history.fetches[0].messages.remove(2);
    };
    expect(skip, "3 is missing");
    let swallow = |history: &mut History| {
        history.fetches[0].messages.pop();
    };
    expect(swallow, "4 is missing");
    let empty = |history: &mut History| history.fetches[1].messages.clear();
    expect(empty, "3 is missing");
    let ahead = |history: &mut History| {
        history.fetches[3].asked = 125;
        history.fetches[3].answered = 130;
    };
    expect(ahead, "the line begins behind 4");
    expect(|history| history.settles[1].deleted = 2, "5 were let go");
    expect(|history| history.settles[1].deleted = 0, "3 were let go");
}

#[test]
fn finds_a_broken_chain() {
    let other = ChainHash::new([0; 32]);
    let broken = |history: &mut History| {
        for fetch in &mut history.fetches {
            for message in fetch.messages.iter_mut().filter(|message| message.seq == 2) {
                message.chain = other;
            }
        }
    };
    expect(broken, "the chain breaks at 2");
    expect(
        |history| history.fetches[0].head.1 = other,
        "a head at 4 is not on the chain",
    );
}

#[test]
fn tells_what_clients_have_noticed() {
    expect(
        |history| history.noticed.push("a receipt does not hold".to_owned()),
        "a receipt does not hold",
    );
}

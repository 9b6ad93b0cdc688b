//! What is found about nodes of all kinds; the real node is in the regtest tests.

use super::*;
use crate::bitcoind::rpc::Publication;

fn topic(topic: &str, address: &str, high_water_mark: u64) -> Publication {
    Publication {
        topic: topic.to_owned(),
        address: address.to_owned(),
        high_water_mark,
    }
}

fn info(version: u64) -> NodeInfo {
    NodeInfo {
        network: "regtest".to_owned(),
        version,
        subversion: "/Satoshi:29.4.0/".to_owned(),
        blocks: 1_000,
        headers: 1_000,
        initial_download: false,
        uptime_secs: 1,
    }
}

const GOOD: NodeSettings = NodeSettings {
    pruned_below: None,
    filters_to: Some(1_000),
    rest: true,
    spent_outputs: true,
};

fn codes(findings: impl IntoIterator<Item = Finding>) -> Vec<Code> {
    findings.into_iter().map(|finding| finding.code).collect()
}

#[test]
fn finds_nothing_about_a_good_node() {
    let topics = [
        topic("pubsequence", "tcp://127.0.0.1:1", 0),
        topic("pubrawtx", "tcp://127.0.0.1:2", 0),
    ];
    assert!(feed::findings(&topics).is_empty());
    assert!(settings(&GOOD, &info(290_400)).is_empty());
    assert!(version(&info(270_000)).is_empty() && behind(&info(270_000)).is_none());
    assert_eq!(Examination::default().severity(), Severity::Ok);
}

#[test]
fn names_every_way_in_which_notifications_are_lost_or_delayed() {
    let (one, two) = ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2");
    for (topics, expected) in [
        (vec![], vec![Code::SequenceMissing, Code::RawtxMissing]),
        (
            vec![topic("pubsequence", one, 1000), topic("pubrawtx", two, 0)],
            vec![Code::SequenceDrops],
        ),
        (
            vec![topic("pubsequence", one, 0), topic("pubrawtx", one, 0)],
            vec![Code::SequenceShared],
        ),
        (
            vec![topic("pubsequence", one, 0), topic("pubrawtx", one, 1000)],
            vec![Code::SequenceDrops, Code::RawtxDrops],
        ),
        (vec![topic("pubsequence", one, 0)], vec![Code::RawtxMissing]),
    ] {
        let findings = feed::findings(&topics);
        assert!(findings.iter().all(|finding| finding.setting.is_some()));
        assert_eq!(codes(findings), expected, "{topics:?}");
    }
}

#[test]
fn names_what_a_node_is_not_set_up_for() {
    let bad = NodeSettings {
        pruned_below: Some(600),
        filters_to: None,
        rest: false,
        spent_outputs: false,
    };
    let expected = [Code::RestOff, Code::Pruned, Code::FiltersMissing];
    assert_eq!(codes(settings(&bad, &info(290_000))), expected);
    let old = NodeSettings {
        filters_to: Some(10),
        spent_outputs: false,
        ..GOOD
    };
    let expected = [Code::SpentOutputsMissing, Code::FiltersBehind];
    assert_eq!(codes(settings(&old, &info(290_000))), expected);
}

#[test]
fn knows_versions_and_a_node_that_is_behind() {
    assert_eq!(codes(version(&info(200_000))), [Code::VersionTooOld]);
    assert_eq!(codes(version(&info(260_000))), [Code::VersionUntested]);
    let fetching = NodeInfo {
        headers: 1_007,
        initial_download: true,
        ..info(290_000)
    };
    assert_eq!(codes(behind(&fetching)), [Code::NodeBehind]);
}

#[test]
fn tells_a_node_that_is_down_from_one_that_starts_or_refuses() {
    let url = || "http://127.0.0.1:1".to_owned();
    let reason = || "no".to_owned();
    for (error, code) in [
        (
            RpcError::Unreachable {
                url: url(),
                reason: reason(),
            },
            Code::NodeUnreachable,
        ),
        (
            RpcError::Unauthorized {
                url: url(),
                reason: reason(),
            },
            Code::LoginRefused,
        ),
        (
            RpcError::WarmingUp { message: reason() },
            Code::NodeStarting,
        ),
        (
            RpcError::Unexpected {
                method: "uptime",
                reason: reason(),
            },
            Code::NodeStrange,
        ),
    ] {
        let finding = no_answer(&error);
        assert_eq!((finding.code, finding.severity), (code, Severity::Unusable));
    }
}

#[test]
fn knows_a_disk_that_is_full_from_one_that_is_nearly_full() {
    assert_eq!(codes(disk_of(DISK_BYTES_LOW)), []);
    assert_eq!(codes(disk_of(DISK_BYTES_LOW - 1)), [Code::DiskLow]);
    assert_eq!(codes(disk_of(DISK_BYTES_MIN - 1)), [Code::DiskFull]);
    // A folder that is not there yet lies on the disk of its parent.
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("not/there");
    assert_eq!(codes(disk(&absent)), codes(disk(folder.path())));
}

#[test]
fn the_worst_comes_first_and_a_lossy_feed_is_known() {
    let examination = Examination {
        node: None,
        findings: vec![
            Finding::new(Code::RestOff, "a"),
            Finding::new(Code::SequenceDrops, "b"),
        ],
    };
    let examination = examination.sorted();
    assert_eq!(examination.severity(), Severity::Lossy);
    assert_eq!(examination.findings[0].code, Code::SequenceDrops);
    assert!(examination.feed_is_lossy());
}

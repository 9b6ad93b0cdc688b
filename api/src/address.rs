//! Addresses: text at the edge, scripts inside.

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Network as BitcoinNetwork};
use satpost_api_types::addresses::{Birthday, DetailedEntry, WatchEntry};
use satpost_api_types::problem::ProblemCode;
use satpost_domain::Timestamp;
use satpost_domain::chain::DepthSet;
use satpost_domain::limits::ADDRESSES_PER_REQUEST_MAX;
use satpost_domain::network::Network;
use satpost_domain::script::Script;
use satpost_domain::watchlist::{self, WatchTarget, WatchWish};

use crate::problem::ApiError;

pub(crate) const fn bitcoin_network(network: Network) -> BitcoinNetwork {
    match network {
        Network::Mainnet => BitcoinNetwork::Bitcoin,
        Network::Testnet => BitcoinNetwork::Testnet,
        Network::Testnet4 => BitcoinNetwork::Testnet4,
        Network::Signet => BitcoinNetwork::Signet,
        Network::Regtest => BitcoinNetwork::Regtest,
    }
}

/// What a client asks to watch, with all the ways in which it can be named.
///
/// # Errors
/// `invalid-address`, `invalid-depths` or `invalid-birthday`, with what is wrong.
pub(crate) fn watch_of(
    entry: &WatchEntry,
    network: Network,
) -> Result<(WatchTarget, WatchWish), ApiError> {
    let WatchEntry::Detailed(entry) = entry else {
        return Ok((target_of(entry, network)?, WatchWish::default()));
    };
    let target = detailed_target(entry, network)?;
    Ok((target, wish(entry.depths.as_deref(), entry.birthday)?))
}

/// What a client wants to hear.
///
/// # Errors
/// `invalid-depths`.
pub(crate) fn wish(
    depths: Option<&[u32]>,
    birthday: Option<Birthday>,
) -> Result<WatchWish, ApiError> {
    let depths = depths.map(|depths| DepthSet::new(depths.iter().copied()));
    Ok(WatchWish {
        depths: depths
            .transpose()
            .map_err(|error| ApiError::new(ProblemCode::InvalidDepths).with_detail(error))?,
        birthday: birthday.map(|birthday| match birthday {
            Birthday::Height(height) => watchlist::Birthday::Height(height),
            Birthday::Time(at) => watchlist::Birthday::Time(Timestamp::from_millis(at)),
        }),
    })
}

/// The birthday as clients know it.
pub(crate) const fn birthday_of(birthday: watchlist::Birthday) -> Birthday {
    match birthday {
        watchlist::Birthday::Height(height) => Birthday::Height(height),
        watchlist::Birthday::Time(at) => Birthday::Time(at.as_millis()),
    }
}

/// What an entry names, whatever it wants to hear of it.
///
/// # Errors
/// `invalid-address`, with what is wrong.
pub(crate) fn target_of(entry: &WatchEntry, network: Network) -> Result<WatchTarget, ApiError> {
    match entry {
        WatchEntry::Address(text) => script_of(text, network)
            .map(WatchTarget::Script)
            .map_err(invalid_address),
        WatchEntry::Detailed(entry) => detailed_target(entry, network),
    }
}

fn detailed_target(entry: &DetailedEntry, network: Network) -> Result<WatchTarget, ApiError> {
    match (&entry.address, &entry.script, &entry.script_hash) {
        (Some(text), None, None) => script_of(text, network).map(WatchTarget::Script),
        (None, Some(text), None) => raw_script(text).map(WatchTarget::Script),
        (None, None, Some(text)) => text
            .parse()
            .map(WatchTarget::Hash)
            .map_err(|error| format!("the script hash does not parse: {error}")),
        _ => Err("exactly one of address, script and script_hash must be there".to_owned()),
    }
    .map_err(invalid_address)
}

fn raw_script(text: &str) -> Result<Script, String> {
    let bytes =
        hex::decode(text).map_err(|error| format!("the script is no hexadecimal text: {error}"))?;
    Script::new(&bytes).map_err(|error| error.to_string())
}

fn invalid_address(what: String) -> ApiError {
    ApiError::new(ProblemCode::InvalidAddress).with_detail(what)
}

/// Does something with each of 1 to [`ADDRESSES_PER_REQUEST_MAX`] entries.
///
/// # Errors
/// `limit-exceeded` when there are none or too many; the first other error names the entry by its place,
/// never by its text, which is longer than a detail should be.
pub(crate) fn each_entry<T>(
    entries: &[WatchEntry],
    what: impl Fn(&WatchEntry) -> Result<T, ApiError>,
) -> Result<Vec<T>, ApiError> {
    let actual = entries.len();
    if actual == 0 || actual > ADDRESSES_PER_REQUEST_MAX {
        return Err(ApiError::count(
            "addresses",
            ADDRESSES_PER_REQUEST_MAX,
            actual,
        ));
    }
    let each = (1_usize..).zip(entries);
    each.map(|(place, entry)| {
        what(entry).map_err(|error| {
            let detail = error.detail.as_deref().unwrap_or_default();
            let detail = format!("address {place}: {detail}");
            error.with_detail(detail)
        })
    })
    .collect()
}

/// The script of one address, or what is wrong with it.
pub(crate) fn script_of(text: &str, network: Network) -> Result<Script, String> {
    let address: Address<NetworkUnchecked> = text
        .parse()
        .map_err(|error| format!("it does not parse: {error}"))?;
    if !address.is_valid_for_network(bitcoin_network(network)) {
        let belongs_to: Vec<&str> = Network::ALL
            .into_iter()
            .filter(|&other| address.is_valid_for_network(bitcoin_network(other)))
            .map(Network::name)
            .collect();
        return Err(format!(
            "it belongs to {}, this server is on {network}",
            belongs_to.join(" or ")
        ));
    }
    Script::new(address.assume_checked().script_pubkey().as_bytes())
        .map_err(|error| error.to_string())
}

/// The address of a script; nothing when it has none.
pub(crate) fn address_of(script: &Script, network: Network) -> Option<String> {
    let script = bitcoin::Script::from_bytes(script.as_bytes());
    let address = Address::from_script(script, bitcoin_network(network)).ok()?;
    Some(address.to_string())
}

/// The address of what is watched, or else the script or its hash, in hexadecimal.
pub(crate) fn name_of(target: &WatchTarget, network: Network) -> String {
    match target {
        WatchTarget::Script(script) => {
            address_of(script, network).unwrap_or_else(|| hex::encode(script.as_bytes()))
        }
        WatchTarget::Hash(hash) => hash.to_string(),
    }
}

/// Where a page of the watch list ends, as text that only [`after_cursor`] reads.
pub(crate) fn cursor_of(target: &WatchTarget) -> String {
    match target {
        WatchTarget::Script(script) => format!("s{}", hex::encode(script.as_bytes())),
        WatchTarget::Hash(hash) => format!("h{hash}"),
    }
}

/// What a cursor stands for.
///
/// # Errors
/// `malformed`.
pub(crate) fn after_cursor(cursor: &str) -> Result<WatchTarget, ApiError> {
    let target = match cursor.split_at_checked(1) {
        Some(("s", script)) => raw_script(script).ok().map(WatchTarget::Script),
        Some(("h", hash)) => hash.parse().ok().map(WatchTarget::Hash),
        _ => None,
    };
    target.ok_or_else(|| ApiError::malformed("after is the cursor of a page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One address of every kind (BIP-173, BIP-350, BIP-433 and the base58 forms), for mainnet.
    const MAINNET: [&str; 7] = [
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "bc1pfeessrawgf",
        "bc1sw50qgdz25j",
    ];

    #[test]
    fn gives_back_the_address_it_was_given() {
        for address in MAINNET {
            let script = script_of(address, Network::Mainnet).unwrap();
            assert_eq!(address_of(&script, Network::Mainnet).unwrap(), address);
        }
    }

    #[test]
    fn reads_upper_case_as_the_same_script() {
        let upper = MAINNET[2].to_uppercase();
        assert_eq!(
            script_of(&upper, Network::Mainnet),
            script_of(MAINNET[2], Network::Mainnet)
        );
    }

    #[test]
    fn names_both_networks_of_a_wrong_address() {
        for address in MAINNET {
            let what = script_of(address, Network::Regtest).unwrap_err();
            assert!(what.contains("belongs to mainnet"), "{what}");
            assert!(what.contains("on regtest"), "{what}");
        }
    }

    fn entry(text: &str) -> WatchEntry {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn names_the_place_of_a_bad_address() {
        let entries = [MAINNET[0].to_owned(), "nonsense".to_owned()].map(WatchEntry::Address);
        let target = |entry: &WatchEntry| target_of(entry, Network::Mainnet);
        let error = each_entry(&entries, target).unwrap_err();
        assert_eq!(error.code, ProblemCode::InvalidAddress);
        let detail = error.detail.unwrap();
        assert!(detail.starts_with("address 2: it does"), "{detail}");
    }

    #[test]
    fn refuses_none_and_too_many() {
        let one = WatchEntry::Address(MAINNET[0].to_owned());
        let many = vec![one; ADDRESSES_PER_REQUEST_MAX + 1];
        for entries in [&[], &many[..]] {
            let error = each_entry(entries, |_| Ok(())).unwrap_err();
            assert_eq!(error.code, ProblemCode::LimitExceeded);
            assert_eq!(error.limit, Some(ADDRESSES_PER_REQUEST_MAX as u64));
        }
    }

    #[test]
    fn takes_one_script_in_four_ways() {
        let script = script_of(MAINNET[2], Network::Mainnet).unwrap();
        let ways = [
            format!("\"{}\"", MAINNET[2]),
            format!("{{\"address\":\"{}\"}}", MAINNET[2]),
            format!("{{\"script\":\"{}\"}}", hex::encode(script.as_bytes())),
            format!("{{\"script_hash\":\"{}\"}}", script.hash()),
        ];
        for way in ways {
            let (target, wish) = watch_of(&entry(&way), Network::Mainnet).unwrap();
            assert_eq!(target.hash(), script.hash(), "{way}");
            assert_eq!(wish, WatchWish::default());
            assert_eq!(after_cursor(&cursor_of(&target)).unwrap(), target);
        }
    }

    #[test]
    fn says_what_is_wrong_with_an_entry() {
        let bad = [
            ("{}", ProblemCode::InvalidAddress, "exactly one"),
            (
                "{\"script\":\"51\",\"script_hash\":\"00\"}",
                ProblemCode::InvalidAddress,
                "exactly one",
            ),
            (
                "{\"script\":\"5\"}",
                ProblemCode::InvalidAddress,
                "hexadecimal",
            ),
            ("{\"script\":\"\"}", ProblemCode::InvalidAddress, "bytes"),
            (
                "{\"script_hash\":\"00\"}",
                ProblemCode::InvalidAddress,
                "64",
            ),
            (
                "{\"script\":\"51\",\"depths\":[1]}",
                ProblemCode::InvalidDepths,
                "2 to 144",
            ),
            (
                "{\"script\":\"51\",\"depths\":[2,3,4,5,6,7,8,9,10]}",
                ProblemCode::InvalidDepths,
                "at most 8",
            ),
        ];
        for (text, code, words) in bad {
            let error = watch_of(&entry(text), Network::Mainnet).unwrap_err();
            assert_eq!(error.code, code, "{text}");
            let detail = error.detail.unwrap();
            assert!(detail.contains(words), "{text}: {detail}");
        }
        for text in ["1", "[]", "null", "{\"script\":\"51\",\"more\":1}"] {
            assert!(serde_json::from_str::<WatchEntry>(text).is_err(), "{text}");
        }
        for cursor in ["", "x", "s", "h00", "\u{e9}"] {
            assert!(after_cursor(cursor).is_err(), "{cursor}");
        }
    }
}

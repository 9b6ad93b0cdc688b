//! The rule under lying feeds, any order of arrival, silence and time.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn cents(cents: u64) -> Amount {
    amount(&format!("{}.{:02}", cents / 100, cents % 100))
}

fn exchange(number: usize) -> ExchangeId {
    format!("exchange_{number}").parse().unwrap()
}

fn policy(quorum: usize) -> Policy {
    Policy {
        max_age: 5 * MINUTE,
        deviation_basis_points: 200,
        quorum,
        bounds: PriceBounds {
            min: amount("0.01"),
            max: amount("1000000000000"),
        },
    }
}

fn candle_at(at: Timestamp, close: Amount) -> Candle {
    Candle {
        at,
        open: close,
        high: close,
        low: close,
        close,
        volume: amount("1"),
    }
}

fn quote(number: usize, close: &str) -> Quote {
    quote_of(number, amount(close))
}

fn quote_of(number: usize, close: Amount) -> Quote {
    Quote {
        observed_at: NOW,
        candle: candle_at(NOW, close),
        exchange: exchange(number),
    }
}

fn reasons(aggregate: &Aggregate) -> Vec<(&str, &str)> {
    let dropped = aggregate.dropped.iter();
    dropped
        .map(|entry| (entry.exchange.as_str(), entry.reason.name()))
        .collect()
}

#[test]
fn the_answer_is_the_median_and_outliers_do_not_vote() {
    let quotes = [
        quote(1, "100"),
        quote(2, "101"),
        quote(3, "100.5"),
        quote(4, "999"),
        quote(5, "0.02"),
    ];
    let answer = aggregate(&quotes, NOW, &policy(3));
    assert_eq!(answer.candle.unwrap().close, amount("100.5"));
    assert_eq!(
        answer
            .used
            .iter()
            .map(ExchangeId::as_str)
            .collect::<Vec<_>>(),
        ["exchange_1", "exchange_2", "exchange_3"]
    );
    assert_eq!(
        reasons(&answer),
        [("exchange_4", "outlier"), ("exchange_5", "outlier")]
    );
    assert_eq!(aggregate(&quotes, NOW, &policy(4)).candle, None);
}

#[test]
fn honest_exchanges_far_apart_do_not_let_two_liars_choose() {
    // With a second median over what is left of 110, 110.5 and 110.6 the liars would win.
    let quotes = ["90", "100", "110", "110.5", "110.6"];
    let quotes: Vec<_> = quotes
        .iter()
        .enumerate()
        .map(|(n, c)| quote(n, c))
        .collect();
    let answer = aggregate(&quotes, NOW, &policy(2));
    assert_eq!(answer.candle.unwrap().close, amount("110"));
}

#[test]
fn drops_what_is_old_absurd_or_from_the_future() {
    let at = |quote: Quote, candle_at: Timestamp, observed_at| Quote {
        candle: Candle {
            at: candle_at,
            ..quote.candle
        },
        observed_at,
        ..quote
    };
    let old = Timestamp::from_millis(NOW.as_millis() - 300_001);
    let edge = Timestamp::from_millis(NOW.as_millis() - 300_000);
    let ahead = Timestamp::from_millis(NOW.as_millis() + 60_001);
    let quotes = [
        at(quote(0, "100"), edge, NOW),
        at(quote(1, "100"), old, NOW),
        at(quote(2, "100"), ahead, NOW),
        at(quote(3, "100"), ahead, ahead),
        quote(4, "0.001"),
        // Dated ahead when it was seen: it gets old all the same.
        at(quote(5, "100"), NOW, old),
    ];
    let answer = aggregate(&quotes, NOW, &policy(1));
    assert_eq!(answer.used, [exchange(0)]);
    assert_eq!(
        reasons(&answer),
        [
            ("exchange_1", "too_old"),
            ("exchange_2", "from_the_future"),
            ("exchange_3", "from_the_future"),
            ("exchange_4", "out_of_bounds"),
            ("exchange_5", "from_the_future"),
        ]
    );
}

#[test]
fn no_quotes_give_no_answer() {
    let nothing = aggregate(&[], NOW, &policy(0));
    assert_eq!(nothing.candle, None);
}

fn board(quorum: usize) -> PriceBoard {
    PriceBoard::new([Market {
        currency: "USD".parse().unwrap(),
        exchanges: (0..3).map(exchange).collect(),
        policy: policy(quorum),
    }])
}

fn observation(number: usize, at: Timestamp, outcome: Result<&str, FeedFailure>) -> Observation {
    Observation {
        exchange: exchange(number),
        currency: "USD".parse().unwrap(),
        at,
        outcome: outcome.map(|close| candle_at(at, amount(close))),
    }
}

#[test]
fn without_a_quorum_the_last_good_answer_is_told_with_its_age_until_it_is_too_old() {
    let usd = "USD".parse().unwrap();
    let mut board = board(2);
    assert_eq!(board.answer(&usd, NOW), None);
    board.observe(&observation(0, NOW, Ok("100")));
    assert_eq!(board.answer(&usd, NOW), None, "one of two is no quorum");
    board.observe(&observation(1, NOW, Ok("101")));
    let answer = board.answer(&usd, NOW).unwrap();
    assert!(!answer.stale && answer.age.is_zero());
    assert_eq!(answer.candle.close, amount("100.5"));

    let later = NOW.plus(6 * MINUTE);
    board.observe(&observation(0, later, Err(FeedFailure::TimedOut)));
    board.observe(&observation(2, later, Ok("500")));
    let answer = board.answer(&usd, later).unwrap();
    assert!(answer.stale);
    assert_eq!(answer.age, 6 * MINUTE);
    assert_eq!(answer.candle.close, amount("100.5"));
    let names: Vec<_> = answer.dropped.iter().map(|d| d.reason.name()).collect();
    assert_eq!(names, ["timed_out", "too_old"]);

    let much_later = NOW.plus(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(board.answer(&usd, much_later), None);
    assert_eq!(board.dropped(&usd, much_later).len(), 3);
}

#[test]
fn a_failure_does_not_take_away_a_quote_that_is_fresh() {
    let usd = "USD".parse().unwrap();
    let mut board = board(1);
    board.observe(&observation(0, NOW, Ok("100")));
    let later = NOW.plus(MINUTE);
    board.observe(&observation(0, later, Err(FeedFailure::Refused)));
    let answer = board.answer(&usd, later).unwrap();
    assert!(!answer.stale);
    assert_eq!(answer.used, [exchange(0)]);
    assert_eq!(answer.dropped.len(), 2, "who never told anything is named");
}

#[test]
fn what_is_not_on_the_board_is_passed_over() {
    let mut board = board(1);
    let mut foreign = observation(7, NOW, Ok("1"));
    board.observe(&foreign);
    foreign.currency = "EUR".parse().unwrap();
    board.observe(&foreign);
    assert_eq!(board.answer(&"USD".parse().unwrap(), NOW), None);
    assert_eq!(board.answer(&"EUR".parse().unwrap(), NOW), None);
}

/// Prices of honest exchanges, and of fewer liars.
fn honest_and_lying() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
    let price = 1_u64..20_000_000;
    (1_usize..8).prop_flat_map(move |honest| {
        // Near to each other as a rule, anywhere sometimes.
        let base = 5_000_000_u64;
        let near = base - base / 50..base + base / 50;
        let honest_price = prop_oneof![3 => near.clone(), 1 => price.clone()];
        let lie = prop_oneof![1 => near, 2 => price.clone(), 1 => Just(u64::MAX / 1_000_000)];
        (vec(honest_price, honest), vec(lie, 0..honest))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn fewer_than_half_that_lie_cannot_move_the_answer_out_of_the_honest_range(
        (honest, lies) in honest_and_lying(), deviation in 0_u32..10_000,
    ) {
        let quotes: Vec<_> = honest.iter().chain(&lies).enumerate()
            .map(|(number, price)| quote_of(number, cents(*price)))
            .collect();
        let policy = Policy { deviation_basis_points: deviation, ..policy(1) };
        let (low, high) = (honest.iter().min().unwrap(), honest.iter().max().unwrap());
        if let Some(candle) = aggregate(&quotes, NOW, &policy).candle {
            for number in [candle.open, candle.high, candle.low, candle.close] {
                prop_assert!(cents(*low) <= number && number <= cents(*high));
            }
        }
    }

    #[test]
    fn the_answer_is_a_candle_whatever_candles_it_is_made_of(
        numbers in vec((vec(1_u64..1_000_000, 4), 0_u64..1_000), 1..8),
    ) {
        let quotes: Vec<_> = numbers.iter().enumerate().map(|(number, (prices, volume))| {
            let (low, high) = (prices.iter().min().unwrap(), prices.iter().max().unwrap());
            let mut quote = quote_of(number, cents(prices[0]));
            quote.candle.open = cents(prices[1]);
            quote.candle.low = cents(*low);
            quote.candle.high = cents(*high);
            quote.candle.volume = cents(*volume);
            quote.candle.checked().unwrap();
            quote
        }).collect();
        let policy = Policy { deviation_basis_points: 10_000, ..policy(1) };
        if let Some(candle) = aggregate(&quotes, NOW, &policy).candle {
            prop_assert_eq!(candle.checked(), Ok(candle));
        }
    }

    #[test]
    fn the_order_of_arrival_changes_nothing(
        quotes in vec((0_usize..5, 1_u64..400_000, 4_900_000_u64..5_100_000), 0..20),
        quorum in 0_usize..5,
    ) {
        let quotes: Vec<_> = quotes.into_iter().map(|(number, age_ms, price)| {
            let at = Timestamp::from_millis(NOW.as_millis() - age_ms);
            Quote {
                observed_at: at,
                candle: candle_at(at, cents(price)),
                exchange: exchange(number),
            }
        }).collect();
        let mut reversed = quotes.clone();
        reversed.reverse();
        let mut sorted = quotes.clone();
        sorted.sort_by_key(|quote| quote.candle.close);
        let answer = aggregate(&quotes, NOW, &policy(quorum));
        prop_assert_eq!(&aggregate(&reversed, NOW, &policy(quorum)), &answer);
        prop_assert_eq!(&aggregate(&sorted, NOW, &policy(quorum)), &answer);

        let boards: Vec<_> = [&quotes, &reversed, &sorted].into_iter().map(|quotes| {
            let mut board = PriceBoard::new([Market {
                currency: "USD".parse().unwrap(),
                exchanges: (0..5).map(exchange).collect(),
                policy: policy(quorum),
            }]);
            for quote in quotes {
                board.observe(&Observation {
                    exchange: quote.exchange.clone(),
                    currency: "USD".parse().unwrap(),
                    at: quote.observed_at,
                    outcome: Ok(quote.candle),
                });
            }
            let answer = board.answer(&"USD".parse().unwrap(), NOW);
            answer.filter(|answer| !answer.stale)
        }).collect();
        prop_assert_eq!(&boards[0], &boards[1]);
        prop_assert_eq!(&boards[0], &boards[2]);
    }
}

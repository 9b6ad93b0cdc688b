//! Answers in the shapes of the exchanges, and answers that only look like them.

use satpost_domain::price::FeedFailure::{Absurd, Empty, Malformed, Refused, TooLarge, WrongPair};

use super::*;

const KRAKEN: &str = r#"{"error":[],"result":{"XXBTZUSD":[
    [1700000040,"64010.0","64020.5","64000.1","64015.2","64012.3","1.25000000",31],
    [1700000100,"64015.2","64033.3","64015.2","64030.0","64020.0","0.75000000",17]],"last":1700000040}}"#;
const COINBASE: &str = r"[[1700000100,64015.2,64033.3,64015.2,64030.0,0.75],
    [1700000040,64000.1,64020.5,64010.0,64015.2,1.25]]";
const BITSTAMP: &str = r#"{"data":{"ohlc":[
    {"close":"64015.2","high":"64020.5","low":"64000.1","open":"64010.0","timestamp":"1700000040","volume":"1.25"},
    {"close":"64030.0","high":"64033.3","low":"64015.2","open":"64015.2","timestamp":"1700000100","volume":"0.75"}],
    "pair":"BTC/USD","market":"BTC/USD"}}"#;
const BITFINEX: &str = r"[[1700000100000,64015.2,64030.0,64033.3,64015.2,0.75],
    [1700000040000,64010.0,64015.2,64020.5,64000.1,1.25]]";
const GEMINI: &str = r"[[1700000100000,64015.2,64033.3,64015.2,64030.0,7.5e-1],
    [1700000040000,64010.0,64020.5,64000.1,64015.2,1.25]]";
const OKX: &str = r#"{"code":"0","msg":"","data":[
    ["1700000100000","64015.2","64033.3","64015.2","64030.0","0.75","48000","48000","0"],
    ["1700000040000","64010.0","64020.5","64000.1","64015.2","1.25","80000","80000","1"]]}"#;
const BINANCE: &str = r#"[
    [1700000040000,"64010.0","64020.5","64000.1","64015.2","1.25",1700000099999,"80000",31,"1","64000","0"],
    [1700000100000,"64015.2","64033.3","64015.2","64030.0","0.75",1700000159999,"48000",17,"1","64000","0"]]"#;

const SHAPES: [(Exchange, &str); 7] = [
    (Exchange::Kraken, KRAKEN),
    (Exchange::CoinbaseExchange, COINBASE),
    (Exchange::Bitstamp, BITSTAMP),
    (Exchange::Bitfinex, BITFINEX),
    (Exchange::Gemini, GEMINI),
    (Exchange::Okx, OKX),
    (Exchange::Binance, BINANCE),
];

fn usd() -> Currency {
    "USD".parse().unwrap()
}

fn parsed(exchange: Exchange, body: &str) -> Result<Vec<Candle>, FeedFailure> {
    parse(exchange, &usd(), body.as_bytes())
}

fn number(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

#[test]
fn reads_the_same_candles_out_of_every_shape() {
    let candle = |at, [open, high, low, close, volume]: [&str; 5]| Candle {
        at: Timestamp::from_millis(at),
        open: number(open),
        high: number(high),
        low: number(low),
        close: number(close),
        volume: number(volume),
    };
    let expected = [
        candle(
            1_700_000_040_000,
            ["64010", "64020.5", "64000.1", "64015.2", "1.25"],
        ),
        candle(
            1_700_000_100_000,
            ["64015.2", "64033.3", "64015.2", "64030", "0.75"],
        ),
    ];
    for (exchange, body) in SHAPES {
        assert_eq!(parsed(exchange, body).unwrap(), expected, "{exchange:?}");
    }
}

#[test]
fn refuses_every_shape_of_another_exchange() {
    // Bitfinex and Gemini differ in the order of the numbers only.
    for (exchange, _) in SHAPES {
        for (other, body) in SHAPES {
            let same_shape = [exchange, other]
                .iter()
                .all(|one| matches!(one, Exchange::Bitfinex | Exchange::Gemini));
            if exchange != other && !same_shape {
                let failure = parsed(exchange, body).unwrap_err();
                assert!(
                    matches!(failure, Malformed | WrongPair),
                    "{exchange:?} read {other:?}: {failure:?}"
                );
            }
        }
    }
}

#[test]
fn a_newest_candle_that_makes_no_sense_is_refused() {
    for (exchange, body) in SHAPES {
        // The last price of the newest candle, which stands there once.
        for (number, failure) in [
            ("-64030.0", Absurd),
            ("0", Absurd),
            ("0.0", Absurd),
            ("99999.9", Absurd),
            ("1e300", Absurd),
            ("640300000000000000", Absurd),
            ("NaN", Malformed),
            ("Infinity", Malformed),
            ("null", Malformed),
            ("true", Malformed),
            ("[]", Malformed),
        ] {
            assert_eq!(body.matches("64030.0").count(), 1);
            let body = body.replace("64030.0", number);
            assert_eq!(
                parsed(exchange, &body),
                Err(failure),
                "{exchange:?} {number}"
            );
        }
    }
}

#[test]
fn text_and_numbers_are_not_mixed_up() {
    for (exchange, body) in SHAPES {
        let other = if body.contains("\"64030.0\"") {
            body.replace("\"64030.0\"", "64030.0")
        } else {
            body.replace("64030.0", "\"64030.0\"")
        };
        assert_eq!(parsed(exchange, &other), Err(Malformed), "{exchange:?}");
    }
}

#[test]
fn an_older_candle_that_makes_no_sense_is_left_out() {
    for (exchange, body) in SHAPES {
        let body = body.replace("64000.1", "0");
        let candles = parsed(exchange, &body).unwrap();
        assert_eq!(candles.len(), 1, "{exchange:?}");
        assert_eq!(candles[0].close, number("64030"));
    }
}

#[test]
fn times_in_the_wrong_unit_are_refused() {
    for (exchange, body) in SHAPES {
        let body = if body.contains("1700000100000") {
            body.replace("1700000100000", "1700000100")
        } else {
            body.replace("1700000100", "1700000100000")
        };
        assert_eq!(parsed(exchange, &body), Err(Malformed), "{exchange:?}");
    }
}

#[test]
fn answers_about_another_market_are_refused() {
    let eur = "EUR".parse().unwrap();
    for (exchange, body) in [(Exchange::Kraken, KRAKEN), (Exchange::Bitstamp, BITSTAMP)] {
        assert_eq!(parse(exchange, &eur, body.as_bytes()), Err(WrongPair));
    }
    let two = KRAKEN.replace("\"last\"", "\"XETHZUSD\":[],\"last\"");
    assert_eq!(parsed(Exchange::Kraken, &two), Err(WrongPair));
}

#[test]
fn errors_in_the_exchanges_own_words_are_refusals() {
    let kraken = r#"{"error":["EGeneral:Too many requests"]}"#;
    assert_eq!(parsed(Exchange::Kraken, kraken), Err(Refused));
    let okx = r#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#;
    assert_eq!(parsed(Exchange::Okx, okx), Err(Refused));
    let bitfinex = r#"["error",11010,"ratelimit: error"]"#;
    assert_eq!(parsed(Exchange::Bitfinex, bitfinex), Err(Malformed));
    let coinbase = r#"{"message":"NotFound"}"#;
    assert_eq!(parsed(Exchange::CoinbaseExchange, coinbase), Err(Malformed));
}

#[test]
fn an_answer_without_candles_is_empty() {
    for (exchange, body) in [
        (Exchange::Gemini, "[]"),
        (Exchange::Okx, r#"{"code":"0","data":[]}"#),
        (Exchange::Kraken, r#"{"error":[],"result":{"XXBTZUSD":[]}}"#),
        (
            Exchange::Bitstamp,
            r#"{"data":{"pair":"BTC/USD","ohlc":[]}}"#,
        ),
    ] {
        assert_eq!(parsed(exchange, body), Err(Empty), "{exchange:?}");
    }
}

#[test]
fn no_bytes_bring_it_down() {
    let deep = "[".repeat(100_000);
    let many = format!("[{}[]]", "[],".repeat(PRICE_REPLY_CANDLES_MAX));
    for (exchange, body) in SHAPES {
        for bad in ["", "{", "null", "1", "\u{feff}[]", &deep, "[[]]", "[[1]]"] {
            assert!(parsed(exchange, bad).is_err(), "{exchange:?} {bad:.20}");
        }
        assert!(parse(exchange, &usd(), b"\xff\xfe").is_err());
        for end in 0..body.len() {
            assert!(
                parsed(exchange, &body[..end]).is_err(),
                "{exchange:?} cut at {end}"
            );
        }
    }
    assert_eq!(parsed(Exchange::Gemini, &many), Err(TooLarge));
}

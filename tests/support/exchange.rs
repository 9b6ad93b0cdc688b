//! An exchange on this machine, in the shape of one of the real ones, that can be told to be slow,
//! to hang, to lie and to answer nonsense.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use satpost_infra::config::{FeedConfig, PriceConfig};
use satpost_infra::price::parse::Exchange;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How an exchange answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// With two candles, the newer one closing at this price, beginning so many seconds before now.
    Price {
        /// The price as it is written.
        close: String,
        /// The age of the newer candle.
        age_secs: u64,
    },
    /// The same after a while.
    Slow(String, Duration),
    /// It takes the connection and says nothing.
    Hung,
    /// With this status, and `Location` and `Retry-After`.
    Status(u16),
    /// With this body.
    Body(String),
    /// With a body of so many spaces, announced by its length or not.
    Huge {
        /// How many.
        bytes: usize,
        /// Whether `Content-Length` says so.
        announced: bool,
    },
}

impl Behaviour {
    /// A fresh price.
    #[must_use]
    pub fn price(close: &str) -> Self {
        Self::Price {
            close: close.to_owned(),
            age_secs: 0,
        }
    }
}

/// The settings of a server that asks these exchanges for the price in US dollars.
#[must_use]
pub fn price_config(exchanges: &[SimulatedExchange]) -> PriceConfig {
    let feed = |exchange: &SimulatedExchange| FeedConfig {
        name: exchange.exchange.name().to_owned(),
        parser: None,
        url: Some(exchange.url()),
        currencies: Vec::new(),
        interval_secs: None,
    };
    PriceConfig {
        currencies: vec!["USD".to_owned()],
        feeds: exchanges.iter().map(feed).collect(),
        ..PriceConfig::default()
    }
}

/// A running exchange; it ends with this value.
pub struct SimulatedExchange {
    /// Whose shape its answers have.
    pub exchange: Exchange,
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    requests: Arc<AtomicU64>,
    served: JoinHandle<()>,
}

impl SimulatedExchange {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(exchange: Exchange, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let (sender, receiver) = watch::channel(behaviour);
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        let served = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (receiver, counted) = (receiver.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    // A client that goes away is none of our business.
                    serve(connection, exchange, receiver, &counted).await.ok();
                });
            }
        });
        Self {
            exchange,
            address,
            behaviour: sender,
            requests,
            served,
        }
    }

    /// Its address as a template.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{{CUR}}", self.address)
    }

    /// Answers differently from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// How often it was asked.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for SimulatedExchange {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn serve(
    mut connection: TcpStream,
    exchange: Exchange,
    behaviour: watch::Receiver<Behaviour>,
    requests: &AtomicU64,
) -> std::io::Result<()> {
    while let Some(currency) = currency_of_request(&mut connection).await? {
        requests.fetch_add(1, Ordering::SeqCst);
        let behaviour = behaviour.borrow().clone();
        let body = match behaviour {
            Behaviour::Price { close, age_secs } => answer(exchange, &currency, &close, age_secs),
            Behaviour::Slow(close, time) => {
                tokio::time::sleep(time).await;
                answer(exchange, &currency, &close, 0)
            }
            Behaviour::Hung => return std::future::pending().await,
            Behaviour::Status(status) => {
                let head = format!(
                    "HTTP/1.1 {status} Told So\r\nLocation: http://127.0.0.1:1/\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
                );
                connection.write_all(head.as_bytes()).await?;
                continue;
            }
            Behaviour::Body(body) => body,
            Behaviour::Huge { bytes, announced } => {
                let length = if announced {
                    format!("Content-Length: {bytes}\r\n")
                } else {
                    "Connection: close\r\n".to_owned()
                };
                let head = format!("HTTP/1.1 200 OK\r\n{length}\r\n");
                connection.write_all(head.as_bytes()).await?;
                return connection.write_all(&vec![b' '; bytes]).await;
            }
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(body.as_bytes()).await?;
    }
    Ok(())
}

/// Reads a request; nothing when the connection ends. Its path is the currency.
async fn currency_of_request(connection: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).await? == 0 || head.len() > 8_192 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default();
    Ok(Some(path.trim_start_matches('/').to_owned()))
}

/// Two candles in the shape of `exchange`: the newer one begins `age_secs` ago and closes at `close`,
/// the older one is a minute before it. Both have one price throughout, as written.
#[expect(
    clippy::disallowed_methods,
    reason = "an exchange has a clock of its own"
)]
fn answer(exchange: Exchange, currency: &str, close: &str, age_secs: u64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is past 1970");
    let newer = now.as_secs() - age_secs;
    let older = newer - 60;
    let (p, v) = (close, "1.5");
    match exchange {
        Exchange::Kraken => {
            let row = |t| format!(r#"[{t},"{p}","{p}","{p}","{p}","{p}","{v}",3]"#);
            let rows = format!("{},{}", row(older), row(newer));
            format!(r#"{{"error":[],"result":{{"XXBTZ{currency}":[{rows}],"last":{older}}}}}"#)
        }
        Exchange::CoinbaseExchange => {
            format!("[[{newer},{p},{p},{p},{p},{v}],[{older},{p},{p},{p},{p},{v}]]")
        }
        Exchange::Bitstamp => {
            let row = |t| {
                format!(
                    r#"{{"timestamp":"{t}","open":"{p}","high":"{p}","low":"{p}","close":"{p}","volume":"{v}"}}"#
                )
            };
            let rows = format!("{},{}", row(older), row(newer));
            format!(r#"{{"data":{{"pair":"BTC/{currency}","ohlc":[{rows}]}}}}"#)
        }
        Exchange::Bitfinex | Exchange::Gemini => {
            format!("[[{newer}000,{p},{p},{p},{p},{v}],[{older}000,{p},{p},{p},{p},{v}]]")
        }
        Exchange::Okx => {
            let row = |t| format!(r#"["{t}000","{p}","{p}","{p}","{p}","{v}","0","0","1"]"#);
            let rows = format!("{},{}", row(newer), row(older));
            format!(r#"{{"code":"0","msg":"","data":[{rows}]}}"#)
        }
        Exchange::Binance => {
            let row =
                |t| format!(r#"[{t}000,"{p}","{p}","{p}","{p}","{v}",{t}999,"0",1,"0","0","0"]"#);
            format!("[{},{}]", row(older), row(newer))
        }
    }
}

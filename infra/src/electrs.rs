//! `satpost-electrs`: takes the flags of `electrs` and serves the Esplora API over an index of every
//! script, and as much of the Electrum protocol as harnesses use to know that it is ready. So a test
//! suite that starts `electrs` through `ELECTRS_EXE` tests this server instead. For tests, not for
//! wallets: no TLS, no limits on peers.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use clap::Parser as _;
use satpost_api::esplora::{EsploraConfig, EsploraState};
use satpost_api::metrics::{HttpMetrics, encode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bitcoind::{CoreRpc, convert};
use crate::esplora::index::{Index, keep_in_step};
use crate::esplora::{AllScripts, EsploraNode};
use crate::{shutdown, telemetry};

mod arguments;
mod electrum;
mod methods;

use arguments::Arguments;

/// How often the node is asked whether anything has changed, unless a signal says so: as often as
/// `electrs` does, because suites take two answers in a row for answers to the same state.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether the first synchronisation is done.
const START_PAUSE: Duration = Duration::from_millis(20);

/// Runs until a signal.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = actix_web::rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("the operating system gives threads")
    });
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "satpost-electrs ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::init(&arguments.logging())?;
    arguments.warn_of_what_has_no_effect();
    let stop = CancellationToken::new();
    shutdown::on_signals(stop.clone()).context("signals cannot be handled")?;
    let http = arguments.http_addr().map(bind).transpose()?;
    let monitoring = arguments.monitoring_addr().map(bind).transpose()?;
    let electrum = bind(arguments.electrum_addr())?;

    let network = arguments.network()?;
    let (url, auth) = arguments.node()?;
    let node = Arc::new(EsploraNode::new(&url, &auth));
    let rpc = Arc::new(CoreRpc::new(url, auth));
    let folder = arguments.index_folder()?;
    let on = convert::network(network);
    let index = Arc::new(Index::open(&folder, on)?);
    let wake = Arc::new(Notify::new());
    let follower = tokio::spawn(keep_in_step(
        Arc::clone(&index),
        Arc::clone(&node),
        rpc.clone(),
        Arc::clone(&wake),
        LOOK_EVERY,
        stop.clone(),
    ));
    wake_on_signal(&wake)?;
    let chain = Arc::new(AllScripts::new(Arc::clone(&index), node, rpc, on));
    while !index.has_agreed() && !stop.is_cancelled() {
        tokio::time::sleep(START_PAUSE).await;
    }

    let registry = prometheus::Registry::new();
    let metrics = HttpMetrics::register(&registry)?;
    let config = EsploraConfig {
        allow_origin: arguments.cors.clone(),
        unspent_max: arguments.utxos_limit,
        mining: arguments.enable_mining_rest,
        ..EsploraConfig::new(network)
    };
    let state = Arc::new(EsploraState::new(config, chain.clone(), metrics));
    let serve_http = async {
        match http {
            Some(listener) => {
                let stopped = stop.clone().cancelled_owned();
                satpost_api::esplora::run(state, listener, stopped).await
            }
            None => {
                stop.cancelled().await;
                Ok(())
            }
        }
    };
    let outcome = tokio::try_join!(
        serve_http,
        serve_monitoring(monitoring, registry, stop.clone()),
        electrum::serve(electrum, chain, network, stop.clone()),
    );
    stop.cancel();
    follower.await?;
    outcome.map(|_| ()).context("a listener failed")
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))
}

/// Harnesses send SIGUSR1 after they have mined a block.
fn wake_on_signal(wake: &Arc<Notify>) -> anyhow::Result<()> {
    let mut signals = signal(SignalKind::user_defined1()).context("SIGUSR1 cannot be handled")?;
    let wake = Arc::clone(wake);
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            wake.notify_one();
        }
    });
    Ok(())
}

/// Metrics, where the harness wants them.
async fn serve_monitoring(
    listener: Option<TcpListener>,
    registry: prometheus::Registry,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let Some(listener) = listener else {
        return Ok(());
    };
    let server = HttpServer::new(move || {
        let registry = registry.clone();
        App::new().default_service(web::to(move || {
            let text = encode(&registry);
            async move {
                text.map_or_else(
                    |_| HttpResponse::InternalServerError().finish(),
                    |text| HttpResponse::Ok().content_type("text/plain").body(text),
                )
            }
        }))
    })
    .workers(1)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => return ended,
        () = stop.cancelled() => {}
    }
    drop(handle.stop(true));
    server.await
}

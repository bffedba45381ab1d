//! The listener: TLS connections in, requests through the guard, an orderly end.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request},
    middleware,
};
use hyper::header::{self, HeaderName};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use super::{
    Gateway, account_api,
    guard::{REQUEST_ID, enforce, guard},
    ledger_api,
    observe::observe,
    oidc_api, passkey_api, status_api, trust_api,
    unread::take_rest,
};
use crate::{
    access::Route,
    discovery::{self, Checks},
    edge, event_api,
    limits::service as limits,
    trust::{PeerCertificate, Tls},
};

/// Every route of the gateway: what the guard knows, it lets pass to its part.
pub(crate) const ROUTES: &[&[Route]] = &[
    account_api::ROUTES,
    oidc_api::ROUTES,
    passkey_api::ROUTES,
    trust_api::ROUTES,
    status_api::ROUTES,
    ledger_api::ROUTES,
    discovery::ROUTES,
    event_api::ROUTES,
    edge::ROUTES,
];

/// Why the gateway does not listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ServeError {
    address: SocketAddr,
    source: io::Error,
}

/// A gateway that listens.
#[derive(Debug)]
pub struct Bound {
    gateway: Arc<Gateway>,
    listener: TcpListener,
}

/// Takes the address that is configured; port 0 takes a free one.
pub async fn bind(gateway: Arc<Gateway>) -> Result<Bound, ServeError> {
    let address = gateway.config.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServeError { address, source })?;
    Ok(Bound { gateway, listener })
}

/// A client that trusts this gateway's authority and what the machine trusts, and follows nobody elsewhere.
pub(super) fn asking(tls: &Tls) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(tls.client_config())
        .build()
}

impl Gateway {
    /// The routes behind the guard.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let proxy = self.proxy.clone();
        Router::new()
            .merge(account_api::router())
            .merge(oidc_api::router())
            .merge(passkey_api::router())
            .merge(trust_api::router())
            .merge(status_api::router())
            .merge(ledger_api::router())
            .with_state(Arc::clone(self))
            .merge(self.discovery.clone().router())
            .layer(DefaultBodyLimit::max(limits::MAX_BODY_BYTES))
            // Their bodies have limits of their own.
            .merge(event_api::router(self.events.clone()))
            // A refusal of a service behind the gateway is that service's, and passes as it is.
            .layer(middleware::from_fn(crate::problem::plain_to_problem))
            .merge(self.proxy.router())
            // What no route has and a rule leads to: the guard lets nothing else come so far.
            .fallback(move |request: Request| async move { proxy.call(request).await })
            .layer(middleware::from_fn_with_state(Arc::clone(self), enforce))
            .layer(middleware::from_fn_with_state(
                Arc::clone(&self.rate_limit),
                edge::rate_limit,
            ))
            .layer(middleware::from_fn_with_state(Arc::clone(self), guard))
            .layer(middleware::from_fn_with_state(Arc::clone(self), observe))
            .layer(middleware::from_fn(take_rest))
            .layer(self.cors())
    }

    /// Which pages of other origins may call, with credentials: those that are configured, letter for letter.
    /// Outermost, since a browser's question beforehand brings no token.
    fn cors(self: &Arc<Self>) -> CorsLayer {
        let gateway = Arc::clone(self);
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| {
                gateway.live.now().origins.contains(origin)
            }))
            .allow_credentials(true)
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([
                REQUEST_ID,
                HeaderName::from_static("ratelimit"),
                HeaderName::from_static("ratelimit-policy"),
                header::RETRY_AFTER,
            ])
            .max_age(limits::CORS_FOR)
    }

    /// The set-up code to be shown, while nobody has been set up.
    pub async fn set_up_code(&self) -> Result<Option<String>, crate::state::StateError> {
        Ok(self
            .set_up
            .code()
            .await?
            .map(|code| code.reveal().to_owned()))
    }

    /// What the gateway asks others with: services that it checks, issuers whose keys it fetches. Certificates
    /// of its own authority are trusted, and those that the machine trusts.
    fn outside(&self) -> Option<reqwest::Client> {
        asking(&self.tls)
            .inspect_err(|error| tracing::error!(%error, "nothing is asked of others"))
            .ok()
    }

    /// Starts the checks of registered services.
    fn start_checks(&self, client: reqwest::Client) -> Checks {
        let replica = self.ids.next(self.clock.now()).to_string();
        Checks::start(self.discovery.clone(), replica, client)
    }

    /// Says that it is about to end, and goes on serving for as long as load balancers take to hear of it.
    async fn drain(&self) {
        self.draining.store(true, Relaxed);
        tokio::time::sleep(Duration::from_secs(self.config.drain_s)).await;
    }

    /// Where state, keys and log lie.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.config.data_dir
    }

    /// The root certificate that clients are to trust, PEM.
    pub fn root_pem(&self) -> Result<String, crate::trust::AuthorityError> {
        self.authority.root_pem()
    }
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`; then takes no new connection, lets requests end for a while, and closes.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let acceptor = TlsAcceptor::from(self.gateway.tls.config());
        let router = self.gateway.router();
        let places = Arc::new(Semaphore::new(limits::MAX_CONNECTIONS));
        let graceful = Arc::new(GracefulShutdown::new());
        let upkeep = tokio::spawn(upkeep(Arc::clone(&self.gateway)));
        let signing = tokio::spawn(self.gateway.ledger.clone().sign_on());
        let outside = self.gateway.outside();
        let checks = outside
            .clone()
            .map(|client| self.gateway.start_checks(client));
        let key_sets: Vec<_> = outside
            .iter()
            .flat_map(|client| {
                let issuers = self.gateway.tokens.external().iter();
                issuers.map(|issuer| tokio::spawn(issuer.keys.clone().keep(client.clone())))
            })
            .collect();
        let sending = outside
            .clone()
            .and_then(|client| self.gateway.tracer.start(client));
        let draining = Arc::clone(&self.gateway);
        let mut stop = std::pin::pin!(async move {
            stop.await;
            draining.drain().await;
        });
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (self.listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                () = &mut stop => break,
                next = next => next,
            };
            match (accepted, place) {
                (Ok((stream, peer)), Ok(place)) => {
                    let (acceptor, router) = (acceptor.clone(), router.clone());
                    let watcher = graceful.watcher();
                    tokio::spawn(connection(acceptor, router, stream, peer, watcher, place));
                }
                (Err(error), _) => {
                    // Out of file handles, most likely: those that end free some.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(limits::ACCEPT_RETRY).await;
                }
                (Ok(_), Err(_)) => break,
            }
        }
        drop(self.listener);
        // Streams and waiting fetches would never end by themselves.
        self.gateway.events.close();
        self.gateway.discovery.close();
        upkeep.abort();
        signing.abort();
        key_sets.iter().for_each(tokio::task::JoinHandle::abort);
        if let Some(checks) = checks {
            checks.stop().await;
        }
        match Arc::try_unwrap(graceful) {
            Ok(graceful) => {
                if timeout(limits::GRACE, graceful.shutdown()).await.is_err() {
                    tracing::warn!("requests that would not end were cut off");
                }
            }
            Err(_) => tracing::error!("connections are watched from elsewhere"),
        }
        if let Some(sending) = sending {
            self.gateway.tracer.stop(sending).await;
        }
        self.gateway.close().await;
    }
}

/// Certificates and keys that are due for the next, sessions that have expired.
async fn upkeep(gateway: Arc<Gateway>) {
    let mut tick = tokio::time::interval(crate::limits::trust::ROTATION_LOOK);
    loop {
        tick.tick().await;
        if let Err(error) = gateway.authority.rotate().await {
            tracing::error!(%error, "the next issuing certificate was not made");
        }
        if let Err(error) = gateway.tokens.keyring().rotate().await {
            tracing::error!(%error, "the next signing key was not made");
        }
        if let Err(error) = gateway.tls.renew() {
            tracing::error!(%error, "the gateway's own certificate was not renewed");
        }
        if let Err(error) = gateway.authority.sweep().await {
            tracing::error!(%error, "expired certificates were not swept");
        }
        if let Err(error) = gateway.sessions.sweep().await {
            tracing::error!(%error, "expired sessions were not swept");
        }
        if let Err(error) = gateway.oidc.sweep().await {
            tracing::error!(%error, "used states were not swept");
        }
        if let Err(error) = gateway.passkeys.sweep().await {
            tracing::error!(%error, "used challenges were not swept");
        }
    }
}

async fn connection(
    acceptor: TlsAcceptor,
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    watcher: hyper_util::server::graceful::Watcher,
    _place: OwnedSemaphorePermit,
) {
    // An answer that waits for the acknowledgement of the one before is an answer 40 ms late.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(limits::HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!("a handshake took too long");
            return;
        }
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|der| PeerCertificate(Arc::from(der.as_ref())));
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        request.map(axum::body::Body::new)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_READ)
        .max_buf_size(limits::MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::MAX_STREAMS)
        .max_header_list_size(limits::MAX_HEAD_BYTES as u32)
        .max_pending_accept_reset_streams(limits::MAX_RESETS)
        .keep_alive_interval(limits::KEEP_ALIVE)
        .keep_alive_timeout(limits::HEADER_READ);
    let serving = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(serving.into_owned()).await {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

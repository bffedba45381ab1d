//! Servers on loopback that can be killed, a list of instances that is set, and a proxy before them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use gateway::{
    discovery::Instance,
    edge::{Healthy, Proxy, ProxyOptions},
    random::Random,
};
use hyper::Request;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tower::ServiceExt as _;

/// A server; it and all its connections end when this goes.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves HTTP/1.1 and HTTP/2 on a free port of loopback.
pub(crate) async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        // Dropped with the task, and every connection with it.
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let router = router.clone();
            let service = router.map_request(move |mut request: Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request.map(Body::new)
            });
            connections.spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder
                    .http1()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(5));
                let _ = builder
                    .serve_connection_with_upgrades(
                        TokioIo::new(stream),
                        TowerToHyperService::new(service),
                    )
                    .await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Server { address, accepting }
}

/// Takes connections and does with each what it is told.
pub(crate) async fn serve_raw<F: Future<Output = ()> + Send + 'static>(
    one: impl Fn(TcpStream) -> F + Send + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(one(stream));
        }
    });
    Server { address, accepting }
}

/// Instances of a service, by site and name.
type Lists = HashMap<(String, String), Arc<[Instance]>>;

/// Instances as they are set.
#[derive(Debug, Default)]
pub(crate) struct Table(Mutex<Lists>);

impl Table {
    pub(crate) fn set(&self, site: &str, service: &str, addresses: &[SocketAddr]) {
        let instances = addresses
            .iter()
            .map(|address| Instance {
                id: address.to_string(),
                host: address.ip().to_string(),
                port: address.port(),
                weight: 1,
            })
            .collect();
        let key = (site.to_owned(), service.to_owned());
        self.0.lock().unwrap().insert(key, instances);
    }
}

impl Healthy for Table {
    fn healthy(&self, site: &str, service: &str) -> Arc<[Instance]> {
        let key = (site.to_owned(), service.to_owned());
        let table = self.0.lock().unwrap();
        table.get(&key).cloned().unwrap_or_else(|| Arc::from([]))
    }
}

/// A proxy that listens, and what it knows.
pub(crate) struct Front {
    pub(crate) table: Arc<Table>,
    pub(crate) proxy: Proxy,
    pub(crate) server: Server,
}

impl Front {
    /// Before instances of the service `lab` of the site `here`.
    pub(crate) async fn before(
        instances: &[&Server],
        change: impl FnOnce(&mut ProxyOptions),
    ) -> Self {
        let table = Arc::new(Table::default());
        let addresses: Vec<_> = instances.iter().map(|server| server.address).collect();
        table.set("here", "lab", &addresses);
        let mut options = ProxyOptions::new("here");
        change(&mut options);
        let proxy = Proxy::new(options, Arc::clone(&table) as _, Random::from_seed(7));
        let ruled = proxy.clone();
        let router = proxy
            .router()
            .fallback(move |request: axum::extract::Request| {
                let proxy = ruled.clone();
                async move { proxy.call(request).await }
            });
        Self {
            table,
            proxy,
            server: serve(router).await,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    pub(crate) fn get(&self, path: &str) -> Request<Body> {
        Request::get(self.url(path)).body(Body::empty()).unwrap()
    }

    /// Sends bytes as they are and reads until the other end closes or is silent for a second.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.server.address).await.unwrap();
        // A refusal may come, and the connection close, before all is written.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let silent = Duration::from_secs(1);
        let mut buffer = [0; 4096];
        while let Ok(Ok(read @ 1..)) = tokio::time::timeout(silent, stream.read(&mut buffer)).await
        {
            answer.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

pub(crate) fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn client2() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http()
}

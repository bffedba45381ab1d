//! The running program under connections that mean it harm, while others are served.

use std::{fs, sync::Arc, time::Duration};

use reqwest::StatusCode;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::program::Program;

/// A connection to the program that speaks what `alpn` says, and whatever it is made to send.
async fn connect(program: &Program, alpn: &[u8]) -> TlsStream<TcpStream> {
    let pem = fs::read(program.folder.join("ca.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", program.port))
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}

/// All that comes until the other end closes.
async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    // A connection that is cut off is one that has ended.
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..read]);
    }
    all
}

async fn is_served(program: &Program) {
    let answer = timeout(Duration::from_secs(5), program.client(None).get("/healthz")).await;
    assert_eq!(answer.expect("in time").status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dribbles_a_head_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path()).await;
    let begun = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..30 {
        let mut stream = connect(&program, b"http/1.1").await;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
            .await
            .unwrap();
        slow.push(tokio::spawn(async move {
            // A letter a second, for ever: each is in time, the head never is.
            for _ in 0..60 {
                let dribble = async {
                    stream.write_all(b"a").await?;
                    stream.flush().await
                };
                if dribble.await.is_err() {
                    break;
                }
                let more = timeout(Duration::from_secs(1), stream.read(&mut [0; 1024])).await;
                if matches!(more, Ok(Ok(0) | Err(_))) {
                    break;
                }
            }
            begun.elapsed()
        }));
    }
    is_served(&program).await;
    for stream in slow {
        let lasted = stream.await.unwrap();
        assert!(lasted < Duration::from_secs(20), "{lasted:?}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path()).await;
    let many: String = (0..300).map(|at| format!("x-{at}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "a".repeat(200_000));
    for fields in [many, long] {
        let mut stream = connect(&program, b"http/1.1").await;
        let head = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        // It is refused before all of it is written.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = timeout(Duration::from_secs(20), rest(&mut stream))
            .await
            .unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
    }
    let mut stream = connect(&program, b"http/1.1").await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nx: ")
        .await
        .unwrap();
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && stream.write_all(&[b'a'; 16 * 1024]).await.is_ok() {
        sent += 16 * 1024;
    }
    assert!(sent < 16 * 1024 * 1024, "{sent} bytes were taken");
    is_served(&program).await;
    program.stop().await;
}

/// An HTTP/2 frame (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_end_the_connection() {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: u32 = 11;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path()).await;
    let stream = connect(&program, b"h2").await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    // GET, https, `/`, authority `x` (RFC 7541, appendix A).
    let fields = [0x82, 0x87, 0x84, 0x41, 1, b'x'];
    for at in 0..5_000_u32 {
        bytes.extend(frame(HEADERS, 0x5, at * 2 + 1, &fields));
        bytes.extend(frame(RST_STREAM, 0, at * 2 + 1, &8_u32.to_be_bytes()));
    }
    let (mut reading, mut writing) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        let _ = writing.write_all(&bytes).await;
        let _ = writing.flush().await;
        // Held open: it is for the other end to close.
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let mut answer = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    let ended = timeout(Duration::from_secs(20), async {
        while let Ok(read @ 1..) = reading.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..read]);
        }
    });
    ended.await.expect("the connection is closed");
    sending.abort();
    let mut rest = answer.as_slice();
    let mut calm = None;
    while let Some((head, after)) = rest.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, next)) = after.split_at_checked(length) else {
            break;
        };
        if head[3] == GOAWAY {
            calm = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = next;
    }
    assert_eq!(calm, Some(ENHANCE_YOUR_CALM));
    is_served(&program).await;
    program.stop().await;
}

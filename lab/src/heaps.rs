//! Has the node's daemons collect the garbage on their heaps, so that a level of memory does not
//! depend on how long ago each did so by itself.
//!
//! Each is asked for a heap profile by its own debugging interface; `gc=1` makes the Go runtime
//! collect first. Source: net/http/pprof, runtime.GC.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use wamr_node::{DEBUG_SOCKET, ETCD_ADDRESS, NODE_ADDRESS};

/// The profile as text: it is thrown away, and text needs no decoder.
const PROFILE: &str = "/debug/pprof/heap?gc=1&debug=1";

/// A daemon that does not answer by then keeps its heap as it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a daemon is asked.
enum Door {
    /// A socket in the file system.
    Unix(PathBuf),
    /// Plain HTTP on the node's loopback.
    Plain(&'static str),
    /// An API server or what is behind one, with the path before the profile's.
    Api(Client, String),
}

/// The daemons of a node, each with the way to its debugging interface.
#[derive(Default)]
pub struct Heaps(Vec<(&'static str, Door)>);

impl Heaps {
    /// Nobody is asked: the daemons are not the lab's.
    pub fn of_nobody() -> Self {
        Self::default()
    }

    /// containerd alone, on a node without Kubernetes. `root` is the node's root directory.
    pub fn of_containerd(root: &Path) -> Self {
        let socket = root.join(DEBUG_SOCKET.trim_start_matches('/'));
        Self(vec![("containerd", Door::Unix(socket))])
    }

    /// All daemons of the node `name`. To be called where its addresses can be reached.
    ///
    /// # Errors
    /// The admin's kubeconfig is unreadable.
    pub async fn of_node(root: &Path, name: &str, kubeconfig: &Path) -> Result<Self> {
        let mut heaps = Self::of_containerd(root);
        let file = Kubeconfig::read_from(kubeconfig)
            .into_diagnostic()
            .wrap_err_with(|| format!("read {}", kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .into_diagnostic()
            .wrap_err("use the admin's kubeconfig")?;
        let api = client(config.clone())?;
        // The other daemons have certificates of their own making.
        let own = |address: &str| {
            let mut config = config.clone();
            config.cluster_url = format!("https://{address}").parse().into_diagnostic()?;
            config.accept_invalid_certs = true;
            client(config)
        };
        let kubelet = format!("/api/v1/nodes/{name}/proxy");
        heaps.0.extend([
            ("kubelet", Door::Api(api.clone(), kubelet)),
            ("kube-apiserver", Door::Api(api, String::new())),
            ("kube-controller-manager", Door::Api(own("127.0.0.1:10257")?, String::new())),
            ("kube-scheduler", Door::Api(own("127.0.0.1:10259")?, String::new())),
            ("metrics-server", Door::Api(own(&format!("{NODE_ADDRESS}:4443"))?, String::new())),
            ("etcd", Door::Plain(ETCD_ADDRESS)),
        ]);
        Ok(heaps)
    }

    /// Whom it asks.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    /// Asks all at once and waits until each has collected; returns those that did not, with the
    /// reason.
    pub async fn collect(&self) -> Vec<(&'static str, String)> {
        let asked = self.0.iter().map(|(name, door)| async move {
            let refusal = match timeout(PATIENCE, ask(door)).await {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => format!("{error:?}"),
                Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
            };
            Some((*name, refusal))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

fn client(config: Config) -> Result<Client> {
    Client::try_from(config).into_diagnostic().wrap_err("prepare to ask a daemon for its heap")
}

async fn ask(door: &Door) -> Result<()> {
    match door {
        Door::Unix(path) => {
            let stream = UnixStream::connect(path)
                .await
                .into_diagnostic()
                .wrap_err_with(|| format!("connect to {}", path.display()))?;
            get(stream).await
        }
        Door::Plain(address) => {
            let stream = TcpStream::connect(address)
                .await
                .into_diagnostic()
                .wrap_err_with(|| format!("connect to {address}"))?;
            get(stream).await
        }
        Door::Api(client, before) => {
            let path = format!("{before}{PROFILE}");
            let request = http::Request::get(&path).body(Vec::new()).into_diagnostic()?;
            client.request_text(request).await.map(drop).into_diagnostic().wrap_err(path)
        }
    }
}

/// One GET of HTTP/1.0: the other side ends the stream with its answer.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let request = format!("GET {PROFILE} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.into_diagnostic().wrap_err("ask for the heap")?;
    stream.read_to_end(&mut answer).await.into_diagnostic().wrap_err("read the heap")?;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(64)]).into_owned();
    let status = head.split(' ').nth(1).ok_or_else(|| miette!("no answer in HTTP: {head:?}"))?;
    if status != "200" {
        bail!("{PROFILE}: status {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// A daemon that answers one request with `answer`; what it was asked comes back.
    async fn asked_of(answer: &'static str) -> (Vec<(&'static str, String)>, String) {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join(DEBUG_SOCKET.trim_start_matches('/'));
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let heaps = Heaps::of_containerd(root.path());
        tokio::join!(heaps.collect(), serve)
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn a_daemon_is_asked_to_collect_and_a_refusal_is_told() {
        let (refused, request) = block_on(asked_of("HTTP/1.0 200 OK\r\n\r\nheap profile: 0"));
        assert_eq!(refused, []);
        assert!(request.starts_with("GET /debug/pprof/heap?gc=1"), "{request}");
        let (refused, _) = block_on(asked_of("HTTP/1.0 404 Not Found\r\n\r\n"));
        assert!(refused[0].1.contains("status 404"), "{refused:?}");
        let (refused, _) = block_on(asked_of(""));
        assert!(refused[0].1.contains("no answer in HTTP"), "{refused:?}");
        let none = Heaps::of_containerd(Path::new("/nonexistent"));
        assert!(block_on(none.collect())[0].1.contains("connect to"));
        assert!(block_on(Heaps::of_nobody().collect()).is_empty());
    }
}

//! A thread inside the node's network namespace: only there the API server can be reached.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::thread;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::sched::{CloneFlags, setns};

/// Runs `work` to its end on a thread of its own in `network_namespace`, or where this process is,
/// with a single-threaded tokio runtime around it. The calling thread waits and stays where it is.
///
/// # Errors
/// The namespace cannot be entered, or as `work` fails.
pub fn block_on<T, Work, Running>(network_namespace: Option<&OwnedFd>, work: Work) -> Result<T>
where
    T: Send,
    Work: FnOnce() -> Running + Send,
    Running: Future<Output = Result<T>>,
{
    let enter = || -> Result<T> {
        if let Some(namespace) = network_namespace {
            let namespace = File::from(namespace.try_clone().into_diagnostic()?);
            setns(namespace, CloneFlags::CLONE_NEWNET)
                .into_diagnostic()
                .wrap_err("setns(node's network namespace): this needs CAP_SYS_ADMIN")?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .into_diagnostic()
            .wrap_err("start the runtime that talks to the API server")?;
        runtime.block_on(work())
    };
    thread::scope(|scope| {
        thread::Builder::new()
            .name("cluster".to_owned())
            .spawn_scoped(scope, enter)
            .into_diagnostic()
            .wrap_err("start a thread for the node's network namespace")?
            .join()
            .unwrap_or_else(|_| Err(miette!("the measuring thread panicked; its text is above")))
    })
}

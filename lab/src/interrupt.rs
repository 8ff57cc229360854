//! SIGINT, SIGTERM and SIGHUP: an orderly end.
//!
//! Before there is a node, a signal ends the process at once. From then on the first signal asks
//! the run to stop, so that the node is taken down; a second one ends the process, and the node's
//! keeper removes what is left.

use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use miette::{IntoDiagnostic, Result, WrapErr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Exit status of a command that was interrupted: 128 + SIGINT, as shells have it.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Tells whether the user wants to stop.
#[derive(Debug, Clone)]
pub struct Interrupt {
    armed: Arc<AtomicBool>,
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens from now on, on a thread of its own.
    ///
    /// Handlers, not a signal mask: a mask would be inherited by the node's daemons.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn listen() -> Result<Self> {
        let armed = Arc::new(AtomicBool::new(false));
        let (ask, asked) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .into_diagnostic()
            .wrap_err("start listening for signals")?;
        let guard = runtime.enter();
        let open = |kind| signal(kind).into_diagnostic().wrap_err("listen for a signal");
        let (mut interrupt, mut terminate, mut hang_up) = (
            open(SignalKind::interrupt())?,
            open(SignalKind::terminate())?,
            open(SignalKind::hangup())?,
        );
        drop(guard);
        let armed_there = Arc::clone(&armed);
        let listen = move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hang_up.recv() => {}
                    }
                    if !armed_there.load(Ordering::SeqCst) || *ask.borrow() {
                        exit(EXIT_INTERRUPTED.into());
                    }
                    eprintln!("stopping: the node is taken down (a second signal ends at once)");
                    ask.send_replace(true);
                }
            });
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(listen)
            .into_diagnostic()
            .wrap_err("start the thread that listens for signals")?;
        Ok(Self { armed, asked })
    }

    /// From now on there is something to take down.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// True once the user asked to stop.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Returns when the user asks to stop.
    pub async fn asked(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // Without the listening thread nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the user asks to stop.
    ///
    /// # Errors
    /// No runtime can be made to wait on.
    pub fn block_until_asked(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .into_diagnostic()
            .wrap_err("wait for a signal")?;
        runtime.block_on(self.asked());
        Ok(())
    }
}

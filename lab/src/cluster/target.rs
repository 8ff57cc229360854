//! Which cluster is meant: a kubeconfig with a context, or the cluster of a node of this machine.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::cli::TargetArgs;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use miette::{IntoDiagnostic, Result, WrapErr};
use wamr_node::NativeNode;

/// A cluster, and the network namespace that it can be reached from.
#[derive(Debug)]
pub struct Target {
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    /// The node of this machine whose cluster it is, if it is one.
    pub native: Option<NativeNode>,
    /// Where its API server can be reached from, if not from here.
    pub network: Option<OwnedFd>,
}

impl Target {
    /// The cluster that the command line names.
    ///
    /// # Errors
    /// It names a node of this machine that is not up.
    pub fn open(arguments: &TargetArgs) -> Result<Self> {
        let native = arguments.node.as_deref().map(NativeNode::attach).transpose()?;
        let network = native.as_ref().map(NativeNode::network_namespace).transpose();
        Ok(Self {
            kubeconfig: native
                .as_ref()
                .map(NativeNode::kubeconfig)
                .or_else(|| arguments.kubeconfig.clone()),
            context: arguments.context.clone(),
            network: network.into_diagnostic().wrap_err("open the network namespace")?,
            native,
        })
    }

    /// What to call it.
    pub fn name(&self) -> String {
        match (&self.native, &self.kubeconfig) {
            (Some(node), _) => format!("the cluster of the node {}", node.name()),
            (None, Some(file)) => format!("the cluster of {}", file.display()),
            (None, None) => "the cluster of KUBECONFIG or ~/.kube/config".to_owned(),
        }
    }

    /// A connection, for the current runtime.
    ///
    /// # Errors
    /// The kubeconfig is unreadable, or lacks the context.
    pub async fn client(&self) -> Result<Client> {
        let shown = || format!("connect to {}", self.name());
        let file = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let options =
            KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let file = file.into_diagnostic().wrap_err_with(shown)?;
        let config = Config::from_custom_kubeconfig(file, &options).await;
        let config = config.into_diagnostic().wrap_err_with(shown)?;
        Client::try_from(config).into_diagnostic().wrap_err_with(shown)
    }
}

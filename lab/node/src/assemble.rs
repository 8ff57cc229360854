//! The way from a machine that has started to a node that takes pods.

use miette::Result;
use wamr_progress::Progress;

use crate::machine_node::MachineNode;
use crate::member::Member;
use crate::network;
use crate::prepare::Prepared;
use crate::scale::PodNetwork;
use crate::site::Site;
use crate::start::start_all;

impl MachineNode {
    /// Brings the node up: its network, the daemons in their order, images and objects. It returns
    /// when pods can be created.
    ///
    /// # Errors
    /// A daemon did not come up: the text says which, with the end of its log.
    pub fn assemble(&self, progress: &Progress) -> Result<()> {
        let own = Member::control_plane(&self.spec().name);
        network::up(&own, PodNetwork::Bridge.prefix_length())?;
        let prepared = Prepared {
            daemons: self.spec().daemons.clone(),
            objects: self.spec().objects.clone(),
            workers: Vec::new(),
        };
        start_all(&Site::Machine(self), &prepared, &self.spec().image.workloads, progress)
    }
}

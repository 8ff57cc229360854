//! All nodes of a run as one: each is asked, and what they say is put together.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use miette::{Result, miette};
use wamr_node::runtimes::RuntimeUnderTest;
use wamr_record::cell::{Evidence, PhaseName, Pod, ProcessMemory};
use wamr_record::sample::{Meminfo, Reading};

use super::per_node::{Observer, Reader};
use super::question::{
    CollectEvidence, DropCaches, FindContainers, FirstProcess, ListPodProcesses, LogPiece, Memory,
    PodName, ReadContainerLog, ReadDaemonLogs, ReadDurations, ReadLastWords, ReadMemory,
    ReadPodCgroups, ReadStamps, WalkProcesses,
};
use super::sampler::Sampler;
use crate::cell::start_stamp::StartStamp;
use crate::cluster::pod_table::SeenPod;

/// All nodes of a run; there is at least one.
#[derive(Debug)]
pub struct Observers(Vec<Observer>);

/// A process by the place of its node among the observers and its id there.
pub type Processes = BTreeMap<(usize, u32), String>;

impl Observers {
    /// The one node of this machine.
    pub fn one(sampler: Sampler) -> Self {
        let (node, machine) = (None, String::new());
        Self(vec![Observer { node, machine, reader: Reader::Files(sampler) }])
    }

    /// Several nodes.
    pub fn several(observers: Vec<Observer>) -> Self {
        Self(observers)
    }

    /// True if lines have to tell whose node they are of.
    pub fn are_several(&self) -> bool {
        self.0.iter().any(|observer| observer.node.is_some())
    }

    /// Asks all for what they have.
    async fn all<T>(&self, ask: impl AsyncFn(&Observer) -> Result<T>) -> Result<Vec<T>> {
        try_join_all(self.0.iter().map(|observer| ask(observer))).await
    }

    /// Asks for maps and makes them one.
    async fn merged<T>(
        &self,
        ask: impl AsyncFn(&Observer) -> Result<BTreeMap<String, T>>,
    ) -> Result<BTreeMap<String, T>> {
        Ok(self.all(ask).await?.into_iter().flatten().collect())
    }

    /// The memory of all machines, the readings of each before their sum if there are several
    /// nodes, and the sum of the nodes' control groups.
    ///
    /// # Errors
    /// A node cannot be read.
    pub async fn memory(&self) -> Result<Vec<Reading>> {
        let all = self.all(async |observer| observer.ask(ReadMemory).await).await?;
        let of_machines = self.by_machine(&all);
        let sum = of_machines.values().copied().sum();
        let mut readings = Vec::new();
        if self.are_several() {
            let one = |(machine, meminfo): (&str, Meminfo)| Reading::MachineMeminfo {
                machine: machine.to_owned(),
                meminfo,
            };
            readings.extend(of_machines.into_iter().map(one));
        }
        readings.push(Reading::Meminfo(sum));
        readings.extend(sum_of_cgroups(all.iter().map(|memory| memory.cgroup.as_ref())));
        Ok(readings)
    }

    /// The memory of all machines together.
    ///
    /// # Errors
    /// A node cannot be read.
    pub async fn meminfo(&self) -> Result<Meminfo> {
        let all = self.all(async |observer| observer.ask(ReadMemory).await).await?;
        Ok(self.by_machine(&all).values().copied().sum())
    }

    /// What the readers of a machine's nodes have themselves is subtracted all together.
    fn by_machine(&self, all: &[Memory]) -> BTreeMap<&str, Meminfo> {
        let mut machines: BTreeMap<&str, Meminfo> = BTreeMap::new();
        for (observer, memory) in self.0.iter().zip(all) {
            machines
                .entry(&observer.machine)
                .and_modify(|machine| machine.lab_bytes += memory.meminfo.lab_bytes)
                .or_insert(memory.meminfo);
        }
        machines
    }

    /// The control groups of pods; one that is gone is left out.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn pod_cgroups(&self, pods: &[Pod]) -> Result<Vec<Reading>> {
        let ask = async |node: &Observer| node.ask(ReadPodCgroups { pods: node.own(pods) }).await;
        let all = self.all(ask).await?;
        Ok(all.into_iter().flatten().collect())
    }

    /// Every process of every node.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn walk(&self, phase: PhaseName, pods: &[Pod]) -> Result<Vec<ProcessMemory>> {
        let question = |node: &Observer| WalkProcesses { phase, pods: node.own(pods) };
        let all = self.all(async |node| node.ask(question(node)).await).await?;
        let named = |(observer, lines): (&Observer, Vec<ProcessMemory>)| {
            let node = observer.node.clone();
            lines.into_iter().map(move |line| ProcessMemory { node: node.clone(), ..line })
        };
        Ok(self.0.iter().zip(all).flat_map(named).collect())
    }

    /// Shims, and processes in the control groups of pods.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn pod_processes(&self) -> Result<Processes> {
        let all = self.all(async |observer| observer.ask(ListPodProcesses).await).await?;
        let keyed = |(at, processes): (usize, BTreeMap<u32, String>)| {
            processes.into_iter().map(move |(pid, name)| ((at, pid), name))
        };
        Ok(all.into_iter().enumerate().flat_map(keyed).collect())
    }

    /// The first processes of the containers of `pods`, by container.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn containers(
        &self,
        pods: &[(String, SeenPod)],
    ) -> Result<BTreeMap<String, FirstProcess>> {
        let ids = |node: &Observer| {
            let own = pods.iter().filter(|(_, pod)| node.has(pod.node.as_ref()));
            own.filter_map(|(_, pod)| pod.container_id.clone()).collect()
        };
        self.merged(async |node| node.ask(FindContainers { ids: ids(node) }).await).await
    }

    /// The start stamps that are there, by pod.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn stamps(&self, pods: &[(String, SeenPod)]) -> Result<BTreeMap<String, StartStamp>> {
        let question = |node: &Observer| ReadStamps { pods: node.own_names(pods) };
        self.merged(async |node| node.ask(question(node)).await).await
    }

    /// How long the work of pods took, by pod; of those that have said so.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn durations_ns(&self, pods: &[Pod]) -> Result<BTreeMap<String, i64>> {
        let name = |pod: Pod| PodName { name: pod.name, uid: pod.uid };
        let names = |node: &Observer| node.own(pods).into_iter().map(name).collect();
        self.merged(async |node| node.ask(ReadDurations { pods: names(node) }).await).await
    }

    /// The last lines of containers that ended, by pod.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn last_words(&self, pods: &[(String, SeenPod)]) -> Result<BTreeMap<String, String>> {
        let question = |node: &Observer| ReadLastWords { pods: node.own_names(pods) };
        self.merged(async |node| node.ask(question(node)).await).await
    }

    /// What really runs in `pods`. The runtime must be the same on all nodes.
    ///
    /// # Errors
    /// A program cannot be read, or differs.
    pub async fn evidence(
        &self,
        runtime: &RuntimeUnderTest,
        program: &str,
        pods: &[Pod],
    ) -> Result<Evidence> {
        let mut merged: Option<Evidence> = None;
        for observer in &self.0 {
            let own = observer.own(pods);
            if own.is_empty() {
                continue;
            }
            let (row, program) = (runtime.clone(), program.to_owned());
            let question = CollectEvidence { runtime: row, program, pods: own };
            let evidence = observer.ask(question).await?;
            let Some(all) = &mut merged else {
                merged = Some(evidence);
                continue;
            };
            if all.programs != evidence.programs || all.workload != evidence.workload {
                let node = observer.node.as_deref().unwrap_or_default();
                return Err(miette!(
                    help = "install the same build on all nodes",
                    "{node} has another {} or workload than the nodes before it",
                    runtime.handler
                ));
            }
            all.containers.extend(evidence.containers);
        }
        merged.ok_or_else(|| miette!("none of the pods is on a node that can be read"))
    }

    /// The begin of a container's log; `None` without one.
    ///
    /// # Errors
    /// The node cannot be asked.
    pub async fn container_log(
        &self,
        node: Option<&String>,
        pod: &PodName,
    ) -> Result<Option<Vec<u8>>> {
        match self.0.iter().find(|observer| observer.has(node)) {
            Some(observer) => observer.ask(ReadContainerLog { pod: pod.clone() }).await,
            None => Ok(None),
        }
    }

    /// The ends of the daemons' logs; of several nodes the names begin with the node's.
    ///
    /// # Errors
    /// A node cannot be asked.
    pub async fn daemon_logs(&self, daemons: &[&str]) -> Result<Vec<LogPiece>> {
        let daemons: Vec<String> = daemons.iter().map(ToString::to_string).collect();
        let question = || ReadDaemonLogs { daemons: daemons.clone() };
        let all = self.all(async |node| node.ask(question()).await).await?;
        let named = |(observer, logs): (&Observer, Vec<LogPiece>)| {
            let node = observer.node.as_ref().map_or_else(String::new, |node| format!("{node}-"));
            logs.into_iter().map(move |log| LogPiece { name: format!("{node}{}", log.name), ..log })
        };
        Ok(self.0.iter().zip(all).flat_map(named).collect())
    }

    /// Writes dirty pages back and drops clean ones, once per machine.
    ///
    /// # Errors
    /// A kernel refuses.
    pub async fn drop_caches(&self) -> Result<()> {
        let mut done = BTreeSet::new();
        for observer in &self.0 {
            if done.insert(&observer.machine) {
                observer.ask(DropCaches).await?;
            }
        }
        Ok(())
    }
}

/// The sum of the nodes' control groups; `None` if one has no figures.
fn sum_of_cgroups<'a>(groups: impl Iterator<Item = Option<&'a Reading>>) -> Option<Reading> {
    let mut sum = [0_u64; 5];
    for group in groups {
        let Some(Reading::NodeCgroup {
            usage_bytes,
            anon_bytes,
            file_bytes,
            shmem_bytes,
            kernel_bytes,
        }) = group
        else {
            return None;
        };
        let bytes = [usage_bytes, anon_bytes, file_bytes, shmem_bytes, kernel_bytes];
        for (sum, bytes) in sum.iter_mut().zip(bytes) {
            *sum += bytes;
        }
    }
    let [usage_bytes, anon_bytes, file_bytes, shmem_bytes, kernel_bytes] = sum;
    Some(Reading::NodeCgroup { usage_bytes, anon_bytes, file_bytes, shmem_bytes, kernel_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_view::NodeView;

    fn observer(node: &str, machine: &str) -> Observer {
        Observer {
            node: Some(node.to_owned()),
            machine: machine.to_owned(),
            reader: Reader::Files(one_node()),
        }
    }

    fn one_node() -> Sampler {
        Sampler::open(NodeView::new(1, "/proc".into(), "/".into()), None, None).unwrap()
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn a_machine_counts_once_however_many_nodes_it_has() {
        let shared = Observers::several(vec![observer("a", "one"), observer("b", "one")]);
        let apart = Observers::several(vec![observer("a", "one"), observer("b", "two")]);
        let alone = Observers::several(vec![observer("a", "one")]);
        let total = |observers: &Observers| block_on(observers.meminfo()).unwrap().total_bytes;
        assert_eq!(total(&shared), total(&alone));
        assert_eq!(total(&apart), 2 * total(&alone));
        let lab = |observers: &Observers| block_on(observers.meminfo()).unwrap().lab_bytes;
        assert!(lab(&shared) > lab(&alone) + lab(&alone) / 2, "each reader is subtracted");
        let readings = block_on(apart.memory()).unwrap();
        let machines: Vec<&str> = readings
            .iter()
            .filter_map(|reading| match reading {
                Reading::MachineMeminfo { machine, .. } => Some(machine.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(machines, ["one", "two"]);
        let one = Observers::one(one_node());
        assert_eq!(block_on(one.memory()).unwrap().len(), 1, "one node has no sum");
    }

    #[test]
    fn a_node_is_asked_for_its_own_pods() {
        let both = Observers::several(vec![observer("a", "one"), observer("b", "one")]);
        let pod = |node: &str| SeenPod { node: Some(node.to_owned()), ..SeenPod::default() };
        let pods = [("p".to_owned(), pod("a")), ("q".to_owned(), pod("b"))];
        let names = |at: usize| {
            both.0[at].own_names(&pods).into_iter().map(|pod| pod.name).collect::<Vec<_>>()
        };
        assert_eq!((names(0), names(1)), (vec!["p".to_owned()], vec!["q".to_owned()]));
        let one = Observers::one(one_node());
        assert_eq!(one.0[0].own_names(&pods).len(), 2, "the only node has them all");
        let walked = block_on(both.walk(PhaseName::Before, &[])).unwrap();
        assert!(walked.iter().all(|line| line.node.is_some()));
    }

    #[test]
    fn a_sum_of_groups_needs_all_of_them() {
        let group = |bytes: u64| Reading::NodeCgroup {
            usage_bytes: bytes,
            anon_bytes: 1,
            file_bytes: 2,
            shmem_bytes: 1,
            kernel_bytes: 3,
        };
        let (first, second) = (group(5), group(6));
        let Some(Reading::NodeCgroup { usage_bytes, kernel_bytes, .. }) =
            sum_of_cgroups([Some(&first), Some(&second)].into_iter())
        else {
            panic!()
        };
        assert_eq!((usage_bytes, kernel_bytes), (11, 6));
        assert_eq!(sum_of_cgroups([Some(&first), None].into_iter()), None);
    }
}

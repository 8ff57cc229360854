//! Every number that a cell yields, by name and unit.

use serde::Serialize;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes for each pod of the cell.
    BytesPerPod,
    /// Nanoseconds, of a start after the call that creates the pods.
    Nanoseconds,
}

macro_rules! measures {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $unit:ident;)+) => {
        /// A number of a cell. Its key names the unit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Measure {
            $($(#[$doc])* $name,)+
        }

        impl Measure {
            /// All measures, in the order of the reports.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Name in numbers.json and in the heads of CSV files.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)+ }
            }

            /// What the number counts.
            pub fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)+ }
            }
        }
    };
}

measures! {
    /// MemFree, before to plateau: the paper's figure.
    FreePaper = "free_paper_bytes_per_pod", BytesPerPod;
    /// MemFree, plateau against the mean of before and after.
    FreeBracket = "free_bracket_bytes_per_pod", BytesPerPod;
    /// MemAvailable, before to plateau.
    AvailablePaper = "available_paper_bytes_per_pod", BytesPerPod;
    /// MemAvailable, plateau against the mean of before and after.
    AvailableBracket = "available_bracket_bytes_per_pod", BytesPerPod;
    /// MemTotal - MemFree - Buffers - Cached - SReclaimable, before to plateau.
    UsedPaper = "used_paper_bytes_per_pod", BytesPerPod;
    /// The same, plateau against the mean of before and after.
    UsedBracket = "used_bracket_bytes_per_pod", BytesPerPod;
    /// MemFree, before to after: what the node took or gave back for other reasons.
    FreeDrift = "free_drift_bytes_per_pod", BytesPerPod;
    /// MemAvailable, before to after.
    AvailableDrift = "available_drift_bytes_per_pod", BytesPerPod;
    /// The node's working set by metrics-server, before to plateau.
    NodeMetrics = "metrics_server_node_bytes_per_pod", BytesPerPod;
    /// The node's working set by metrics-server against the mean of before and after.
    NodeMetricsBracket = "metrics_server_node_bracket_bytes_per_pod", BytesPerPod;
    /// A pod's working set by metrics-server, median over pods and scrapes.
    PodMetrics = "metrics_server_pod_bytes", BytesPerPod;
    /// The control group of the whole node without page cache, before to plateau.
    NodeCgroup = "node_cgroup_bytes_per_pod", BytesPerPod;
    /// The node's working set by the kubelet's summary, before to plateau.
    SummaryNode = "kubelet_summary_node_bytes_per_pod", BytesPerPod;
    /// The node's working set by the kubelet's resource metrics, before to plateau.
    ResourceNode = "kubelet_resource_node_bytes_per_pod", BytesPerPod;
    /// A pod's working set by its control group's files, with the sandbox; median over the pods.
    PodCgroup = "cgroup_pod_bytes", BytesPerPod;
    /// A pod's working set by the kubelet's summary, with the sandbox; median over the pods.
    SummaryPod = "kubelet_summary_pod_bytes", BytesPerPod;
    /// A pod's working set by the kubelet's resource metrics, with the sandbox; median.
    ResourcePod = "kubelet_resource_pod_bytes", BytesPerPod;
    /// Its containers' working set by the same, without the sandbox; median.
    ResourceContainers = "kubelet_resource_containers_bytes", BytesPerPod;
    /// The processes of a pod and the daemons' growth, by smaps.
    Processes = "processes_bytes_per_pod", BytesPerPod;
    /// The last pod's first instruction.
    StartLast = "start_last_ns", Nanoseconds;
    /// The first pod's first instruction.
    StartFirst = "start_first_ns", Nanoseconds;
    /// A tenth of the pods' first instructions.
    StartP10 = "start_p10_ns", Nanoseconds;
    /// Half of the pods' first instructions.
    StartP50 = "start_p50_ns", Nanoseconds;
    /// Nine of ten pods' first instructions.
    StartP90 = "start_p90_ns", Nanoseconds;
    /// 99 of a hundred pods' first instructions.
    StartP99 = "start_p99_ns", Nanoseconds;
    /// Half of the pods are scheduled.
    ScheduledP50 = "scheduled_p50_ns", Nanoseconds;
    /// Nine of ten pods are scheduled.
    ScheduledP90 = "scheduled_p90_ns", Nanoseconds;
    /// 99 of a hundred pods are scheduled.
    ScheduledP99 = "scheduled_p99_ns", Nanoseconds;
    /// All pods are scheduled.
    ScheduledLast = "scheduled_last_ns", Nanoseconds;
    /// Half of the pods have sandbox and network.
    SandboxP50 = "sandbox_p50_ns", Nanoseconds;
    /// Nine of ten pods have them.
    SandboxP90 = "sandbox_p90_ns", Nanoseconds;
    /// 99 of a hundred pods have them.
    SandboxP99 = "sandbox_p99_ns", Nanoseconds;
    /// All pods have them.
    SandboxLast = "sandbox_last_ns", Nanoseconds;
    /// The kubelet has created half of the containers.
    CreatedP50 = "created_p50_ns", Nanoseconds;
    /// It has created nine of ten.
    CreatedP90 = "created_p90_ns", Nanoseconds;
    /// It has created 99 of a hundred.
    CreatedP99 = "created_p99_ns", Nanoseconds;
    /// It has created all.
    CreatedLast = "created_last_ns", Nanoseconds;
    /// The kubelet has started half of the containers.
    StartedP50 = "started_p50_ns", Nanoseconds;
    /// It has started nine of ten.
    StartedP90 = "started_p90_ns", Nanoseconds;
    /// It has started 99 of a hundred.
    StartedP99 = "started_p99_ns", Nanoseconds;
    /// It has started all.
    StartedLast = "started_last_ns", Nanoseconds;
    /// Kubernetes reports half of the containers as running.
    RunningP50 = "running_p50_ns", Nanoseconds;
    /// Kubernetes reports all containers as running.
    RunningLast = "running_last_ns", Nanoseconds;
    /// containerd has read the first line of all workloads.
    LogLast = "log_last_ns", Nanoseconds;
    /// A fixed amount of work, by the workload's own clock: half of the pods had done it by then.
    WorkP50 = "work_p50_ns", Nanoseconds;
    /// The same of the pod that took longest.
    WorkLast = "work_last_ns", Nanoseconds;
    /// Memory that only the container's process maps.
    PartContainerPrivate = "part_container_private_bytes_per_pod", BytesPerPod;
    /// The container's share of pages that several processes map.
    PartContainerShared = "part_container_shared_bytes_per_pod", BytesPerPod;
    /// The sandbox's pause process.
    PartPause = "part_pause_bytes_per_pod", BytesPerPod;
    /// The containerd shims.
    PartShim = "part_shim_bytes_per_pod", BytesPerPod;
    /// Growth of everything else that runs on the node.
    PartDaemons = "part_daemons_growth_bytes_per_pod", BytesPerPod;
    /// Page cache and shared memory that no process maps.
    PartPageCache = "part_page_cache_bytes_per_pod", BytesPerPod;
    /// The kernel's own: slab, stacks, page tables, per-processor areas, vmalloc.
    PartKernel = "part_kernel_bytes_per_pod", BytesPerPod;
    /// What neither a process nor a counter of the kernel explains.
    PartRest = "part_rest_bytes_per_pod", BytesPerPod;
    /// What free lost between the two walks over all processes: the sum of the parts.
    PartsTaken = "parts_taken_bytes_per_pod", BytesPerPod;
    /// Growth of containerd.
    GrowthContainerd = "growth_containerd_bytes_per_pod", BytesPerPod;
    /// Growth of the kubelet.
    GrowthKubelet = "growth_kubelet_bytes_per_pod", BytesPerPod;
    /// Growth of etcd, API server, controller manager and scheduler.
    GrowthControlPlane = "growth_control_plane_bytes_per_pod", BytesPerPod;
    /// Growth of metrics-server.
    GrowthMetricsServer = "growth_metrics_server_bytes_per_pod", BytesPerPod;
    /// Growth of the lab's own sampler.
    GrowthLab = "growth_lab_bytes_per_pod", BytesPerPod;
    /// Growth of other processes.
    GrowthOther = "growth_other_bytes_per_pod", BytesPerPod;
    /// Growth of the kernel's slab caches.
    KernelSlab = "kernel_slab_bytes_per_pod", BytesPerPod;
    /// Growth of kernel stacks.
    KernelStacks = "kernel_stacks_bytes_per_pod", BytesPerPod;
    /// Growth of page tables.
    KernelPageTables = "kernel_page_tables_bytes_per_pod", BytesPerPod;
    /// Growth of per-processor areas.
    KernelPercpu = "kernel_percpu_bytes_per_pod", BytesPerPod;
    /// Growth of vmalloc areas besides stacks.
    KernelVmalloc = "kernel_vmalloc_bytes_per_pod", BytesPerPod;
    /// Growth of what TCP and UDP have set aside for sockets; a part of it is slab, too.
    KernelSockets = "kernel_sockets_bytes_per_pod", BytesPerPod;
}

impl Serialize for Measure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

#[test]
fn keys_are_unique_and_name_their_unit() {
    let mut keys: Vec<&str> = Measure::ALL.iter().map(|measure| measure.key()).collect();
    for &measure in Measure::ALL {
        match measure.unit() {
            Unit::BytesPerPod => assert!(measure.key().contains("_bytes"), "{}", measure.key()),
            Unit::Nanoseconds => assert!(measure.key().ends_with("_ns"), "{}", measure.key()),
        }
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), Measure::ALL.len());
}

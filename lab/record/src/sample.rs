//! Readings: every source of memory figures, each with its own time.

use std::convert::Infallible;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cell::PhaseName;

/// A line of `samples.ndjson`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// When the lab took the reading.
    pub taken_ns: i64,
    /// The phase it was taken in.
    pub phase: PhaseName,
    /// Pods of the cell whose container was running at that moment.
    pub pods_running: u32,
    /// What was read.
    pub reading: Reading,
}

/// What a source says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reading {
    /// `/proc/meminfo`: what `free` prints is computed from these.
    Meminfo(Meminfo),
    /// metrics-server, `/apis/metrics.k8s.io/v1beta1/nodes`: the node, or the sum over all nodes
    /// that are measured together once each has a new figure.
    MetricsServerNode {
        /// End of the window that the figure stands for, by metrics-server; of several nodes the
        /// earliest.
        timestamp_ns: i64,
        /// Length of that window.
        window_s: f64,
        /// The node's working set.
        working_set_bytes: u64,
    },
    /// metrics-server, `/apis/metrics.k8s.io/v1beta1/pods`: one pod of the cell.
    MetricsServerPod {
        /// End of the window that the figure stands for.
        timestamp_ns: i64,
        /// Length of that window.
        window_s: f64,
        /// The pod's name.
        pod: String,
        /// Sum of its containers' working sets (without the sandbox).
        working_set_bytes: u64,
    },
    /// The control group that holds the whole node, daemons and pods: what the rest of the machine
    /// does is not in it. Kernel memory that is charged to nobody is missing.
    NodeCgroup {
        /// Everything charged.
        usage_bytes: u64,
        /// Of it anonymous memory.
        anon_bytes: u64,
        /// Of it page cache, with shared memory.
        file_bytes: u64,
        /// Of that shared memory: tmpfs and memfds, which no program can be given instead.
        #[serde(default)]
        shmem_bytes: u64,
        /// Of it kernel memory.
        kernel_bytes: u64,
    },
    /// `/proc/meminfo` right before the walk over all processes: what their memory is compared
    /// with. Not among the readings of a level.
    MeminfoAtWalk(Meminfo),
    /// `/proc/meminfo` of one of several machines that are measured together. `Meminfo` and
    /// `MeminfoAtWalk` are then the sums of these, each machine once however many nodes it has.
    MachineMeminfo {
        /// The machine's name in environment.json.
        machine: String,
        /// What it says.
        meminfo: Meminfo,
    },
    /// The kubelet, `/stats/summary`: the node, or all nodes that are measured together.
    KubeletSummaryNode {
        /// When the kubelet read it.
        timestamp_ns: i64,
        /// Everything charged to the node's root control group, as the kubelet sees it.
        usage_bytes: u64,
        /// That without inactive file pages.
        working_set_bytes: u64,
        /// Anonymous memory.
        rss_bytes: u64,
    },
    /// The kubelet, `/stats/summary`: one pod of the cell, its sandbox included.
    KubeletSummaryPod {
        /// When the kubelet read it.
        timestamp_ns: i64,
        /// The pod's name.
        pod: String,
        /// Everything charged to the pod's control group.
        usage_bytes: u64,
        /// That without inactive file pages.
        working_set_bytes: u64,
        /// Anonymous memory.
        rss_bytes: u64,
    },
    /// The kubelet, `/metrics/resource`: the node, or all nodes that are measured together. It is
    /// what metrics-server scrapes.
    KubeletResourceNode {
        /// When the kubelet read it.
        timestamp_ns: i64,
        /// `node_memory_working_set_bytes`
        working_set_bytes: u64,
    },
    /// The kubelet, `/metrics/resource`: one pod of the cell.
    KubeletResourcePod {
        /// When the kubelet read it.
        timestamp_ns: i64,
        /// The pod's name.
        pod: String,
        /// `pod_memory_working_set_bytes`: with the sandbox.
        working_set_bytes: u64,
        /// Sum of `container_memory_working_set_bytes`: without the sandbox.
        containers_working_set_bytes: u64,
    },
    /// The files of a pod's control group: what the others are made from, without their delay.
    PodCgroup {
        /// The pod's name.
        pod: String,
        /// Everything charged.
        usage_bytes: u64,
        /// That without inactive file pages.
        working_set_bytes: u64,
        /// Of it anonymous memory.
        anon_bytes: u64,
        /// Of it page cache, with shared memory.
        file_bytes: u64,
        /// Of it kernel memory.
        kernel_bytes: u64,
    },
}

impl Reading {
    /// What the control group of a node holds besides page cache that the kernel can take back;
    /// `None` of any other reading.
    pub fn node_cgroup_kept_bytes(&self) -> Option<u64> {
        let Self::NodeCgroup { usage_bytes, file_bytes, shmem_bytes, .. } = self else {
            return None;
        };
        Some(usage_bytes.saturating_sub(file_bytes.saturating_sub(*shmem_bytes)))
    }
}

/// Where a field of [`Meminfo`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeminfoSource {
    /// The line of `/proc/meminfo` with this name.
    Line(&'static str),
    /// A line that came with a later kernel.
    LaterLine(&'static str),
    /// Another file.
    Elsewhere,
}

/// A field of [`Meminfo`].
#[derive(Debug, Clone, Copy)]
pub struct MeminfoField {
    /// Where it comes from.
    pub source: MeminfoSource,
    /// Reads it.
    pub of: fn(&Meminfo) -> u64,
}

/// Declares [`Meminfo`]: whatever is done to each of its fields is done by this one list.
macro_rules! meminfo {
    ($($(#[$meta:meta])* $field:ident: $source:expr,)*) => {
        /// The lines of `/proc/meminfo` that are kept, in bytes.
        ///
        /// Source: proc_meminfo(5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Meminfo {
            $($(#[$meta])* pub $field: u64,)*
        }

        impl Meminfo {
            /// Makes each field of what `value` says for it.
            ///
            /// # Errors
            /// As `value`.
            pub fn try_from_fields<E>(
                mut value: impl FnMut(MeminfoField) -> Result<u64, E>,
            ) -> Result<Self, E> {
                let mut made = Self::default();
                $(made.$field = value(MeminfoField { source: $source, of: |it| it.$field })?;)*
                Ok(made)
            }
        }
    };
}

meminfo! {
    /// MemTotal
    total_bytes: MeminfoSource::Line("MemTotal"),
    /// MemFree: the column `free` of free(1), and the paper's measure.
    free_bytes: MeminfoSource::Line("MemFree"),
    /// MemAvailable: the primary measure here.
    available_bytes: MeminfoSource::Line("MemAvailable"),
    /// Buffers
    buffers_bytes: MeminfoSource::Line("Buffers"),
    /// Cached
    cached_bytes: MeminfoSource::Line("Cached"),
    /// AnonPages
    anon_bytes: MeminfoSource::Line("AnonPages"),
    /// Shmem
    shmem_bytes: MeminfoSource::Line("Shmem"),
    /// Slab
    slab_bytes: MeminfoSource::Line("Slab"),
    /// SReclaimable
    slab_reclaimable_bytes: MeminfoSource::Line("SReclaimable"),
    /// KernelStack
    kernel_stack_bytes: MeminfoSource::Line("KernelStack"),
    /// PageTables
    page_tables_bytes: MeminfoSource::Line("PageTables"),
    /// Percpu
    percpu_bytes: MeminfoSource::Line("Percpu"),
    /// Free pages that the kernel keeps in lists of the single processors: the sum of `count` over
    /// the pagesets of /proc/zoneinfo. It leaves them out of MemFree and MemAvailable, and lets
    /// them grow to some hundred MB after much was freed.
    per_cpu_lists_bytes: MeminfoSource::Elsewhere,
    /// SecPageTables
    #[serde(default)]
    secondary_page_tables_bytes: MeminfoSource::LaterLine("SecPageTables"),
    /// VmallocUsed; kernel stacks are in it.
    #[serde(default)]
    vmalloc_bytes: MeminfoSource::LaterLine("VmallocUsed"),
    /// Memory that TCP and UDP have set aside for sockets, by /proc/net/sockstat. The heads of
    /// packets in it are in Slab, too.
    #[serde(default)]
    sockets_bytes: MeminfoSource::Elsewhere,
    /// Anonymous and shared memory of the lab itself, by its own smaps_rollup; 0 in a run that was
    /// recorded without it.
    #[serde(default)]
    lab_bytes: MeminfoSource::Elsewhere,
}

impl std::iter::Sum for Meminfo {
    /// That of several machines together.
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| {
            Self::from_fields(|field| (field.of)(&sum).saturating_add((field.of)(&one)))
        })
    }
}

impl Meminfo {
    /// Makes each field of what `value` says for it.
    pub fn from_fields(mut value: impl FnMut(MeminfoField) -> u64) -> Self {
        let made = Self::try_from_fields(|field| Ok::<u64, Infallible>(value(field)));
        let Ok(made) = made;
        made
    }

    /// Memory that would be free if nobody measured: MemFree, the processors' lists, and what the
    /// lab itself has.
    pub fn all_free_bytes(&self) -> u64 {
        self.free_bytes.saturating_add(self.per_cpu_lists_bytes).saturating_add(self.lab_bytes)
    }

    /// Memory that programs could get if nobody measured: MemAvailable, the processors' lists, and
    /// what the lab itself has.
    pub fn all_available_bytes(&self) -> u64 {
        self.available_bytes.saturating_add(self.per_cpu_lists_bytes).saturating_add(self.lab_bytes)
    }
}

#[test]
fn shared_memory_is_no_page_cache_that_can_be_taken_back() {
    let group = |file_bytes, shmem_bytes| Reading::NodeCgroup {
        usage_bytes: 100,
        anon_bytes: 20,
        file_bytes,
        shmem_bytes,
        kernel_bytes: 10,
    };
    assert_eq!(group(70, 0).node_cgroup_kept_bytes(), Some(30));
    assert_eq!(group(70, 60).node_cgroup_kept_bytes(), Some(90), "memfds of a runtime");
    assert_eq!(group(200, 0).node_cgroup_kept_bytes(), Some(0), "figures that contradict");
    assert_eq!(Reading::Meminfo(Meminfo::default()).node_cgroup_kept_bytes(), None);
}

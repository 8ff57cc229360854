//! The order of cells: randomised complete blocks. Pure.
//!
//! Every repetition runs all series at all densities once, in an order of its own, so that a drift
//! of the machine falls on all of them alike. Cells of one release of containerd stand together in
//! a block: each release has a node of its own.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use wamr_node::runtimes::RuntimeTable;
use wamr_record::experiment::{Experiment, Series};
use wamr_record::release::Release;

use crate::releases::{Arm, Releases, arms};

/// One cell to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedCell {
    /// Place in the run, from 0.
    pub order: u32,
    /// Block, from 1.
    pub repetition: u32,
    /// Index into the experiment's series.
    pub series: usize,
    /// Release of containerd; `None` on a cluster, which has its own.
    pub containerd: Option<Release>,
    /// Pods at once.
    pub pods: u32,
}

/// The cells of an experiment in their order, where nodes can have `releases`.
pub fn planned_cells(
    experiment: &Experiment,
    runtimes: &RuntimeTable,
    releases: &Releases,
) -> Vec<PlannedCell> {
    let Experiment { densities, repetitions, seed, .. } = experiment;
    plan(&arms(experiment, runtimes, releases), densities, *repetitions, *seed)
}

/// The directory name of a cell of `experiment`.
pub fn cell_name(experiment: &Experiment, cell: &PlannedCell) -> String {
    let series = &experiment.series[cell.series];
    let compared = !experiment.compared_releases().is_empty();
    cell_id(cell, series, compared)
}

/// All cells in the order they are run. The same arguments give the same order on every machine;
/// another number of repetitions leaves the first ones as they were.
fn plan(arms: &[Arm], densities: &[u32], repetitions: u32, seed: u64) -> Vec<PlannedCell> {
    let mut cells = Vec::new();
    for repetition in 1..=repetitions {
        let mut block: Vec<(Arm, u32)> =
            arms.iter().flat_map(|&arm| densities.iter().map(move |&pods| (arm, pods))).collect();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from(repetition));
        shuffle(&mut block, &mut random);
        for (Arm { series, containerd }, pods) in by_release(block) {
            let order = cells.len() as u32;
            cells.push(PlannedCell { order, repetition, series, containerd, pods });
        }
    }
    cells
}

/// Puts the cells of each release together, in the order in which chance has it that they come
/// first; within a release chance's order stays.
fn by_release(block: Vec<(Arm, u32)>) -> Vec<(Arm, u32)> {
    let mut releases: Vec<Option<Release>> = Vec::new();
    for (arm, _) in &block {
        if !releases.contains(&arm.containerd) {
            releases.push(arm.containerd);
        }
    }
    let mut block = block;
    block.sort_by_key(|(arm, _)| releases.iter().position(|known| *known == arm.containerd));
    block
}

/// Fisher–Yates. Written here because the order is part of a published experiment: a library may
/// change its algorithm, and the modulo's bias (below 2^-50 for any real block) does no harm.
fn shuffle<T>(items: &mut [T], random: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let chosen = random.next_u64() % (last as u64 + 1);
        items.swap(last, chosen as usize);
    }
}

/// The directory name of a cell: `0003-wamr-crun-microservice-wasm-n10-r1`. It has what else the
/// experiment compares: the release of containerd, where several are `compared`, as
/// `-containerd2.4`; the rate of its pods, if they have one, as `-a20s`: 20 a second.
fn cell_id(cell: &PlannedCell, series: &Series, compared: bool) -> String {
    let PlannedCell { order, repetition, pods, .. } = cell;
    let Series { runtime, workload, arrival } = series;
    let release = cell.containerd.filter(|_| compared);
    let release = release.map_or_else(String::new, |release| format!("-containerd{release}"));
    let rate = arrival.map_or_else(String::new, |rate| format!("-a{rate}").replace('/', ""));
    format!("{order:04}-{runtime}-{workload}{release}-n{pods}{rate}-r{repetition}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use wamr_record::arrival::Arrival;

    use super::*;

    /// So many series on the only release.
    fn series(count: usize) -> Vec<Arm> {
        (0..count).map(|series| Arm { series, containerd: None }).collect()
    }

    fn on(release: &str) -> Release {
        release.parse().unwrap()
    }

    proptest! {
        #[test]
        fn every_block_has_every_cell_once(
            count in 1_usize..8,
            densities in prop::collection::btree_set(1_u32..500, 1..6),
            repetitions in 1_u32..5,
            seed: u64,
        ) {
            let densities: Vec<u32> = densities.into_iter().collect();
            let cells = plan(&series(count), &densities, repetitions, seed);
            let want: BTreeSet<(usize, u32)> = (0..count)
                .flat_map(|series| densities.iter().map(move |&pods| (series, pods)))
                .collect();
            for (index, block) in cells.chunks(want.len()).enumerate() {
                prop_assert!(block.iter().all(|cell| cell.repetition as usize == index + 1));
                let got: BTreeSet<_> = block.iter().map(|cell| (cell.series, cell.pods)).collect();
                prop_assert_eq!(&got, &want);
                prop_assert_eq!(block.len(), want.len());
            }
            let orders: Vec<u32> = cells.iter().map(|cell| cell.order).collect();
            prop_assert_eq!(orders, (0..cells.len() as u32).collect::<Vec<_>>());
        }

        #[test]
        fn the_same_seed_gives_the_same_order_and_more_blocks_only_append(seed: u64) {
            let short = plan(&series(4), &[1, 10, 100], 2, seed);
            prop_assert_eq!(&short, &plan(&series(4), &[1, 10, 100], 2, seed));
            let long = plan(&series(4), &[1, 10, 100], 3, seed);
            prop_assert_eq!(&long[..short.len()], &short[..]);
        }

        /// A node for each release of a block, no more; and within a release the order is that
        /// which chance would give without releases.
        #[test]
        fn releases_stand_together(seed: u64, releases in prop::collection::vec(0_usize..3, 1..8)) {
            let names = ["2.2", "2.3", "2.4"];
            let arm = |(series, release): (usize, &usize)| {
                Arm { series, containerd: Some(on(names[*release])) }
            };
            let arms: Vec<Arm> = releases.iter().enumerate().map(arm).collect();
            let cells = plan(&arms, &[1, 10], 1, seed);
            let stretches = cells.chunk_by(|one, other| one.containerd == other.containerd);
            let different: BTreeSet<_> = releases.iter().collect();
            prop_assert_eq!(stretches.count(), different.len());
            let plain = plan(&series(arms.len()), &[1, 10], 1, seed);
            for release in names.map(|name| Some(on(name))) {
                let of = |cell: &&PlannedCell| arms[cell.series].containerd == release;
                let key = |cell: &PlannedCell| (cell.series, cell.pods);
                let got: Vec<_> = cells.iter().filter(of).map(key).collect();
                let want: Vec<_> = plain.iter().filter(of).map(key).collect();
                prop_assert_eq!(got, want);
            }
        }
    }

    /// A published experiment must keep its order for ever.
    #[test]
    fn the_order_of_a_seed_is_fixed() {
        let order = |repetition| -> Vec<usize> {
            let cells = plan(&series(6), &[10], 2, 20_260_101);
            let block = cells.iter().filter(|cell| cell.repetition == repetition);
            block.map(|cell| cell.series).collect()
        };
        assert_eq!((order(1), order(2)), (vec![2, 0, 3, 1, 4, 5], vec![0, 1, 5, 2, 4, 3]));
    }

    #[test]
    fn ids_sort_in_the_order_of_the_run() {
        let containerd = Some(on("2.4"));
        let cell = PlannedCell { order: 3, repetition: 1, series: 0, containerd, pods: 10 };
        let series = |arrival: Option<&str>| Series {
            runtime: "wamr-crun".to_owned(),
            workload: "microservice-wasm".to_owned(),
            arrival: arrival.map(|rate| Arrival::try_from(rate.to_owned()).unwrap()),
        };
        let id = |arrival, compared| cell_id(&cell, &series(arrival), compared);
        let rate = Some("20/s");
        assert_eq!(id(None, false), "0003-wamr-crun-microservice-wasm-n10-r1");
        assert_eq!(id(None, true), "0003-wamr-crun-microservice-wasm-containerd2.4-n10-r1");
        assert_eq!(id(rate, false), "0003-wamr-crun-microservice-wasm-n10-a20s-r1");
        assert_eq!(id(rate, true), "0003-wamr-crun-microservice-wasm-containerd2.4-n10-a20s-r1");
    }
}

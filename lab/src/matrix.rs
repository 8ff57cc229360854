//! The order of cells: randomised complete blocks. Pure.
//!
//! Every repetition runs all series at all densities once, in an order of its own, so that a drift
//! of the machine falls on all of them alike.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One cell to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedCell {
    /// Place in the run, from 0.
    pub order: u32,
    /// Block, from 1.
    pub repetition: u32,
    /// Index into the experiment's series.
    pub series: usize,
    /// Pods at once.
    pub pods: u32,
}

/// All cells in the order they are run. The same arguments give the same order on every machine;
/// another number of repetitions leaves the first ones as they were.
pub fn plan(series: usize, densities: &[u32], repetitions: u32, seed: u64) -> Vec<PlannedCell> {
    let mut cells = Vec::new();
    for repetition in 1..=repetitions {
        let mut block: Vec<(usize, u32)> = (0..series)
            .flat_map(|series| densities.iter().map(move |&pods| (series, pods)))
            .collect();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from(repetition));
        shuffle(&mut block, &mut random);
        for (series, pods) in block {
            cells.push(PlannedCell { order: cells.len() as u32, repetition, series, pods });
        }
    }
    cells
}

/// Fisher–Yates. Written here because the order is part of a published experiment: a library may
/// change its algorithm, and the modulo's bias (below 2^-50 for any real block) does no harm.
fn shuffle<T>(items: &mut [T], random: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let chosen = random.next_u64() % (last as u64 + 1);
        items.swap(last, chosen as usize);
    }
}

/// The directory name of a cell: `0003-wamr-crun-microservice-wasm-n10-r1`.
pub fn cell_id(cell: &PlannedCell, runtime: &str, workload: &str) -> String {
    let PlannedCell { order, repetition, pods, .. } = cell;
    format!("{order:04}-{runtime}-{workload}-n{pods}-r{repetition}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_block_has_every_cell_once(
            series in 1_usize..8,
            densities in prop::collection::btree_set(1_u32..500, 1..6),
            repetitions in 1_u32..5,
            seed: u64,
        ) {
            let densities: Vec<u32> = densities.into_iter().collect();
            let cells = plan(series, &densities, repetitions, seed);
            let want: BTreeSet<(usize, u32)> = (0..series)
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
            let short = plan(4, &[1, 10, 100], 2, seed);
            prop_assert_eq!(&short, &plan(4, &[1, 10, 100], 2, seed));
            let long = plan(4, &[1, 10, 100], 3, seed);
            prop_assert_eq!(&long[..short.len()], &short[..]);
        }
    }

    /// A published experiment must keep its order for ever.
    #[test]
    fn the_order_of_a_seed_is_fixed() {
        let order = |repetition| -> Vec<usize> {
            let cells = plan(6, &[10], 2, 20_260_101);
            let block = cells.iter().filter(|cell| cell.repetition == repetition);
            block.map(|cell| cell.series).collect()
        };
        assert_eq!((order(1), order(2)), (vec![2, 0, 3, 1, 4, 5], vec![0, 1, 5, 2, 4, 3]));
    }

    #[test]
    fn ids_sort_in_the_order_of_the_run() {
        let cell = PlannedCell { order: 3, repetition: 1, series: 0, pods: 10 };
        let id = cell_id(&cell, "wamr-crun", "microservice-wasm");
        assert_eq!(id, "0003-wamr-crun-microservice-wasm-n10-r1");
    }
}

//! Round trips, and bytes that are no plan: none may panic, and none may pass as another plan.
//!
//! Tier: quick

use proptest::collection::vec;
use proptest::prelude::*;
use wamr_plan::{DecodeError, Plan, PlanRef, Preopen};

fn sample() -> Plan {
    Plan {
        module_fd: 4,
        args: vec![b"/microservice.wasm".to_vec(), b"".to_vec(), b"\xff\xfe".to_vec()],
        env: vec![b"PATH=/bin".to_vec(), b"LANG=C".to_vec()],
        cwd: b"/srv".to_vec(),
        preopens: vec![
            Preopen { guest_path: b"/".to_vec(), container_path: b"/".to_vec() },
            Preopen { guest_path: b"/data".to_vec(), container_path: b"/mnt/data".to_vec() },
        ],
        socket_networks: vec![b"10.0.0.0/8".to_vec()],
        socket_names: vec![b"*.example.com".to_vec()],
        stack_bytes: 65_536,
        heap_bytes: 0,
        max_memory_pages: 256,
    }
}

fn string() -> impl Strategy<Value = Vec<u8>> {
    vec(1..=u8::MAX, 0..40)
}

fn strings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(string(), 0..8)
}

prop_compose! {
    fn plan()(
        numbers in any::<[u32; 4]>(),
        (args, env) in (strings(), strings()),
        (socket_networks, socket_names) in (strings(), strings()),
        cwd in string(),
        paths in vec((string(), string()), 0..6),
    ) -> Plan {
        let [module_fd, stack_bytes, heap_bytes, max_memory_pages] = numbers;
        let preopens = paths
            .into_iter()
            .map(|(guest_path, container_path)| Preopen { guest_path, container_path })
            .collect();
        Plan {
            module_fd,
            args,
            env,
            cwd,
            preopens,
            socket_networks,
            socket_names,
            stack_bytes,
            heap_bytes,
            max_memory_pages,
        }
    }
}

proptest! {
    #[test]
    fn a_plan_survives_the_round_trip(plan in plan()) {
        prop_assert_eq!(Plan::decode(&plan.encode()), Ok(plan));
    }

    #[test]
    fn a_plan_with_any_bytes_after_it_is_refused(plan in plan(), tail in vec(any::<u8>(), 1..9)) {
        let mut bytes = plan.encode();
        bytes.extend(tail);
        prop_assert_eq!(Plan::decode(&bytes), Err(DecodeError::Length));
    }

    /// Either an error, or a plan of exactly these bytes: nothing is skipped or made up.
    #[test]
    fn damaged_bytes_never_pass_as_what_they_are_not(
        plan in plan(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = plan.encode();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(read) = Plan::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn noise_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        drop(PlanRef::parse(&bytes));
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = sample().encode();
    for length in 0..bytes.len() {
        let want = if length < 4 { DecodeError::Magic } else { DecodeError::Length };
        assert_eq!(Plan::decode(&bytes[..length]), Err(want), "{length} bytes");
    }
}

#[test]
fn every_bit_flip_is_refused_or_read_as_it_stands() {
    let bytes = sample().encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = Plan::decode(&flipped) {
            assert_eq!(read.encode(), flipped, "bit {bit}");
            assert_ne!(read, sample(), "bit {bit}");
        }
    }
}

#[test]
fn counts_and_lengths_beyond_the_input_are_refused() {
    // Offsets of: the four counts, then the length of cwd.
    for offset in [28, 32, 36, 40, 44] {
        for huge in [u32::MAX, u32::MAX - 1, 1 << 31, 1 << 20] {
            let mut bytes = sample().encode();
            bytes[offset..offset + 4].copy_from_slice(&huge.to_le_bytes());
            assert_eq!(Plan::decode(&bytes), Err(DecodeError::Length), "{huge} at {offset}");
        }
    }
}

#[test]
fn another_version_and_other_files_are_told_apart() {
    let mut bytes = sample().encode();
    bytes[4] = 9;
    assert_eq!(Plan::decode(&bytes), Err(DecodeError::Version(9)));
    for other in [b"".as_slice(), b"\0asm\x01\0\0\0", b"\x7fELF", b"{}"] {
        assert_eq!(Plan::decode(other), Err(DecodeError::Magic), "{other:?}");
    }
}

#[test]
fn a_string_with_a_nul_inside_is_refused() {
    let plan = Plan { args: vec![b"a\0b".to_vec()], ..sample() };
    assert_eq!(Plan::decode(&plan.encode()), Err(DecodeError::Nul));
}

#[test]
fn the_borrowed_form_points_into_the_bytes() {
    let bytes = sample().encode();
    let plan = PlanRef::parse(&bytes).expect("a plan");
    let range = bytes.as_ptr_range();
    assert!(plan.args().chain(plan.env()).all(|text| range.contains(&text.as_ptr().cast())));
    assert_eq!(plan.args().len(), 3);
    assert_eq!(plan.preopens().len(), 2);
}

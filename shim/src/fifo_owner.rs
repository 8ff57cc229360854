//! Whom a process' FIFOs belong to. containerd makes them for root, and has the process write to
//! them; to open one anew, as /dev/stdout, a process that is another user has to own it.

use crate::spec::{IdMapping, User};
use crate::stdio::StreamNames;
use std::os::unix::fs::chown;
use std::path::Path;

/// The user as the node knows it. `None`: it has no such number there.
fn outside(maps: &[IdMapping], id: u32) -> Option<u32> {
    if maps.is_empty() {
        return Some(id);
    }
    maps.iter().find_map(|map| map.outside(id))
}

/// Gives the FIFOs to the process' user. Who cannot have them can still write to them.
pub fn give(names: &StreamNames, user: User, [uids, gids]: &[Box<[IdMapping]>; 2]) {
    let owner = outside(uids, user.uid).zip(outside(gids, user.gid));
    let Some((uid, gid)) = owner.filter(|owner| *owner != (0, 0)) else { return };
    for name in [&names.stdin, &names.stdout, &names.stderr] {
        let path = name.strip_prefix("fifo://").unwrap_or(name);
        if path.starts_with('/') {
            drop(chown(Path::new(path), Some(uid), Some(gid)));
        }
    }
}

#[test]
fn users_of_the_node() {
    let maps = [
        IdMapping { container_id: 0, host_id: 70_000, size: 10 },
        IdMapping { container_id: 10, host_id: 4_294_967_290, size: 20 },
    ];
    for (maps, id, want) in [
        (&maps[..0], 7, Some(7)),
        (&maps, 0, Some(70_000)),
        (&maps, 9, Some(70_009)),
        (&maps, 10, Some(4_294_967_290)),
        (&maps, 16, None),
        (&maps, 30, None),
    ] {
        assert_eq!(outside(maps, id), want, "{id}");
    }
}

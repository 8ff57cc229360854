//! The plan as WASI wants it: C strings in arrays, most of them still lying in the plan.

use std::ffi::{CStr, CString, c_char};

use wamr_guest::{Failure, preopen, working_directory};
use wamr_plan::PlanRef;

use crate::sys::WorkingDirectory;

/// Arguments, environment and directories for one instantiation, which copies them.
pub struct Strings<'a> {
    pub args: Vec<*const c_char>,
    pub env: Vec<*const c_char>,
    /// Directories whose guest path is also their path in the container.
    pub same_dirs: Vec<*const c_char>,
    /// The others, as `guest::container`.
    pub mapped_dirs: Vec<*const c_char>,
    pub networks: Vec<*const c_char>,
    /// Host names to resolve.
    pub names: Vec<*const c_char>,
    /// If it is not the root.
    pub working_directory: Option<WorkingDirectory>,
    _owned: Vec<CString>,
    _plan: std::marker::PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// Gathers what `plan` says. A directory that the container's user cannot open is left out:
    /// the guest could not have used it either.
    ///
    /// # Errors
    /// A guest path that WAMR's `guest::container` notation cannot carry; a directory that is
    /// missing.
    pub fn new(plan: &PlanRef<'a>) -> Result<Self, Failure> {
        let mut owned = Vec::new();
        let mut env: Vec<_> = plan.env().map(CStr::as_ptr).collect();
        if let Some(entry) = working_directory::environment_entry(plan) {
            env.push(entry.as_ptr());
            owned.push(entry);
        }
        let (mut same_dirs, mut mapped_dirs) = (Vec::new(), Vec::new());
        let (mut same_names, mut mapped_names) = (Vec::new(), Vec::new());
        for (guest, container) in plan.preopens() {
            if !preopen::can_open(container)? {
                continue;
            }
            if guest == container {
                same_dirs.push(container.as_ptr());
                same_names.push(guest);
            } else {
                let entry = mapping(guest, container)?;
                mapped_dirs.push(entry.as_ptr());
                mapped_names.push(guest);
                owned.push(entry);
            }
        }
        let names = [same_names, mapped_names].concat();
        Ok(Self {
            args: plan.args().map(CStr::as_ptr).collect(),
            env,
            same_dirs,
            mapped_dirs,
            networks: plan.socket_networks().map(CStr::as_ptr).collect(),
            names: plan.socket_names().map(CStr::as_ptr).collect(),
            working_directory: working_directory_of(plan, &names),
            _owned: owned,
            _plan: std::marker::PhantomData,
        })
    }
}

/// The working directory of a guest whose preopens have these `names`, if it is not the root.
fn working_directory_of(plan: &PlanRef, names: &[&CStr]) -> Option<WorkingDirectory> {
    // WAMR numbers the preopens from 3 on.
    let number = |name| Some(3 + names.iter().position(|other| *other == name)? as u32);
    Some(WorkingDirectory {
        cwd: plan.cwd.to_bytes().into(),
        here: number(working_directory::HERE)?,
        root: number(working_directory::ROOT)?,
    })
}

/// `guest::container`, which WAMR splits at the first `::`.
fn mapping(guest: &CStr, container: &CStr) -> Result<CString, Failure> {
    let (name, path) = (guest.to_bytes(), container.to_bytes());
    let splits_right = !name.ends_with(b":") && !name.windows(2).any(|pair| pair == b"::");
    let entry = CString::new([name, b"::", path].concat()).ok().filter(|_| splits_right);
    entry.ok_or_else(|| {
        let act = format!("map {} into the guest", guest.to_string_lossy());
        Failure::step(act, "WAMR takes no '::' and no ':' at the end of such a path; rename it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_refused_where_wamr_would_split_it_elsewhere() {
        let table: &[(&CStr, &CStr, Option<&CStr>)] = &[
            (c"/data", c"/mnt", Some(c"/data::/mnt")),
            (c"/a:b", c"/mnt::x", Some(c"/a:b::/mnt::x")),
            (c"/a:", c"/mnt", None),
            (c"/a::b", c"/mnt", None),
        ];
        for (guest, container, want) in table {
            assert_eq!(mapping(guest, container).ok().as_deref(), *want, "{guest:?}");
        }
    }
}

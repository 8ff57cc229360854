//! What every runner of Wasm containers does alike: it reads the plan that `wamr-crun` hands over,
//! fills the gaps among the standard streams, ends on stop signals, opens no file that shows the
//! kernel, says how the guest ended, and gives back the memory that starting took.
//!
//! It is linked into the process of each container, so it keeps nothing and depends on next to
//! nothing.

pub mod exit_code;
pub mod failure;
pub mod handover;
pub mod memory;
pub mod preopen;
pub mod signals;
pub mod stdio;
pub mod sys;

use std::ffi::{CStr, CString};

use wamr_plan::PlanRef;

pub use exit_code::ExitCode;
pub use failure::Failure;

/// `PWD=<cwd>`, unless the environment has a PWD of its own. Preview 1 has no working directory,
/// but runtimes inside the guest (Go's, CPython's) start from PWD.
pub fn working_directory_entry(plan: &PlanRef) -> Option<CString> {
    let cwd = plan.cwd.to_bytes();
    let is_own = |entry: &CStr| entry.to_bytes().starts_with(b"PWD=");
    if cwd.is_empty() || plan.env().any(is_own) {
        return None;
    }
    CString::new([b"PWD=", cwd].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pwd_is_added_only_where_none_is() {
        let table: [(&str, &[&str], Option<&CStr>); 3] = [
            ("/srv", &["A=1", "OLDPWD=/x"], Some(c"PWD=/srv")),
            ("/srv", &["PWD=/own"], None),
            ("", &[], None),
        ];
        for (cwd, env, want) in table {
            let plan = wamr_plan::Plan {
                module_fd: 0,
                args: vec![],
                env: env.iter().map(|entry| entry.as_bytes().to_vec()).collect(),
                cwd: cwd.into(),
                preopens: vec![],
                socket_networks: vec![],
                socket_names: vec![],
                stack_bytes: 0,
                heap_bytes: 0,
                max_memory_pages: 0,
            };
            let bytes = plan.encode();
            let plan = PlanRef::parse(&bytes).expect("a plan");
            assert_eq!(working_directory_entry(&plan).as_deref(), want, "{env:?}");
        }
    }
}

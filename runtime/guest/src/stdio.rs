//! Standard input, output and error that the container was started without.

use crate::failure::Failure;
use crate::sys;

/// Puts something behind each of the descriptors 0 to 2 that is closed, or else the next file
/// opened, such as a preopened directory, would become the guest's standard output.
///
/// It is /dev/null, or where the root has none, a pipe without another end: reads see the end of
/// the file, writes fail with `EPIPE`.
///
/// # Errors
/// What pipe(2) said.
pub fn fill_gaps() -> Result<(), Failure> {
    for fd in 0..=2 {
        if !sys::is_open(fd) && sys::open_null(fd).or_else(|_| sys::open_dead_pipe(fd)).is_err() {
            return Err(Failure::system(format!("replace the closed descriptor {fd}")));
        }
    }
    Ok(())
}

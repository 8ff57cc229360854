//! The container's first process: what it needs (`setup`, pure), the order of its steps
//! (`steps`), and how it is made (`spawn`), talked to (`channel`) and run (`init`, `identity`,
//! `entrypoint`, `exec`).

pub mod channel;
pub mod entrypoint;
pub mod exec;
pub mod identity;
pub mod init;
pub mod setup;
pub mod spawn;
pub mod steps;

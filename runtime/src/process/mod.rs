//! The processes of a container. Its first: what it needs (`setup`, pure), the order of its steps
//! (`steps`), and how it is made (`spawn`), talked to (`channel`) and run (`init`, `identity`,
//! `entrypoint`, `exec`). A further one: what is wanted (`wanted`, pure), the order of its steps
//! (`join_steps`), and how it is made (`join`) and run (`joined`).

pub mod channel;
pub mod entrypoint;
pub mod exec;
pub mod identity;
pub mod init;
pub mod join;
pub mod join_steps;
pub mod joined;
pub mod setup;
pub mod spawn;
pub mod steps;
pub mod wanted;

//! The processes of a container. Its first: what it needs (`setup`, pure), how it is made
//! (`spawn`), talked to (`channel`) and run (`init`). A further one: which is asked for (`request`,
//! pure), how it is made (`join`) and run (`joined`). Of both: the order of their steps (`steps`,
//! pure), what they do alike (`confine`, `identity`), what they become (`entrypoint`, `exec`).

pub mod channel;
pub mod confine;
pub mod entrypoint;
pub mod exec;
pub mod identity;
pub mod init;
pub mod join;
pub mod joined;
pub mod request;
pub mod setup;
pub mod spawn;
pub mod steps;

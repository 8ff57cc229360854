//! Whole runs through the whole program; all runs are synthetic, with known figures.
//!
//! Tier: quick

mod arrival;
mod churn;
mod claims;
mod command;
mod compare;
mod defects;
mod golden;
mod hostile;
mod program;
mod readme;
mod recover;
mod reference;
mod releases;
mod surroundings;
mod synthetic;
mod testbed;

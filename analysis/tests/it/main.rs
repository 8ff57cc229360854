//! Whole runs through the whole program; all runs are synthetic, with known figures.

mod command;
mod defects;
mod golden;
mod hostile;
mod recover;
mod reference;
mod synthetic;

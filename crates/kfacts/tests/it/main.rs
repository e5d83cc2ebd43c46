//! The model beside the tables of `tests/facts`: nothing that the kernels' sources say is left out or told
//! otherwise in silence.

mod model;
mod rules;
mod said;
mod tables;

//! gRPC health, `grpc.health.v1`: what the HTTP probes say, for those who speak gRPC.
//!
//! Every answer is made from the probes' own truth when it is asked for; what is watched is looked
//! at whenever that truth moves, and once a second, since time alone can make it another one.
//! As the HTTP probes it needs no token, and tells nothing but who serves.

mod answer;

mod listing;

mod watched;

mod service;

mod serve;

pub(crate) use answer::Truth;
pub(crate) use serve::Server;
pub(crate) use watched::Bell;

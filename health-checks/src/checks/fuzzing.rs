//! What the fuzz targets reach of the parsers, none of which is public otherwise. Each takes what
//! came from outside, and panics where a promise is broken.

pub use super::exec::fuzz as plugin_output;
pub use super::fetch::fuzz_target as http_target;
pub use super::kubernetes_api::fuzz as readyz;
pub use super::prometheus::fuzz as prometheus;
pub use super::resources::fuzz as kernel_files;

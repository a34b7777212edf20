//! The program `syncer-health`; all of it is in the library, so that it can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    health_bin::main()
}

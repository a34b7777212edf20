//! transport-ws

//! transport-lease

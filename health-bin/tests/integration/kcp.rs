//! A real kcp.

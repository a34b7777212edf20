//! The JSON Schemas that the program prints. They are made from the types by a test, which also holds
//! them equal: the program itself holds texts only.

#[cfg(test)]
mod shapes;

#[cfg(test)]
pub(crate) use shapes::criticality;
#[cfg(test)]
pub(crate) use shapes::log_filter;
#[cfg(test)]
pub(crate) use shapes::one_kind;
#[cfg(test)]
pub(crate) use shapes::scopes;
#[cfg(test)]
pub(crate) use shapes::status;

/// Of the agent's configuration.
pub(crate) const AGENT: &str = include_str!("../schemas/agent.schema.json");

/// Of the hub's configuration.
#[cfg(feature = "hub")]
pub(crate) const HUB: &str = include_str!("../schemas/hub.schema.json");

/// Of `/report`.
pub(crate) const REPORT: &str = include_str!("../schemas/report.schema.json");

#[cfg(test)]
mod tests;

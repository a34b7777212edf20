//! How a target is written where one text names it.

use health_heartbeat::AgentId;

/// What is expected of such a text, for errors.
pub(crate) const EXPECTED: &str = "WORKSPACE/NAME, with - for an empty workspace";

/// Reads `WORKSPACE/NAME`; an empty workspace is written `-`.
pub(crate) fn parse_target(text: &str) -> Option<AgentId> {
    let (workspace, name) = text.split_once('/')?;
    if workspace.is_empty() || name.is_empty() || name.contains('/') {
        return None;
    }
    let workspace = if workspace == "-" { "" } else { workspace };
    Some(AgentId {
        workspace: workspace.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_workspace_and_a_name_and_nothing_else_is_one() {
        for (text, target) in [
            ("root:org:edge/edge-1", Some("root:org:edge/edge-1")),
            ("-/edge-1", Some("-/edge-1")),
            ("edge-1", None),
            ("/edge-1", None),
            ("root/", None),
            ("root/a/b", None),
            ("", None),
        ] {
            let found = parse_target(text).map(|id| id.to_string());
            assert_eq!(found.as_deref(), target, "{text:?}");
        }
    }
}

//! What a configuration may say and is hardly meant to.

use super::AgentConfig;

// === impl AgentConfig ===

impl AgentConfig {
    /// What is allowed and hardly meant, a line each. `kubeconfig_variable` is the value of the
    /// environment's `KUBECONFIG`.
    pub(crate) fn oddities(&self, kubeconfig_variable: Option<&str>) -> Vec<String> {
        let mut oddities = Vec::new();
        if self.checks.components.is_empty() && !self.beats(kubeconfig_variable) {
            oddities.push(
                "nothing is checked and no heartbeat is sent, so /readyz fails for good; give \
                 checks.components, heartbeat.websocket.url or a cluster"
                    .to_owned(),
            );
        }
        for (number, component) in self.checks.components.iter().enumerate() {
            let (interval, timeout) = component.pace(&self.checks);
            let Some(stale_after) = component.stale_after.filter(|_| component.push.is_none())
            else {
                continue;
            };
            if stale_after.0 < interval + timeout {
                let least = interval + timeout;
                oddities.push(format!(
                    "checks.components[{number}].staleAfter: {:?} is over before the next result \
                     may be there; with this interval and timeout give {least:?} or more",
                    stale_after.0
                ));
            }
        }
        oddities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_never_be_ready_or_flap_is_told() {
        let component =
            "{ name: a, tcp: { address: 'a:1' }, interval: 6s, timeout: 2s, staleAfter:";
        for (text, says) in [
            ("{}".to_owned(), Some("/readyz fails for good")),
            (
                format!("checks: {{ components: [{component} 7s }}] }}"),
                Some("give 8s or more"),
            ),
            (
                format!("checks: {{ components: [{component} 8s }}] }}"),
                None,
            ),
            (
                "checks: { components: [{ name: a, push: { ttl: 1h }, staleAfter: 1s }] }"
                    .to_owned(),
                None,
            ),
            (
                "heartbeat: { websocket: { url: 'ws://127.0.0.1:1/' } }".to_owned(),
                None,
            ),
        ] {
            let config: AgentConfig = serde_saphyr::from_str(&text).unwrap();
            let oddities = config.oddities(None);
            assert_eq!(
                oddities.len(),
                usize::from(says.is_some()),
                "{text}: {oddities:?}"
            );
            assert!(
                says.is_none_or(|says| oddities[0].contains(says)),
                "{oddities:?}"
            );
        }
    }
}
